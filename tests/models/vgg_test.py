"""Tests of drnet_tf/models/vgg.py."""

from __future__ import annotations

import pytest

from drnet_tf.costs import count_costs
from drnet_tf.models.vgg import vgg16
from drnet_tf.sites import gate_sites

WIDTHS = [64] * 2 + [128] * 2 + [256] * 3 + [512] * 6
SIDES = [32] * 2 + [16] * 2 + [8] * 3 + [4] * 3 + [2] * 3


@pytest.fixture(scope="module")
def model():
    return vgg16()


def test_counts_are_those_of_the_configuration(model):
    pairs = list(zip([3, *WIDTHS], WIDTHS, strict=False))
    costs = count_costs(model)
    kernels = sum(9 * before * after for before, after in pairs)
    # Kernels; biases, scales and shifts; the Dense layer.
    learnable = kernels + 3 * sum(WIDTHS) + 512 * 10 + 10
    assert costs.learnable_parameters == learnable == 14_728_266
    assert costs.parameters == learnable + 2 * sum(WIDTHS) == 14_736_714
    assert costs.macs == 5120 + sum(
        9 * before * after * side**2
        for (before, after), side in zip(pairs, SIDES, strict=True)
    )


def test_sites_are_the_thirteen_relus(model):
    sites = gate_sites(model)
    assert [site.channels for site in sites] == WIDTHS
    assert sum(WIDTHS) == 4224
    assert [site.name for site in sites][:3] == [
        "block1_relu1",
        "block1_relu2",
        "block2_relu1",
    ]
    assert sites[-1].name == "block5_relu3"
    assert sites[-1].convs == ("block5_conv3",)


def test_order_of_a_block(model):
    names = [layer.name for layer in model.layers]
    assert names[:9] == [
        "image",
        "rescaling",
        "block1_conv1",
        "block1_bn1",
        "block1_relu1",
        "block1_conv2",
        "block1_bn2",
        "block1_relu2",
        "block1_pool",
    ]
    assert names[-3:] == ["block5_pool", "gap", "logits"]
    assert model.get_layer("block5_pool").output.shape == (None, 1, 1, 512)
