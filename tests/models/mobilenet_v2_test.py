"""Tests of drnet_tf/models/mobilenet_v2.py."""

from __future__ import annotations

import pytest

from drnet_tf.costs import count_costs
from drnet_tf.models.mobilenet_v2 import mobilenet_v2
from drnet_tf.sites import gate_sites

# Width before, expansion, width after, stride, output side of all 17 blocks.
BLOCKS = [
    (32, 1, 16, 1, 32),
    (16, 6, 24, 1, 32),
    (24, 6, 24, 1, 32),
    (24, 6, 32, 2, 16),
    *[(32, 6, 32, 1, 16)] * 2,
    (32, 6, 64, 2, 8),
    *[(64, 6, 64, 1, 8)] * 3,
    (64, 6, 96, 1, 8),
    *[(96, 6, 96, 1, 8)] * 2,
    (96, 6, 160, 2, 4),
    *[(160, 6, 160, 1, 4)] * 2,
    (160, 6, 320, 1, 4),
]


@pytest.fixture(scope="module")
def model():
    return mobilenet_v2()


def test_counts_are_those_of_the_blocks(model):
    kernels, macs, widths = [], [], []

    def count(weights, side, width):
        kernels.append(weights)
        macs.append(weights * side**2)
        widths.append(width)

    count(27 * 32, 32, 32)
    for before, expansion, after, stride, side in BLOCKS:
        middle = expansion * before
        count(before * middle, side * stride, middle)
        count(9 * middle, side, middle)
        count(middle * after, side, after)
        if stride == 1 and before != after:
            count(before * after, side, after)
    count(320 * 1280, 4, 1280)
    costs = count_costs(model)
    learnable = sum(kernels) + 2 * sum(widths) + 12_810
    assert costs.learnable_parameters == learnable == 2_296_922
    assert costs.parameters == learnable + 2 * sum(widths)
    assert costs.macs == sum(macs) + 12_800 == 91_154_944


def test_shapes_of_the_stages(model):
    for number, (_, _, after, _, side) in enumerate(BLOCKS, start=1):
        layer = model.get_layer(f"block{number}_project_bn")
        assert layer.output.shape == (None, side, side, after)


def test_linear_bottlenecks_are_sites_of_their_norm(model):
    sites = {site.name: site for site in gate_sites(model)}
    assert sites["block1_expand_relu"].kind == "activation"
    assert sites["block1_depthwise_relu"].convs == ("block1_depthwise_conv",)
    assert sites["block17_project_bn"].kind == "norm"
    assert sites["block17_project_bn"].channels == 320
    assert "block17_add" not in sites
    assert sites["head_relu"].channels == 1280


def test_shortcuts_of_stride_1_only(model):
    names = {layer.name for layer in model.layers}
    for number, (before, _, after, stride, _) in enumerate(BLOCKS, start=1):
        assert (f"block{number}_add" in names) == (stride == 1)
        assert (f"block{number}_shortcut_conv" in names) == (
            stride == 1 and before != after
        )
