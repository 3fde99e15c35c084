"""Tests of drnet_tflite/bundle_writer.py and of planning/, on real files."""

from __future__ import annotations

import json

import drnet_tflite
import keras
import numpy as np
import pytest
from drnet_tflite.parity import random_images
from drnet_tflite.planning.bundle_check import outputs_of
from keras import layers

from drnet_tf.gates import apply_mask
from drnet_tf.importance import ChannelImportance
from drnet_tf.masks import ChannelMask
from drnet_tf.sites import gate_sites

CLASSES = ("ant", "bee", "cat", "dog")


def conv_norm(x, width, name, size=3, **options):
    x = layers.Conv2D(
        width, size, padding="same", use_bias=False, name=name, **options
    )(x)
    return layers.BatchNormalization(name=f"{name}_norm")(x)


def every_family():
    """A residual, depthwise, squeezing, concatenating network with norms."""
    keras.utils.set_random_seed(0)
    image = keras.Input((12, 12, 3))
    x = layers.ReLU(name="stem")(conv_norm(image, 8, "conv0"))
    y = layers.ReLU(name="inner")(conv_norm(x, 12, "conv1"))
    y = conv_norm(y, 8, "conv2")
    x = layers.ReLU(name="sum")(layers.Add()([x, y]))
    y = layers.DepthwiseConv2D(3, padding="same", name="depthwise")(x)
    y = layers.Activation("silu", name="silu")(y)
    s = layers.GlobalAveragePooling2D(keepdims=True)(y)
    s = layers.Conv2D(4, 1, activation="relu", name="squeeze")(s)
    s = layers.Conv2D(8, 1, activation="sigmoid", name="excite")(s)
    y = layers.Multiply()([y, s])
    x = layers.Concatenate()([x, y])
    x = layers.MaxPooling2D()(x)
    x = layers.BatchNormalization(name="alone")(x)
    x = layers.ReLU(name="relu_alone")(x)
    x = layers.Conv2D(10, 1, activation="relu", name="last")(x)
    x = layers.Flatten()(x)
    return with_random_norms(
        keras.Model(image, layers.Dense(4, activation="softmax")(x))
    )


def with_random_norms(model):
    random = np.random.default_rng(0)
    for variable in model.variables:
        if variable.name in ("gamma", "moving_variance"):
            variable.assign(random.uniform(0.5, 1.5, variable.shape))
        elif variable.name in ("bias", "beta", "moving_mean"):
            variable.assign(random.normal(0, 0.3, variable.shape))
    return model


def importance_of(model, coupling="free", classes=CLASSES):
    random = np.random.default_rng(1)
    scores = {
        site.name: random.random((len(classes), site.channels))
        for site in gate_sites(model, coupling)
    }
    return ChannelImportance(scores, classes, "random")


@pytest.fixture(scope="module")
def model():
    return every_family()


@pytest.fixture(scope="module")
def written(model, tmp_path_factory):
    """Bundles by number format, and their reports."""
    folder = tmp_path_factory.mktemp("bundles")
    images = random_images(model, 8)
    found = {}
    for quantization in ("float32", "float16", "int8"):
        path = folder / f"{quantization}.tflite"
        report = drnet_tflite.write_bundle(
            model,
            importance_of(model, "tied"),
            path,
            quantization=quantization,
            representative_images=images if quantization == "int8" else None,
        )
        found[quantization] = drnet_tflite.Bundle(path), report
    return found


@pytest.mark.parametrize("quantization", ["float32", "float16", "int8"])
def test_bundle_runs_as_the_full_network(written, model, quantization):
    bundle, report = written[quantization]
    images = random_images(model, 4, seed=1)
    full = drnet_tflite.run(bundle.path, images)
    expected = model.predict(images, verbose=0)
    allowed = {"float32": 1e-5, "float16": 1e-2, "int8": 0.2}[quantization]
    np.testing.assert_allclose(full, expected, atol=allowed)
    assert drnet_tflite.read_labels(bundle.path) == CLASSES
    bundle.verify()
    assert report.bytes == bundle.size
    assert report.max_difference <= (0 if quantization == "int8" else 1e-5)


@pytest.mark.parametrize("quantization", ["float32", "float16", "int8"])
def test_sub_networks_answer_as_the_masked_network(
    written, model, quantization
):
    bundle, _ = written[quantization]
    images = random_images(model, 4, seed=2)
    for fraction in (0.2, 0.5, 0.8):
        request = {"kept_fraction": fraction, "round_to": 1}
        selection = bundle.select(CLASSES, **request)
        mask = ChannelMask(bundle.mask(selection))
        assert mask.kept_fraction == pytest.approx(fraction, abs=0.1)
        expected = apply_mask(model, mask).predict(images, verbose=0)
        content = bundle.extract(CLASSES, **request)
        path = bundle.path + ".small.tflite"
        with open(path, "wb") as file:
            file.write(content)
        found = drnet_tflite.run(path, images)
        allowed = {"float32": 1e-5, "float16": 1e-2, "int8": 0.2}[quantization]
        np.testing.assert_allclose(found, expected, atol=allowed)
        assert len(content) < bundle.size


def test_outputs_are_those_of_the_classes_asked_for(written, model):
    bundle, _ = written["float32"]
    images = random_images(model, 4, seed=3)
    request = {"threshold": 0.9, "round_to": 4}
    masks = [
        bundle.mask(bundle.select(x, **request)) for x in (["dog", "bee"],)
    ]
    scores = apply_mask(model, ChannelMask(masks[0])).predict(
        images, verbose=0
    )[:, [3, 1]]
    content = bundle.extract(["dog", "bee"], **request)
    # Behind a softmax: the share of the two.
    np.testing.assert_allclose(
        outputs_of(content, images),
        scores / scores.sum(-1, keepdims=True),
        atol=1e-5,
    )


def test_norms_that_stand_alone_are_folded(written):
    for bundle, report in written.values():
        assert len(report.folds) == 1
        assert bundle.plan.folds[0].constants.any()


def test_free_sites_of_one_stage_are_tied(model, tmp_path):
    importance = importance_of(model)
    report = drnet_tflite.write_bundle(
        model, importance, tmp_path / "free.tflite", encoding="float16"
    )
    bundle = drnet_tflite.Bundle(tmp_path / "free.tflite")
    assert report.score_loss < 1e-3
    selection = bundle.select(["ant"], threshold=0.7, round_to=1)
    mask = bundle.mask(selection)
    # What the depthwise convolution passes on is what the stage's sum gives.
    assert mask["sum"].tolist() == mask["silu"].tolist()
    asked = np.maximum.reduce(
        [importance.scores[x][0] for x in ("stem", "sum", "silu")]
    )
    kept = asked.astype(np.float16) >= np.float32(0.7)
    if "stem" in mask:
        assert (mask["sum"] >= kept).all()


def test_the_same_arguments_give_the_same_bytes(model, tmp_path):
    paths = [tmp_path / name / "a.tflite" for name in ("one", "two")]
    for path in paths:
        path.parent.mkdir()
        drnet_tflite.write_bundle(model, importance_of(model), path)
    first, second = (path.read_bytes() for path in paths)
    assert first == second


def test_provenance_tells_where_it_came_from(written, model):
    bundle, report = written["float32"]
    found = bundle.provenance
    assert found["method"] == "random" and found["model"] == model.name
    assert len(found["fingerprint"]) == 64
    assert found["score_loss"] == report.score_loss
    assert json.dumps(report.as_dict())
    assert "sub-networks differ from the masked file by at most" in str(report)


def refused(tmp_path, message, model, importance, **options):
    path = tmp_path / "a.tflite"
    path.write_text("before")
    with pytest.raises(ValueError, match=message):
        drnet_tflite.write_bundle(model, importance, path, **options)
    assert path.read_text() == "before"
    assert [x.name for x in tmp_path.iterdir()] == ["a.tflite"]


def test_arguments_that_do_not_fit_are_refused(model, tmp_path):
    own = importance_of(model)
    two = importance_of(model, classes=("ant", "bee"))
    refused(tmp_path, "4 outputs, the importance 2", model, two)
    refused(tmp_path, "2 different numbers", model, two, class_outputs=[1, 1])
    refused(tmp_path, "2 different numbers", model, two, class_outputs=[1, 4])
    refused(tmp_path, "encoding: got 'int4'", model, own, encoding="int4")
    other = ChannelImportance({"conv": np.ones((4, 3))}, CLASSES, "by hand")
    refused(tmp_path, "site", model, other)


def test_operators_that_cannot_be_sliced_are_named(tmp_path):
    image = keras.Input((8, 8, 3))
    x = layers.Conv2D(8, 3, activation="relu", name="first")(image)
    x = layers.Conv2D(8, 3, groups=2, activation="relu", name="grouped")(x)
    x = layers.GlobalAveragePooling2D()(x)
    model = keras.Model(image, layers.Dense(4)(x))
    refused(
        tmp_path,
        "CONV_2D .*grouped.* is a grouped convolution",
        model,
        importance_of(model),
    )


def test_a_scaled_branch_is_found(tmp_path):
    # The converter moves the factor into the convolution before it.
    keras.utils.set_random_seed(0)
    image = keras.Input((8, 8, 3))
    x = layers.Conv2D(16, 3, padding="same", activation="relu", name="in")(
        image
    )
    branch = layers.Conv2D(16, 1, name="branch")(x)
    x = x + 0.1 * branch
    x = layers.ReLU(name="sum")(x)
    x = layers.GlobalAveragePooling2D()(x)
    model = keras.Model(image, layers.Dense(4)(x))
    path = tmp_path / "scaled.tflite"
    drnet_tflite.write_bundle(model, importance_of(model, "tied"), path)
    bundle = drnet_tflite.Bundle(path)
    selection = bundle.select(CLASSES, kept_fraction=0.5)
    mask = ChannelMask(bundle.mask(selection))
    small = tmp_path / "small.tflite"
    small.write_bytes(bundle.extract(CLASSES, kept_fraction=0.5))
    images = random_images(model, 4)
    expected = apply_mask(model, mask).predict(images, verbose=0)
    np.testing.assert_allclose(
        drnet_tflite.run(small, images), expected, atol=1e-5
    )
