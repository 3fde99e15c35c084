from __future__ import annotations

import json
import sys
import types

import keras
import numpy as np
import pytest

from drnet_tf.costs import count_masked_costs
from drnet_tf.importance import ChannelImportance
from drnet_tf.masks import ChannelMask, union
from drnet_tf.subnetworks import SubTask

_NAMES = ("cat", "cow", "dog")


@pytest.fixture(scope="module")
def subtask():
    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [
            keras.Input((6, 6, 1)),
            keras.layers.Conv2D(4, 3, activation="relu", name="one"),
            keras.layers.Conv2D(3, 3, activation="relu", name="two"),
            keras.layers.GlobalAveragePooling2D(),
            keras.layers.Dense(3),
        ],
        name="net",
    )
    importance = ChannelImportance(
        {
            "one": np.array([[0.9, 0, 0, 0], [0] * 4, [0, 0.8, 0, 0]]),
            "two": np.array([[0.1, 0.2, 0.0], [0] * 3, [0.2, 0, 0]]),
        },
        _NAMES,
        "by hand",
    )
    mask = union(importance, ("dog", "cat"), 0.5)
    costs = count_masked_costs(model, mask, 2)
    return SubTask(model, mask, _NAMES, {"threshold": 0.5}, costs)


@pytest.fixture(scope="module")
def images():
    return np.random.default_rng(1).normal(size=(20, 6, 6, 1)).astype("float32")


def test_summary_by_hand(subtask):
    # one: 2 of 4 channels (9 + 1) each; two: 1 of 3 with 9 x 2 + 1 (full:
    # 9 x 4 + 1 each); classifier: 2 x (1 + 1) of 3 x (3 + 1).
    assert subtask.summary() == (
        "Sub-task dog, cat of 'net'\n"
        "  asked for    threshold 0.5\n"
        "  mask         union of by hand, threshold 0.5, round_to 1\n"
        "  channels     3 of 7 running (42.9 %)\n"
        "  parameters   43 of 163 running (26.4 %)\n"
        "  MACs         362 of 1,017 running (35.6 %)\n"
        "  sub-network  43 parameters, 362 MACs, 172 bytes as float32\n"
        "  kept         channel 0 of 'two', below the threshold: the best of a "
        "layer that would be empty"
    )
    assert repr(subtask) == (
        "SubTask(dog, cat: 42.9 % of the channels, 26.4 % of the parameters)"
    )


def test_evaluate_takes_labels_of_the_full_network(subtask, images):
    scores = subtask.model.predict(images, verbose=0)
    assert scores.shape == (20, 2)
    labels = np.where(scores[:, 0] >= scores[:, 1], 2, 0)
    labels[:5] = 1  # not of the sub-task
    result = subtask.evaluate((images, labels))
    assert (result.accuracy, result.count) == (1.0, 15)


def test_save(subtask, images, tmp_path):
    folder = tmp_path / "pair"
    subtask.save(folder)
    assert sorted(path.name for path in folder.iterdir()) == [
        "mask.safetensors",
        "model.keras",
        "subtask.json",
    ]
    loaded = keras.models.load_model(folder / "model.keras")
    np.testing.assert_array_equal(
        loaded.predict(images, verbose=0),
        subtask.model.predict(images, verbose=0),
    )
    mask = ChannelMask.load(folder / "mask.safetensors")
    assert mask.same_channels(subtask.mask)
    figures = json.loads((folder / "subtask.json").read_text())
    assert figures == subtask.as_dict()
    assert figures["classes"] == ["dog", "cat"]
    assert figures["mask"]["rescued"] == {"two": 0}
    assert figures["running"]["parameters"] == 43
    assert figures["sub_network"]["bytes"] == 172
    assert figures["report"]["parameters_after"] == 43


def test_save_again_and_beside_other_files(subtask, tmp_path):
    (tmp_path / "note.txt").write_text("mine")
    subtask.save(tmp_path)
    subtask.save(tmp_path)
    assert (tmp_path / "note.txt").read_text() == "mine"
    assert len(list(tmp_path.iterdir())) == 4


def test_failed_save_leaves_nothing(subtask, tmp_path, monkeypatch):
    def fail(path):
        raise OSError("disk full")

    monkeypatch.setattr(ChannelMask, "save", lambda self, path: fail(path))
    with pytest.raises(OSError, match="disk full"):
        subtask.save(tmp_path / "new")
    assert list(tmp_path.iterdir()) == []


def test_save_to_a_bad_folder(subtask, tmp_path):
    with pytest.raises(ValueError, match="the folder .*no' does not exist"):
        subtask.save(tmp_path / "no" / "pair")
    (tmp_path / "file").write_text("")
    with pytest.raises(ValueError, match="cannot be written: Not a directory"):
        subtask.save(tmp_path / "file")


def test_to_tflite_passes_the_classes_as_labels(subtask, monkeypatch):
    calls = []
    converter = types.ModuleType("drnet_tflite")
    converter.convert = lambda *args, **kwargs: calls.append((args, kwargs))
    monkeypatch.setitem(sys.modules, "drnet_tflite", converter)
    subtask.to_tflite("x.tflite", quantization="float16")
    subtask.to_tflite("x.tflite", labels=("A", "B"))
    assert calls == [
        (
            (subtask.model, "x.tflite"),
            {"labels": ("dog", "cat"), "quantization": "float16"},
        ),
        ((subtask.model, "x.tflite"), {"labels": ("A", "B")}),
    ]


@pytest.mark.parametrize("missing", ["drnet_tflite", "ai_edge_litert"])
def test_to_tflite_without_the_converter(missing, subtask, monkeypatch):
    monkeypatch.setitem(sys.modules, missing, None)
    with pytest.raises(
        ImportError,
        match=r"needs the extra 'tflite', install it with: pip install "
        r"'drnet_tf\[tflite\]'",
    ):
        subtask.to_tflite("x.tflite")
