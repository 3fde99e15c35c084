"""Conversion: files that answer as Keras does, or no file at all."""

from __future__ import annotations

import json
import os
import pathlib
import re

import drnet_tflite
import keras
import numpy as np
import pytest
from drnet_tflite import converter

LAYERS = keras.layers


def plain(x):
    x = LAYERS.Conv2D(6, 3, use_bias=False, name="conv")(x)
    x = LAYERS.ReLU()(LAYERS.BatchNormalization()(x))
    return LAYERS.MaxPooling2D()(x)


def depthwise(x):
    x = LAYERS.DepthwiseConv2D(3, strides=2, padding="same")(x)
    return LAYERS.ReLU(6.0)(LAYERS.BatchNormalization()(x))


def residual(x):
    y = LAYERS.Conv2D(3, 3, padding="same", activation="relu")(x)
    return LAYERS.Activation("relu")(LAYERS.Add()([x, y]))


def network(body=plain, *, head=None, classes=3, flatten=False, **inputs):
    """A small network with random weights and random norm statistics."""
    keras.utils.set_random_seed(1)
    image = keras.Input(inputs.pop("shape", (8, 8, 3)), **inputs)
    x = body(image)
    x = LAYERS.Flatten()(x) if flatten else LAYERS.GlobalMaxPooling2D()(x)
    outputs = LAYERS.Dense(classes, activation=head, name="scores")(x)
    model = keras.Model(image, outputs, name="tiny")
    generator = np.random.default_rng(2)
    model.set_weights(
        [w + generator.uniform(0.1, 0.5, w.shape) for w in model.get_weights()]
    )
    return model


def files(folder: pathlib.Path) -> list[str]:
    return sorted(os.listdir(folder))


@pytest.mark.parametrize(
    ("body", "head", "flatten"),
    [
        (plain, None, True),
        (depthwise, "softmax", False),
        (residual, "softmax", True),
        (residual, None, False),
    ],
)
def test_the_file_answers_as_keras(body, head, flatten, tmp_path):
    model = network(body, head=head, flatten=flatten)
    report = drnet_tflite.convert(model, tmp_path / "net.tflite")
    images = np.random.default_rng(3).normal(size=(5, 8, 8, 3))
    expected = model.predict(images, verbose=0)
    found = drnet_tflite.run(tmp_path / "net.tflite", images)
    np.testing.assert_allclose(
        found, expected, rtol=0, atol=1e-4 * np.abs(expected).max()
    )
    assert 0.0 <= report.max_difference <= 1e-4


def test_report_tells_what_was_written(tmp_path):
    path = tmp_path / "net.v1.tflite"
    report = drnet_tflite.convert(
        network(flatten=True), path, labels=["a b", "ç", "c"]
    )
    assert report.path == str(path)
    assert report.bytes == path.stat().st_size
    assert report.quantization == "float32"
    assert report.input == converter.LoadedModel(path).input
    assert (report.input.name, report.input.shape) == ("image", (1, 8, 8, 3))
    assert (report.output.name, report.output.shape) == ("scores", (1, 3))
    assert (report.input.scale, report.output.scale) == (None, None)
    # The norm is folded into the conv; a fixed batch leaves one plain RESHAPE.
    assert report.operators == {
        "CONV_2D": 1,
        "FULLY_CONNECTED": 1,
        "MAX_POOL_2D": 1,
        "RESHAPE": 1,
    }
    assert report.labels == ("a b", "ç", "c")
    assert report.labels == drnet_tflite.read_labels(path)
    assert (report.images, report.agreement) == (4, 1.0)
    assert re.fullmatch(r"[12]\.\d+\.\d+", report.min_runtime_version)
    assert files(tmp_path) == ["net.v1.tflite"]


def test_report_as_dict_and_text(tmp_path):
    report = drnet_tflite.convert(
        network(), tmp_path / "net.tflite", labels=list("abc")
    )
    assert json.loads(json.dumps(report.as_dict())) == {
        "path": str(tmp_path / "net.tflite"),
        "bytes": report.bytes,
        "quantization": "float32",
        "input": {
            "name": "image",
            "shape": [1, 8, 8, 3],
            "dtype": "float32",
            "scale": None,
            "zero_point": None,
        },
        "output": {
            "name": "scores",
            "shape": [1, 3],
            "dtype": "float32",
            "scale": None,
            "zero_point": None,
        },
        "operators": report.operators,
        "images": 4,
        "agreement": 1.0,
        "max_difference": report.max_difference,
        "min_runtime_version": report.min_runtime_version,
        "labels": ["a", "b", "c"],
    }
    assert "input   image 1x8x8x3 float32" in str(report)
    assert "on 4 images: the same class first on 100.0 %" in str(report)
    assert f"Lite {report.min_runtime_version} or LiteRT" in str(report)
    assert "3 labels in" in str(report)


def test_same_model_gives_same_bytes(tmp_path):
    model = network()
    for name in ("a.tflite", "b.tflite"):
        drnet_tflite.convert(model, tmp_path / name)
    first, second = (tmp_path / name for name in files(tmp_path))
    assert first.read_bytes() == second.read_bytes()


def test_the_model_is_not_changed(tmp_path):
    model = network()
    model.get_layer("conv").trainable = False
    config, weights = model.get_config(), model.get_weights()
    attributes = set(vars(model))
    trainable = [layer.trainable for layer in model.layers]
    drnet_tflite.convert(model, tmp_path / "net.tflite")
    assert model.get_config() == config
    assert set(vars(model)) == attributes
    assert [layer.trainable for layer in model.layers] == trainable
    for before, after in zip(weights, model.get_weights(), strict=True):
        np.testing.assert_array_equal(before, after)


@pytest.mark.parametrize("kind", ["sequential", "list", "dict", "nested"])
def test_every_form_of_model(kind, tmp_path):
    inner = network(name="x")
    if kind == "sequential":
        model = keras.Sequential([keras.Input((8, 8, 3)), *inner.layers[1:]])
    elif kind == "list":
        model = keras.Model(list(inner.inputs), list(inner.outputs))
    elif kind == "dict":
        model = keras.Model({"x": inner.inputs[0]}, {"y": inner.outputs[0]})
    else:
        image = keras.Input((8, 8, 3))
        model = keras.Model(image, inner(LAYERS.Rescaling(1 / 255)(image)))
    report = drnet_tflite.convert(model, tmp_path / "net.tflite")
    assert report.input.name == "image"
    assert report.output.shape == (1, 3)


def test_batch_of_the_model_does_not_matter(tmp_path):
    model = network(batch_size=4)
    report = drnet_tflite.convert(model, tmp_path / "net.tflite")
    assert report.input.shape == (1, 8, 8, 3)


def test_bytes_as_input(tmp_path):
    model = network(LAYERS.Rescaling(1 / 255), dtype="uint8", flatten=True)
    report = drnet_tflite.convert(model, tmp_path / "net.tflite")
    assert report.input.dtype == "uint8"


def test_native_code_prints_nothing(tmp_path, capfd):
    drnet_tflite.convert(network(), tmp_path / "net.tflite")
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"quantization": "int4"}, "got 'int4', expected one of float32, floa"),
        ({"mean": [0.0]}, r"got \[0\.0\] and None, expected both or neither"),
        ({"std": 1.0}, r"got None and 1\.0, expected both or neither"),
        ({"mean": [0.0, 1.0], "std": 1.0}, "mean: .* each of the 3 channels"),
        ({"mean": np.nan, "std": 1.0}, "mean: got nan, expected one finite"),
        ({"mean": 0.0, "std": [1.0, 0.0, 1.0]}, "channels, above 0, in units"),
        ({"labels": ["a", "b"]}, "labels: got 2, but model 'tiny' has 3 out"),
        ({"labels": ["a", " ", "c"]}, "labels: number 1 is ' ', expected one"),
        ({"labels": ["a", "b\nc", "d"]}, r"labels: number 1 is 'b\\nc'"),
    ],
)
def test_bad_arguments(arguments, words, tmp_path):
    with pytest.raises(ValueError, match=words):
        drnet_tflite.convert(network(), tmp_path / "net.tflite", **arguments)
    assert files(tmp_path) == []


@pytest.mark.parametrize("labels", ["abc", [1, 2, 3]])
def test_labels_of_another_type(labels, tmp_path):
    with pytest.raises(TypeError, match="expected a list of strings"):
        drnet_tflite.convert(network(), tmp_path / "n.tflite", labels=labels)


def test_models_of_another_form(tmp_path):
    path = tmp_path / "net.tflite"
    a, b = keras.Input((8, 8, 3)), keras.Input((8, 8, 3))
    with pytest.raises(ValueError, match="has 2 inputs, expected one"):
        drnet_tflite.convert(keras.Model([a, b], LAYERS.Add()([a, b])), path)
    two = keras.Model(a, [LAYERS.ReLU()(a), LAYERS.Softmax()(a)])
    with pytest.raises(ValueError, match="has 2 outputs, expected one"):
        drnet_tflite.convert(two, path)
    with pytest.raises(ValueError, match=r"shape \(None, None, None, 3\), but"):
        drnet_tflite.convert(network(shape=(None, None, 3)), path)
    with pytest.raises(TypeError, match="expected a Functional or Sequential"):
        drnet_tflite.convert("net.keras", path)
    assert files(tmp_path) == []


def test_mixed_precision_is_refused_and_its_way_out_works(tmp_path):
    path = tmp_path / "net.tflite"
    model = keras.Sequential(
        [
            keras.Input((8, 8, 3)),
            LAYERS.Conv2D(2, 3, dtype="mixed_bfloat16", name="conv"),
            LAYERS.GlobalMaxPooling2D(dtype="float32"),
        ]
    )
    with pytest.raises(ValueError, match="layer 'conv' computes in bfloat16"):
        drnet_tflite.convert(model, path)
    copy = keras.models.clone_model(model)
    copy.set_weights(model.get_weights())
    for layer in copy.layers:
        layer.dtype_policy = "float32"
    drnet_tflite.convert(copy, path)


@pytest.mark.parametrize("name", ["net.keras", "net"])
def test_path_of_another_kind(name, tmp_path):
    with pytest.raises(ValueError, match=r"expected a name that ends in '\.tf"):
        drnet_tflite.convert(network(), tmp_path / name)


def test_missing_folder_is_told_before_the_work(tmp_path, monkeypatch):
    monkeypatch.setattr(converter, "export", None)
    with pytest.raises(ValueError, match="folder '.*none' does not exist"):
        drnet_tflite.convert(network(), tmp_path / "none" / "net.tflite")


class Erfinv(LAYERS.Layer):
    def call(self, x):
        return keras.ops.erfinv(0.1 * x)


class Noise(LAYERS.Layer):
    def call(self, x):
        return x + keras.random.normal(keras.ops.shape(x))


@pytest.mark.parametrize(
    ("layer", "operator"), [(Erfinv, "Erfinv"), (Noise, "FlexStatelessRandom")]
)
def test_operators_beyond_the_standard_runtime(layer, operator, tmp_path):
    with pytest.raises(ValueError, match=f"LiteRT has no operator.*{operator}"):
        drnet_tflite.convert(network(layer()), tmp_path / "net.tflite")
    assert files(tmp_path) == []


def test_a_file_that_differs_is_not_left_behind(tmp_path, monkeypatch):
    path = tmp_path / "net.tflite"
    path.write_bytes(b"the file of before")
    export = converter.export

    def tampered(model, file, *arguments):
        other = keras.models.clone_model(model)
        weights = model.get_weights()
        weights[-1] += [0.0, 0.01, 0.0]
        other.set_weights(weights)
        export(other, file, *arguments)

    monkeypatch.setattr(converter, "export", tampered)
    with pytest.raises(ValueError, match="was not converted") as caught:
        drnet_tflite.convert(network(), path, labels=list("abc"))
    assert "expected at most 1e-04; look for layers" in str(caught.value)
    assert "at output 1 (Keras" in str(caught.value)
    assert files(tmp_path) == ["net.tflite"]
    assert path.read_bytes() == b"the file of before"


def test_nan_weights_are_the_models_fault(tmp_path):
    model = network()
    model.set_weights([np.full_like(w, np.nan) for w in model.get_weights()])
    with pytest.raises(ValueError, match="'tiny' itself gives NaN"):
        drnet_tflite.convert(model, tmp_path / "net.tflite")
    assert files(tmp_path) == []
