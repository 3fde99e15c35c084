"""What holds for every network of drnet_tf/models."""

from __future__ import annotations

import functools

import keras
import numpy as np
import pytest

from drnet_tf import models
from drnet_tf.classifier import find_classifier
from drnet_tf.costs import count_costs
from drnet_tf.sites import gate_sites

NAMES = ("convnet", "mobilenet_v2", "resnet18", "vgg16")


@functools.cache
def network(name):
    keras.utils.set_random_seed(0)
    return getattr(models, name)()


def test_these_are_all():
    assert set(models.__all__) == set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_the_docstring_states_its_costs(name):
    costs = count_costs(network(name))
    text = " ".join(getattr(models, name).__doc__.split())
    assert f"**{costs.learnable_parameters:,} parameters**" in text
    assert f"{costs.parameters:,} with the moving statistics" in text
    assert f"**{costs.macs:,} MACs**" in text
    assert network(name).count_params() == costs.parameters
    assert costs.uncounted == ()


@pytest.mark.parametrize("name", NAMES)
def test_takes_raw_pixels(name):
    model = network(name)
    assert [x.name for x in model.inputs] == ["image"]
    rescaling = model.get_layer("rescaling")
    pixels = np.array([0, 127.5, 255], "float32").reshape(1, 1, 3, 1)
    np.testing.assert_allclose(
        np.ravel(rescaling(pixels)), [-1, 0, 1], atol=1e-6
    )
    images = np.full((2, *model.input_shape[1:]), 255, np.uint8)
    assert np.isfinite(model(images)).all()


@pytest.mark.parametrize("name", NAMES)
def test_gives_logits(name):
    classifier = find_classifier(network(name))
    assert classifier.call.name == "logits"
    assert classifier.num_classes == 10
    assert not classifier.probabilities


@pytest.mark.parametrize("name", NAMES)
def test_every_convolution_feeds_a_site(name):
    model = network(name)
    convs = {x.name for x in model.layers if "conv" in x.name}
    assert convs == {y for x in gate_sites(model) for y in x.convs}


@pytest.mark.parametrize("name", NAMES)
def test_sizes_change_no_names(name):
    make = getattr(models, name)
    model = make(num_classes=3, input_shape=(48, 40, 2), name="mine")
    assert model.name == "mine"
    assert model.input_shape == (None, 48, 40, 2)
    assert model.output_shape == (None, 3)
    # Keras' own names (conv2d_17) would count on from model to model.
    assert [x.name for x in model.layers] == [
        x.name for x in network(name).layers
    ]


@pytest.mark.parametrize("name", NAMES)
def test_refuses_a_single_class(name):
    with pytest.raises(
        ValueError, match=f"{name}: got num_classes=1, expected two or more"
    ):
        getattr(models, name)(num_classes=1)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("shape", [(2, 64, 3), (64, 2, 3), (64, 64)])
def test_refuses_images_without_room(name, shape):
    with pytest.raises(ValueError) as error:
        getattr(models, name)(input_shape=shape)
    assert f"{name}: got input_shape={shape}, expected (height," in str(
        error.value
    )
