"""Running and timing files."""

from __future__ import annotations

import subprocess
import sys

import drnet_tflite
import keras
import numpy as np
import pytest


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    keras.utils.set_random_seed(1)
    model = keras.Sequential(
        [
            keras.Input((6, 6, 3)),
            keras.layers.Conv2D(4, 3, activation="relu"),
            keras.layers.GlobalAveragePooling2D(),
            keras.layers.Dense(2),
        ]
    )
    file = tmp_path_factory.mktemp("runtime") / "net.tflite"
    drnet_tflite.convert(model, file)
    return file


def images(count=3, size=6, dtype="float32"):
    generator = np.random.default_rng(0)
    return generator.integers(0, 9, (count, size, size, 3)).astype(dtype)


def test_a_batch_is_its_images_one_by_one(path):
    batch = images()
    outputs = drnet_tflite.run(path, batch)
    assert outputs.shape == (3, 2)
    assert outputs.dtype == np.float32
    for number in range(3):
        single = drnet_tflite.run(path, batch[number : number + 1], threads=2)
        np.testing.assert_allclose(single[0], outputs[number], rtol=1e-6)
    assert np.abs(outputs[0] - outputs[1]).max() > 1e-3
    assert drnet_tflite.run(path, batch[:0]).shape == (0, 2)


@pytest.mark.parametrize("dtype", ["uint8", "int64", "float64", "float16"])
def test_numbers_become_the_files_type(path, dtype):
    np.testing.assert_array_equal(
        drnet_tflite.run(path, images(dtype=dtype)),
        drnet_tflite.run(path, images()),
    )


def test_images_that_do_not_fit(path):
    with pytest.raises(ValueError, match=r"expects \(images, 6, 6, 3\); resiz"):
        drnet_tflite.run(path, images(size=5))
    with pytest.raises(ValueError, match=r"got the shape \(6, 6, 3\), but"):
        drnet_tflite.run(path, images()[0])
    with pytest.raises(ValueError, match="got complex64, but .* float32"):
        drnet_tflite.run(path, images(dtype="complex64"))
    broken = images()
    broken[1, 2, 3, 0] = np.nan
    with pytest.raises(ValueError, match="some values are NaN or infinite"):
        drnet_tflite.run(path, broken)


def test_files_that_cannot_run(path, tmp_path):
    with pytest.raises(ValueError, match="none.tflite': no such file"):
        drnet_tflite.run(tmp_path / "none.tflite", images())
    whole = path.read_bytes()
    for content in (b"", b"some text", whole[: len(whole) // 2], whole[:-1]):
        damaged = tmp_path / "damaged.tflite"
        damaged.write_bytes(content)
        with pytest.raises(ValueError, match="LiteRT cannot run it"):
            drnet_tflite.measure_latency(damaged)


def test_quantized_files_take_and_give_real_values(path, tmp_path):
    model = keras.Sequential(
        [keras.Input((6, 6, 3)), keras.layers.GlobalAveragePooling2D()]
    )
    file = tmp_path / "bytes.tflite"
    values = np.linspace(-1.0, 1.55, 108).reshape(1, 6, 6, 3)
    extremes = [np.full_like(values, -1.0), np.full_like(values, 1.55)]
    drnet_tflite.convert(
        model,
        file,
        quantization="int8",
        representative_images=np.concatenate([values, *extremes]),
    )
    info = drnet_tflite.runtime.LoadedModel(file).input
    assert (info.scale, info.zero_point) == (pytest.approx(0.01), 100)
    found = drnet_tflite.run(file, values)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, values.mean((1, 2)), atol=0.02)
    # Whole numbers are real values, too, and what is too large is the largest.
    ones = drnet_tflite.run(file, np.ones((1, 6, 6, 3), "uint8"))
    np.testing.assert_allclose(ones, 1.0, atol=0.02)
    tens = drnet_tflite.run(file, 10 * np.ones((1, 6, 6, 3)))
    np.testing.assert_allclose(tens, 1.55, atol=0.02)
    with pytest.raises(ValueError, match="got complex64, but .* float32"):
        drnet_tflite.run(file, images(dtype="complex64"))


def test_latency_of_one_file(path):
    latency = drnet_tflite.measure_latency(path, runs=7, warmup=1, threads=2)
    assert 0.0 < latency.min_ms <= latency.median_ms < 1000.0
    assert latency.min_ms <= latency.mean_ms
    assert (latency.runs, latency.threads) == (7, 2)


def test_a_larger_network_takes_longer(path, tmp_path):
    large = tmp_path / "large.tflite"
    model = keras.Sequential(
        [
            keras.Input((48, 48, 3)),
            keras.layers.Conv2D(32, 3),
            keras.layers.Conv2D(32, 3),
        ]
    )
    drnet_tflite.convert(model, large)
    few, many = drnet_tflite.compare_latency([path, large], runs=9)
    assert 3.0 * few.median_ms < many.median_ms


def test_compared_files_take_turns(path, monkeypatch):
    order = []
    loaded = drnet_tflite.runtime.LoadedModel

    class Spy(loaded):
        def invoke(self):
            order.append(id(self))
            super().invoke()

    monkeypatch.setattr(drnet_tflite.runtime, "LoadedModel", Spy)
    drnet_tflite.compare_latency([path, path], runs=3, warmup=1)
    first, second = order[:2]
    assert first != second
    assert order == [first, second] * 4


def test_bad_settings(path):
    with pytest.raises(ValueError, match="runs: got 0, expected a whole numb"):
        drnet_tflite.measure_latency(path, runs=0)
    with pytest.raises(ValueError, match="warmup: got -1, expected"):
        drnet_tflite.measure_latency(path, warmup=-1)
    with pytest.raises(ValueError, match=r"threads: got 1\.5, expected"):
        drnet_tflite.run(path, images(), threads=1.5)
    with pytest.raises(TypeError, match="expected a list of paths"):
        drnet_tflite.compare_latency(str(path))


def test_neither_tensorflow_nor_keras_is_loaded(path):
    code = f"""
import sys
import numpy as np
import drnet_tflite
drnet_tflite.run({str(path)!r}, np.zeros((1, 6, 6, 3)))
drnet_tflite.measure_latency({str(path)!r}, runs=2)
dir(drnet_tflite), drnet_tflite.ConversionReport
print(sorted({{"tensorflow", "keras", "drnet_tf"}} & set(sys.modules)))
"""
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        env={"PYTHONPATH": ":".join(filter(None, sys.path))},
    )
    assert (done.stdout, done.stderr) == ("[]\n", "")
