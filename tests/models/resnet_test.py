"""Tests of drnet_tf/models/resnet.py."""

from __future__ import annotations

import pytest

from drnet_tf.costs import count_costs
from drnet_tf.models.resnet import resnet18
from drnet_tf.sites import gate_sites


@pytest.fixture(scope="module")
def model():
    return resnet18()


def test_counts_are_those_of_the_stages(model):
    # Filters before and after, output pixels of each convolution; 3x3 but for
    # the three projections.
    convs = [(9, 3, 64, 1024)] + [(9, 64, 64, 1024)] * 4
    for before, pixels in ((64, 256), (128, 64), (256, 16)):
        after = 2 * before
        convs += [(9, before, after, pixels), (1, before, after, pixels)]
        convs += [(9, after, after, pixels)] * 3
    widths = sum(after for _, _, after, _ in convs)
    costs = count_costs(model)
    kernels = sum(k * i * o for k, i, o, _ in convs)
    learnable = kernels + 2 * widths + 5130
    assert costs.learnable_parameters == learnable == 11_173_962
    assert costs.parameters == learnable + 2 * widths == 11_183_562
    assert costs.macs == 5120 + sum(k * i * o * n for k, i, o, n in convs)
    assert costs.macs == 555_422_720


def test_sites_are_the_relus(model):
    sites = {site.name: site for site in gate_sites(model)}
    assert len(sites) == 17
    assert sites["stem_relu"].convs == ("stem_conv",)
    assert sites["stage2_block1_relu1"].convs == ("stage2_block1_conv1",)
    assert set(sites["stage2_block1_relu2"].convs) == {
        "stage2_block1_conv2",
        "stage2_block1_shortcut_conv",
    }
    assert sites["stage4_block2_relu2"].channels == 512


def test_only_a_change_of_shape_has_a_projection(model):
    assert [x.name for x in model.layers if "shortcut_conv" in x.name] == [
        f"stage{stage}_block1_shortcut_conv" for stage in (2, 3, 4)
    ]
    assert model.get_layer("stage4_block2_relu2").output.shape == (
        None,
        4,
        4,
        512,
    )
