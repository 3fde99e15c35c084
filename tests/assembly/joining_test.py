"""Tests of drnet_tf/assembly/joining.py and what it stands on."""

from __future__ import annotations

import keras
import numpy as np
import pytest

from drnet_tf.assembly import Component, assemble
from drnet_tf.labeled_images import LabeledImages
from drnet_tf.masks import ChannelMask
from drnet_tf.preprocessing import Preprocessing
from drnet_tf.pruning import prune
from drnet_tf.sites import gate_sites

PETS, SHIPS = ("cat", "dog"), ("ferry", "raft", "tug")
layers = keras.layers


def _chain(seed, widths=(4, 5), classes=2, softmax=False, bias=True):
    """Convolution, norm, pooling, convolution, flattening, two Dense."""
    keras.utils.set_random_seed(seed)
    image = keras.Input((6, 6, 3))
    x = layers.Conv2D(widths[0], 3, use_bias=bias, name="first")(image)
    x = layers.BatchNormalization(name="norm")(x)
    x = layers.MaxPooling2D(2)(layers.ReLU()(x))
    x = layers.Conv2D(widths[1], 2, padding="same", activation="relu")(x)
    x = layers.Flatten()(x)
    x = layers.Dense(sum(widths), activation="relu")(x)
    x = layers.Dense(
        classes, activation="softmax" if softmax else None, name="scores"
    )(x)
    return _shaken(keras.Model(image, x, name=f"chain{seed}"), seed)


def _residual(seed, width=4, classes=2):
    """Depthwise, an add, a concatenation, an operator, a Conv head."""
    keras.utils.set_random_seed(seed)
    image = keras.Input((6, 6, 3))
    x = layers.Conv2D(width, 3, padding="same", name="stem")(
        layers.Rescaling(0.5)(image)
    )
    y = layers.DepthwiseConv2D(3, padding="same", depth_multiplier=2)(x)
    y = layers.Conv2D(width, 1, name="project")(layers.ReLU(6.0)(y))
    x = layers.Add()([x, y])
    x = layers.Concatenate()([x, keras.ops.relu(y)])
    x = layers.Conv2D(classes, 1, name="scores")(x)
    x = layers.Softmax()(layers.GlobalAveragePooling2D()(x))
    return _shaken(keras.Model(image, x, name=f"residual{seed}"), seed)


def _shaken(model, seed):
    """Also statistics and biases that are not 0 and 1."""
    random = np.random.default_rng(seed)
    model.set_weights(
        [x + 0.2 * random.random(x.shape) for x in model.get_weights()]
    )
    return model


def _images(count=8):
    return np.random.default_rng(0).random((count, 6, 6, 3)).astype("float32")


def _check_parts(both, models, images):
    """Logits are the part's own; of its probabilities, up to a constant."""
    outputs, start = np.asarray(both.model(images)), 0
    for model in models:
        stop = start + model.output_shape[1]
        part, expected = outputs[:, start:stop], np.asarray(model(images))
        if stop - start > 1 and np.allclose(expected.sum(1), 1):
            assert not np.allclose(part.sum(1), 1)
            part = part - part.mean(1, keepdims=True)
            expected = np.log(expected)
            expected -= expected.mean(1, keepdims=True)
        np.testing.assert_allclose(part, expected, atol=1e-5)
        start = stop
    assert start == outputs.shape[1]


@pytest.mark.parametrize("align", [True, False])
@pytest.mark.parametrize(
    "models",
    [
        lambda: [_chain(0), _chain(1, (2, 7), 3, bias=False)],
        lambda: [_chain(0, softmax=True), _chain(1, (3, 3), 3)],
        lambda: [_residual(0), _residual(1, 3, 3)],
    ],
    ids=["chain", "softmax", "residual"],
)
def test_every_part_gives_its_own_logits(models, align, tmp_path):
    models = models()
    before = [x.get_weights() for x in models]
    both = assemble(
        [Component(models[0], PETS), Component(models[1], SHIPS)], align=align
    )
    assert both.class_names == (*PETS, *SHIPS)
    _check_parts(both, models, _images())
    path = tmp_path / "both.keras"
    both.model.save(path)
    again = keras.models.load_model(path)
    np.testing.assert_array_equal(again(_images()), both.model(_images()))
    for model, weights in zip(models, before, strict=True):
        for old, new in zip(weights, model.get_weights(), strict=True):
            np.testing.assert_array_equal(old, new)


def test_alignment_pads_kernels_with_zeros():
    models = [_chain(0), _chain(1, (2, 7), 3)]
    both = assemble([Component(models[0], PETS), Component(models[1], SHIPS)])
    assert len(both.model.layers) == len(models[0].layers)
    first, second = (
        [x.get_weights()[0] for x in m.layers if isinstance(x, layers.Conv2D)]
        for m in (both.model, models[1])
    )
    assert [x.shape for x in first] == [(3, 3, 3, 6), (2, 2, 6, 12)]
    np.testing.assert_array_equal(first[0][..., 4:], second[0])
    np.testing.assert_array_equal(first[1][:, :, 4:, 5:], second[1])
    assert not first[1][:, :, :4, 5:].any()
    assert not first[1][:, :, 4:, :5].any()


def test_branches_join_any_architectures():
    models = [_chain(0), _residual(1, classes=3)]
    components = [Component(models[0], PETS), Component(models[1], SHIPS)]
    _check_parts(assemble(components, align=False), models, _images())
    with pytest.raises(ValueError, match="cannot be aligned.*align=False"):
        assemble(components)


@pytest.mark.parametrize("align", [True, False])
def test_pruned_components_of_single_classes_are_joined(align):
    models = [_chain(0), _chain(1, (3, 6), 3)]
    pruned = []
    for model in models:
        keep = {x.name: np.arange(x.channels) > 0 for x in gate_sites(model)}
        pruned.append(prune(model, ChannelMask(keep), classes=(1,)))
    both = assemble(
        [Component(pruned[0], ("dog",)), Component(pruned[1], ("raft",))],
        align=align,
    )
    _check_parts(both, [x.model for x in pruned], _images())
    more = assemble([both, Component(models[0], ("a", "b"))], align=False)
    assert more.class_names == ("dog", "raft", "a", "b")


@pytest.mark.parametrize("align", [True, False])
def test_scaling_makes_the_mean_winning_logit_one(align):
    models = [_chain(0), _chain(1, (2, 7), 3)]
    images = _images(200) - 0.5
    names, picked, labels = (*SHIPS[::-1], *PETS), [], []
    for model, own in zip(models, (PETS, SHIPS), strict=True):
        logits = np.asarray(model(images))
        shift = logits.mean(0) - 3  # every class wins, with a positive logit
        head = model.get_layer("scores")
        kernel, bias = head.get_weights()
        head.set_weights([kernel, bias - shift])
        won = (logits - shift).argmax(1)
        for row, name in enumerate(own):
            of_class = np.flatnonzero(won == row)[:5]
            assert len(of_class)
            picked += [*of_class, np.flatnonzero(won != row)[0]]  # one wrong
            labels += [names.index(name)] * (len(of_class) + 1)
    data = LabeledImages(images[picked], labels, names)
    components = [Component(models[0], PETS), Component(models[1], SHIPS)]
    both = assemble(components, align=align, scale=data)
    found = np.asarray(both.model(data.images))
    plain = np.asarray(assemble(components, align=align).model(data.images))
    for row, name in enumerate(both.class_names):
        part = slice(0, 2) if row < 2 else slice(2, 5)
        right = plain[:, part].argmax(1) + part.start == row
        right &= data.labels == names.index(name)
        assert 0 < right.sum() < (data.labels == names.index(name)).sum()
        np.testing.assert_allclose(found[right, row].mean(), 1, atol=1e-5)


def test_a_class_without_images_cannot_be_scaled():
    data = LabeledImages(_images(4), [0, 0, 0, 0], ("cow",))
    components = [Component(_chain(0), PETS), Component(_chain(1), ("a", "b"))]
    with pytest.raises(ValueError, match="'cat'.*no such image.*scale=None"):
        assemble(components, scale=data)


def test_what_cannot_be_joined_is_refused():
    one = Component(_chain(0), PETS)
    with pytest.raises(ValueError, match="both have the class 'cat'.*rename"):
        assemble([one, Component(_chain(1), ("cow", "cat"))])
    image = keras.Input((8, 8, 3))
    x = layers.Dense(2)(layers.GlobalAveragePooling2D()(image))
    other = Component(keras.Model(image, x, name="big"), ("cow", "hen"))
    with pytest.raises(ValueError, match=r"'big'.*\(8, 8, 3\).*Resizing"):
        assemble([one, other])
    with pytest.raises(ValueError, match="got 1 components.*two or more"):
        assemble([one])
    with pytest.raises(TypeError, match="got a Functional.*Component"):
        assemble([one, _chain(1)])
    with pytest.raises(ValueError, match="2 outputs, got 1 class names"):
        Component(_chain(0), ("cat",))


def test_components_of_other_preprocessings_are_joined_on_raw_pixels():
    unit = Component(_chain(1), PETS, Preprocessing(127.5, 127.5))
    own = Preprocessing((120.0, 110.0, 100.0), (60.0, 62.0, 66.0))
    other = Component(_chain(2, classes=3), SHIPS, own)
    with pytest.raises(ValueError, match=r"expected the same; pass .*on_raw"):
        assemble([unit, other])
    with pytest.raises(ValueError, match="the preprocessing of 'chain1' is"):
        Component(unit.model, PETS).on_raw_pixels()
    pixels = 255 * _images()
    expected = [
        np.asarray(x.model(x.preprocessing(pixels))) for x in (unit, other)
    ]
    parts = [unit.on_raw_pixels(), other.on_raw_pixels()]
    with pytest.raises(ValueError, match="with scale"):
        assemble(parts)  # one chain cannot have two preprocessings
    both = assemble(parts, align=False)
    assert both.preprocessing == Preprocessing()
    np.testing.assert_allclose(
        np.asarray(both.model(pixels)),
        np.concatenate(expected, axis=1),
        atol=1e-4,
    )


def test_one_preprocessing_stays_with_what_is_joined():
    unit = Preprocessing(127.5, 127.5)
    pets = Component(_chain(1), PETS, unit)
    ships = Component(_chain(2, classes=3), SHIPS, unit)
    assert assemble([pets, ships]).preprocessing == unit


def test_a_preprocessing_of_each_channel_is_aligned():
    own = Preprocessing((120.0, 110.0, 100.0), (60.0, 62.0, 66.0))
    parts = [
        Component(_chain(1), PETS, own).on_raw_pixels(),
        Component(_chain(2, (3, 6), 3), SHIPS, own).on_raw_pixels(),
    ]
    both = assemble(parts)
    _check_parts(both, [part.model for part in parts], _images())
