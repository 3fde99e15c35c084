"""The smaller formats: smaller, as right as they must be, or refused."""

from __future__ import annotations

import drnet_tflite
import keras
import numpy as np
import pytest
from drnet_tflite import converter, verification
from drnet_tflite.loaded_model import LoadedModel
from drnet_tflite.operators import count_operators, float_operators

LAYERS = keras.layers
CLASSES = 4
SMALLER = ("float16", "dynamic", "int8")


def labelled_images(count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Noise with one bright corner; which one is the class."""
    generator = np.random.default_rng(seed)
    labels = np.arange(count) % CLASSES
    images = generator.normal(0.0, 0.5, (count, 8, 8, 3)).astype("float32")
    for image, label in zip(images, labels, strict=True):
        row, column = 4 * (label // 2), 4 * (label % 2)
        image[row : row + 4, column : column + 4] += 1.0
    return images, labels


@pytest.fixture(scope="module")
def trained():
    """A network that tells the corners apart, large enough to show its size."""
    keras.utils.set_random_seed(3)
    model = keras.Sequential(
        [
            keras.Input((8, 8, 3)),
            LAYERS.Conv2D(16, 3, padding="same", use_bias=False),
            LAYERS.BatchNormalization(),
            LAYERS.ReLU(),
            LAYERS.MaxPooling2D(),
            LAYERS.Flatten(),
            LAYERS.Dense(32, activation="relu"),
            LAYERS.Dense(CLASSES, activation="softmax"),
        ],
        name="corners",
    )
    model.compile("adam", "sparse_categorical_crossentropy")
    model.fit(*labelled_images(256, seed=0), epochs=6, verbose=0)
    return model


@pytest.fixture(scope="module")
def reports(trained, tmp_path_factory):
    """One report a format, checked on images that training has not seen."""
    folder = tmp_path_factory.mktemp("formats")
    images, _ = labelled_images(64, seed=1)
    return {
        name: drnet_tflite.convert(
            trained,
            folder / f"{name}.tflite",
            labels=["nw", "ne", "sw", "se"],
            quantization=name,
            representative_images=images,
        )
        for name in ("float32", *SMALLER)
    }


@pytest.mark.parametrize(
    ("name", "size", "difference"),
    [("float16", 0.6, 2e-3), ("dynamic", 0.4, 0.1), ("int8", 0.4, 0.1)],
)
def test_smaller_and_as_good(name, size, difference, reports):
    report = reports[name]
    assert report.bytes <= size * reports["float32"].bytes
    assert report.quantization == name
    assert report.images == 64
    assert report.agreement >= 0.98
    assert 1e-6 < report.max_difference <= difference
    images, labels = labelled_images(64, seed=2)
    found = drnet_tflite.run(report.path, images)
    assert found.dtype == np.float32
    assert np.mean(found.argmax(axis=-1) == labels) >= 0.95


@pytest.mark.parametrize("name", SMALLER)
def test_the_figures_are_those_of_the_file(name, trained, reports):
    images, _ = labelled_images(64, seed=1)
    expected = trained.predict(images, verbose=0)
    found = drnet_tflite.run(reports[name].path, images)
    distance = np.abs(found - expected).max() / expected.max()
    assert reports[name].max_difference == pytest.approx(distance, abs=1e-5)
    alike = np.mean(found.argmax(axis=-1) == expected.argmax(axis=-1))
    assert reports[name].agreement == pytest.approx(alike, abs=1 / 64)


def test_names_and_types_of_inputs_and_outputs(reports):
    for name, report in reports.items():
        assert (report.input.name, report.output.name) == ("image", "scores")
        dtype = "uint8" if name == "int8" else "float32"
        assert (report.input.dtype, report.output.dtype) == (dtype, dtype)
        assert drnet_tflite.read_labels(report.path) == ("nw", "ne", "sw", "se")
    # Softmax is at most 1, and 255 is the greatest byte.
    assert reports["int8"].output.scale == 1 / 256
    assert reports["int8"].output.zero_point == 0
    assert "uint8, 0.00390625 * (q - 0)" in str(reports["int8"])


def test_int8_has_no_float_but_at_the_ends(reports):
    assert reports["int8"].operators["QUANTIZE"] == 2  # bytes to int8 and back
    assert "DEQUANTIZE" not in reports["int8"].operators
    with open(reports["int8"].path, "rb") as file:
        assert float_operators(file.read()) == []
    with open(reports["float32"].path, "rb") as file:
        content = file.read()
    assert float_operators(content) == sorted(count_operators(content))


def test_the_oldest_runtime_is_that_of_the_operators(reports):
    versions = {
        name: tuple(map(int, report.min_runtime_version.split(".")))
        for name, report in reports.items()
    }
    # Fully connected layers on dynamic ranges came late; see the release notes.
    assert versions["dynamic"] >= (2, 0, 0)
    assert versions["float32"] < versions["int8"] <= versions["float16"]


def test_int8_is_bytes_in_and_out(reports):
    images, _ = labelled_images(4, seed=5)
    model = LoadedModel(reports["int8"].path)
    stored = model.input.quantize(images[:1])
    assert stored.dtype == np.uint8
    model.set_image(stored)
    model.invoke()
    by_hand = model.scores() / 256
    found = drnet_tflite.run(reports["int8"].path, images[:1])
    np.testing.assert_array_equal(found, by_hand.astype("float32"))
    assert drnet_tflite.measure_latency(reports["int8"].path, runs=2).runs == 2


@pytest.mark.parametrize("name", SMALLER)
def test_same_model_gives_same_bytes(name, trained, tmp_path):
    images, _ = labelled_images(16, seed=1)
    contents = []
    for path in (tmp_path / "a.tflite", tmp_path / "b.tflite"):
        drnet_tflite.convert(
            trained, path, quantization=name, representative_images=images
        )
        contents.append(path.read_bytes())
    assert contents[0] == contents[1]


@pytest.mark.parametrize("head", [None, "softmax"])
@pytest.mark.parametrize("name", SMALLER)
@pytest.mark.parametrize("seed", range(2))
def test_networks_that_are_not_trained_convert(name, head, seed, tmp_path):
    """Their scores are nearly ties, which 8 bits decide by chance."""
    keras.utils.set_random_seed(seed)
    image = keras.Input((8, 8, 3))
    x = image
    for _ in range(4):
        x = LAYERS.Conv2D(8, 3, padding="same", activation="relu")(x)
    x = LAYERS.GlobalAveragePooling2D()(x)
    model = keras.Model(image, LAYERS.Dense(10, activation=head)(x))
    images = np.random.default_rng(seed).normal(size=(16, 8, 8, 3))
    report = drnet_tflite.convert(
        model,
        tmp_path / "net.tflite",
        quantization=name,
        representative_images=images if name == "int8" else None,
    )
    assert report.images == 16


def pixels_network(dtype="float32"):
    image = keras.Input((8, 8, 3), dtype=dtype)
    x = LAYERS.Conv2D(4, 3)(LAYERS.Rescaling(1 / 255)(image))
    return keras.Model(image, LAYERS.GlobalMaxPooling2D()(x), name="pixels")


def test_pixels_are_their_own_bytes(tmp_path):
    """Where a network takes pixels, quantizing leaves them as they are."""
    pixels = np.arange(2 * 192).reshape(2, 8, 8, 3) % 256
    report = drnet_tflite.convert(
        pixels_network(),
        tmp_path / "net.tflite",
        quantization="int8",
        representative_images=pixels,
    )
    assert (report.input.scale, report.input.zero_point) == (1.0, 0)
    model = LoadedModel(report.path)
    np.testing.assert_array_equal(model.input.quantize(pixels), pixels)


def bad_images(**changes):
    images = {"shape": (2, 8, 8, 3), "dtype": "float32", "fill": 1.0} | changes
    return np.full(images["shape"], images["fill"], images["dtype"])


@pytest.mark.parametrize(
    ("images", "words"),
    [
        (None, "representative_images: got None, but 'int8' finds its scales"),
        (bad_images(shape=(8, 8, 3)), r"got the shape \(8, 8, 3\), but model"),
        (bad_images(shape=(0, 8, 8, 3)), r"\(images, 8, 8, 3\) with at least"),
        (bad_images(fill=np.inf), "some values are NaN or infinite; remove"),
        (bad_images(dtype="complex64"), "got complex64, but model 'corners'"),
    ],
)
def test_bad_images(images, words, trained, tmp_path, monkeypatch):
    monkeypatch.setattr(converter, "export", None)  # before the long work
    with pytest.raises(ValueError, match=words):
        drnet_tflite.convert(
            trained,
            tmp_path / "net.tflite",
            quantization="int8",
            representative_images=images,
        )


def test_bytes_as_input_of_the_network(tmp_path):
    model = pixels_network("uint8")
    arguments = {"representative_images": bad_images()}
    path = tmp_path / "net.tflite"
    with pytest.raises(ValueError, match="'pixels' takes uint8, expected fl"):
        drnet_tflite.convert(model, path, quantization="int8", **arguments)
    with pytest.raises(ValueError, match="got float32, but model 'pixels' ta"):
        drnet_tflite.convert(model, path, quantization="float16", **arguments)
    drnet_tflite.convert(model, path, quantization="float16")


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda x: keras.ops.cumsum(x, axis=1), "no int8 form of CUMSUM; rep"),
        (lambda x: keras.ops.erfinv(0.1 * x), "cannot convert it to int8 .*Er"),
    ],
)
def test_operators_without_a_form_in_bytes(call, words, tmp_path):
    image = keras.Input((8, 8, 3))
    x = LAYERS.GlobalMaxPooling2D()(LAYERS.Conv2D(4, 3)(image))
    with pytest.raises(ValueError, match=words):
        drnet_tflite.convert(
            keras.Model(image, call(x)),
            tmp_path / "net.tflite",
            quantization="int8",
            representative_images=bad_images(),
        )
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["dynamic", "int8"])
def test_another_class_first_is_refused(name, trained, tmp_path, monkeypatch):
    images, _ = labelled_images(40, seed=1)
    run = verification.run
    # On a quarter of the images, the first class falls behind.
    monkeypatch.setattr(
        verification,
        "run",
        lambda file, x: run(file, x) * np.array([0, 1, 1, 1], "float32"),
    )
    with pytest.raises(ValueError, match=r"first on 75 % of 40 represent"):
        drnet_tflite.convert(
            trained,
            tmp_path / "net.tflite",
            quantization=name,
            representative_images=images,
        )
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("name", "error"), [("float16", 0.06), ("dynamic", np.nan)]
)
def test_other_numbers_are_refused(name, error, trained, tmp_path, monkeypatch):
    run = verification.run
    monkeypatch.setattr(
        verification, "run", lambda file, x: run(file, x) + np.float32(error)
    )
    with pytest.raises(ValueError, match=f"as {name} it differs from Keras by"):
        drnet_tflite.convert(
            trained, tmp_path / "net.tflite", quantization=name
        )
