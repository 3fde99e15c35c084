"""Tests of drnet_tf/dissection/autodiff.py, and of the JAX backend."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
from keras import ops

import drnet_tf
from drnet_tf.dissection import autodiff
from drnet_tf.dissection.cdrp import CDRP, GateLearner

# Runs in a process of its own: Keras reads its backend once.
_LEARN = """
import json, sys, types

package = types.ModuleType("drnet_tf")  # its facade imports TensorFlow
package.__path__ = [sys.argv[1]]
sys.modules["drnet_tf"] = package

import keras
import numpy as np
from drnet_tf.dissection.cdrp import CDRP, GateLearner

if keras.backend.backend() != "jax":
    sys.exit("not on the JAX backend")
if "drnet_tf.datasets" in sys.modules:
    sys.exit("learning gates imports datasets, and so TensorFlow")
model = keras.models.load_model(sys.argv[2])
learner = GateLearner(model, CDRP(balance=4.0))
cdrps = learner(np.load(sys.argv[3]))
np.savez(
    sys.argv[4],
    kl=cdrps.kl,
    flipped=cdrps.flipped,
    iteration=cdrps.iteration,
    **{f"gates_{site}": x for site, x in cdrps.gates.items()},
)
print(json.dumps(sorted(m for m in sys.modules if m == "tensorflow")))
"""


def small_net():
    keras.utils.set_random_seed(0)
    return keras.Sequential(
        [
            keras.Input((8, 8, 3)),
            keras.layers.Conv2D(6, 3, padding="same", name="conv1"),
            keras.layers.BatchNormalization(name="norm1"),
            keras.layers.ReLU(name="relu1"),
            keras.layers.Conv2D(5, 3, activation="relu", name="conv2"),
            keras.layers.GlobalAveragePooling2D(),
            keras.layers.Dense(
                4, kernel_initializer=keras.initializers.RandomNormal(0, 3)
            ),
        ]
    )


def test_gradient_of_a_square_is_twice_its_root():
    x = ops.convert_to_tensor([1.0, -2.0, 0.5])

    def function(x):
        return ops.sum(x * x), (x + 1, "other")

    slope, (plus, other) = autodiff.gradient(function, x)
    np.testing.assert_allclose(slope, [2.0, -4.0, 1.0])
    np.testing.assert_allclose(plus, [2.0, -1.0, 1.5])
    assert other == "other"


def test_a_function_is_compiled_once_for_all_batch_sizes():
    traced = []

    def function(images, factor):
        traced.append(images.shape)
        return ops.sum(images, axis=1) * factor[0]

    run = autodiff.compiled(function, [(None, 3), (1,)])
    factor = ops.convert_to_tensor([2.0])
    for count in (4, 1, 7):
        images = ops.ones((count, 3))
        np.testing.assert_array_equal(run(images, factor), 6 * np.ones(count))
    assert len(traced) == 1


def test_backends_without_a_gradient_are_refused(monkeypatch):
    monkeypatch.setattr(keras.backend, "backend", lambda: "torch")
    with pytest.raises(RuntimeError) as error:
        autodiff.check_backend()
    assert str(error.value) == (
        "Dissection runs on the Keras backends ('tensorflow', 'jax'), got "
        "'torch'; set KERAS_BACKEND to one of them."
    )


def test_jax_learns_the_gates_that_tensorflow_learns(tmp_path):
    pytest.importorskip("jax")
    model = small_net()
    random = np.random.default_rng(0)
    images = random.normal(size=(6, 8, 8, 3)).astype("float32")
    model.save(tmp_path / "model.keras")
    np.save(tmp_path / "images.npy", images)
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            _LEARN,
            str(Path(drnet_tf.__file__).parent),
            *(
                str(tmp_path / name)
                for name in ("model.keras", "images.npy", "found.npz")
            ),
        ],
        env={**os.environ, "KERAS_BACKEND": "jax"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout.splitlines()[-1]) == []
    found = np.load(tmp_path / "found.npz")
    expected = GateLearner(model, CDRP(balance=4.0))(images)
    for site, gates in expected.gates.items():
        np.testing.assert_allclose(found[f"gates_{site}"], gates, atol=1e-3)
    np.testing.assert_allclose(found["kl"], expected.kl, atol=1e-3)
    np.testing.assert_array_equal(found["flipped"], expected.flipped)
    np.testing.assert_array_equal(found["iteration"], expected.iteration)
