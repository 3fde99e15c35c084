"""The page of small networks and the curves on it."""

from __future__ import annotations

import keras
import numpy as np
import pytest

from drnet_tf.importance import ChannelImportance
from drnet_tf.labeled_images import LabeledImages
from drnet_tf.masks import union
from drnet_tf.reporting.curves import accuracy_curves
from drnet_tf.reporting.figures import CurveSeries
from drnet_tf.reporting.subtask_page import overview, subtask_page

NAMES = ("cat", "cow", "dog")
SCORES = np.array([[1.0, 0.1, 0.1], [0.1, 1.0, 0.1], [0.1, 0.1, 1.0]])


@pytest.fixture
def importance():
    diagnostics = {
        "balance": 2.0,
        "zero_gates": 0.25,
        "iterate_histogram": [1, 0, 5],
        "fallback_rate": 1 / 6,
    }
    return ChannelImportance({"conv": SCORES}, NAMES, "hand", {}, diagnostics)


@pytest.fixture
def results():
    row = {
        "classes": ["cat", "dog"],
        "images": 200,
        "full_accuracy": 0.99,
        "accuracy": 0.985,
        "drop": 0.5,
        "channels": 0.66,
        "parameters": 0.4,
        "macs": 0.5,
        "small_parameters": 400,
        "small_macs": 5000,
        "masked_difference": 2.5e-7,
        "tflite_difference": 3.5e-7,
        "tflite_bytes": 12345,
        "milliseconds": 0.25,
    }
    return {
        "network": "pets",
        "data": "images of 'pets/'",
        "class_names": list(NAMES),
        "settings": {"seed": 0},
        "max_drop": 1.0,
        "seconds": 12.0,
        "full": {
            "full_accuracy": 0.97,
            "parameters_count": 1000,
            "macs_count": 10000,
            "tflite_bytes": 54321,
            "milliseconds": 0.5,
        },
        "rows": [row],
        "unreached": ["Sub-task ('cow',): no sub-network is within <1> points"],
    }


def test_the_page_shows_figures_pictures_and_proof(importance, results):
    masks = {"cat, dog": union(importance, ("cat", "dog"), 0.5)}
    line = CurveSeries("cat, dog", [0.33, 1.0], [0.5, 0.99])
    page = subtask_page(
        results, importance, masks, [line], "run --model=a&b"
    ).render()
    assert page.count("<svg") == 4
    for words in (
        "out of &#x27;pets&#x27;",
        "12,345",
        "54,321",
        "2.5e-07",
        "3.5e-07",
        "within &lt;1&gt; points",
        "runs 40% of the parameters",
        "run --model=a&amp;b",
    ):
        assert words in page, words


def test_the_overview_is_for_a_terminal(results):
    lines = overview(results).splitlines()
    assert lines[2].split() == [
        "full", "network", "97.00%", "–", "100.0%", "100.0%", "100.0%",
        "54,321", "0.500",
    ]  # fmt: skip
    assert lines[3].startswith("cat, dog      99.00%  98.50%")
    assert "2.5e-07 between a small and the masked" in lines[5]


def test_a_method_without_iterates_has_no_histogram(importance, results):
    plain = ChannelImportance({"conv": SCORES}, NAMES, "activations")
    masks = {"cat, dog": union(plain, ("cat", "dog"), 0.5)}
    line = CurveSeries("cat, dog", [0.33, 1.0], [0.5, 0.99])
    page = subtask_page(results, plain, masks, [line], "run").render()
    assert page.count("<svg") == 3


def test_curves_end_at_the_full_network(importance):
    image = keras.Input((2, 2, 3))
    conv = keras.layers.Conv2D(3, 1, activation="relu", name="conv")
    head = keras.layers.Dense(3)
    model = keras.Model(
        image, head(keras.layers.GlobalAveragePooling2D()(conv(image)))
    )
    conv.set_weights([np.eye(3)[None, None], np.zeros(3)])
    head.set_weights([np.eye(3), np.zeros(3)])
    images = np.broadcast_to(np.eye(3)[:, None, None], (3, 2, 2, 3))
    data = LabeledImages(images.astype(np.float32), np.arange(3), NAMES)
    pair, all_three = accuracy_curves(
        model,
        importance,
        data,
        [("cat", "dog"), NAMES],
        fractions=[0.3, 0.6],
    )
    assert pair.name == "cat, dog"
    assert pair.fraction_kept == pytest.approx([2 / 3, 2 / 3, 1.0])
    assert pair.accuracy == [1.0, 1.0, 1.0]
    assert all_three.accuracy[-1] == 1.0
