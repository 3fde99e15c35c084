"""Training: what is learned, where a stopped run goes on, what is refused."""

from __future__ import annotations

from pathlib import Path

import keras
import numpy as np
import pytest

from drnet_tf.training import Training, train
from drnet_tf.training.checkpoints import Checkpoints
from tools.module_imports import find_modules, imports_of, reachable

layers = keras.layers


@pytest.fixture(scope="module")
def model():
    """With norms and dropout, whose states must be kept, too."""
    keras.utils.set_random_seed(0)
    return keras.Sequential(
        [
            keras.Input((6, 6, 3)),
            layers.Conv2D(8, 3, use_bias=False),
            layers.BatchNormalization(),
            layers.ReLU(),
            layers.Dropout(0.2),
            layers.GlobalAveragePooling2D(),
            layers.Dense(3),
        ]
    )


@pytest.fixture(scope="module")
def data():
    labels = np.arange(54) % 3
    images = np.random.default_rng(0).random((54, 6, 6, 3), "float32")
    images[np.arange(54), ..., labels] += 1
    return images, labels


def _train(model, data, **options):
    settings = Training(
        epochs=3, batch_size=16, learning_rate=0.05, padding=1, seed=3
    )
    return train(model, data, settings, progress=False, **options)


def _bytes(trained):
    return [w.tobytes() for w in trained.model.get_weights()]


def test_it_learns_and_the_model_stays_as_it_was(model, data):
    before = [w.copy() for w in model.get_weights()]
    reports = []
    trained = _train(
        model, data, epochs=15, validation_data=data, report=reports.append
    )
    for mine, old in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(mine, old)
    history = trained.history
    assert [len(values) for values in history.values()] == [15] * 3
    assert history["loss"][-1] < history["loss"][0] / 2
    found = trained.model.predict(data[0], verbose=0).argmax(-1)
    assert (found == data[1]).mean() == history["accuracy"][-1] > 0.9
    assert not trained.model.compiled
    assert [r.epoch for r in reports] == list(range(1, 16))
    assert [r.loss for r in reports] == history["loss"]
    assert reports[-1].seconds_left == 0


def test_one_update_is_the_formula(data):
    """A linear network on one batch, by NumPy."""
    keras.utils.set_random_seed(1)
    model = keras.Sequential([keras.Input((108,)), layers.Dense(3)])
    images, labels = data[0].reshape(54, 108), data[1]
    weights, bias = model.get_weights()
    scores = images @ weights + bias
    p = np.exp(scores) / np.exp(scores).sum(-1, keepdims=True)
    slope = images.T @ (p - np.eye(3)[labels]) / 54
    trained = train(
        model,
        (images, labels),
        epochs=1,
        learning_rate=0.5,
        weight_decay=0.2,
        progress=False,
    )
    np.testing.assert_allclose(
        trained.model.get_weights()[0],
        weights - 0.5 * (slope + 0.2 * weights),
        rtol=1e-4,
        atol=1e-6,
    )
    loss = -np.log(p[np.arange(54), labels]).mean()
    assert trained.history["loss"] == [pytest.approx(loss, rel=1e-5)]


@pytest.fixture(scope="module")
def whole(model, data):
    return _train(model, data, validation_data=data)


@pytest.mark.parametrize("stop_after", [4, 11])
def test_a_stopped_run_goes_on_to_the_same_bytes(
    model, data, whole, tmp_path, monkeypatch, stop_after
):
    """Of four updates an epoch; what the last checkpoint lacks is redone.

    The first goes on with the short batch at the end of an epoch.
    """
    _stop_after(stop_after, monkeypatch)
    with pytest.raises(KeyboardInterrupt):
        _train(model, data, validation_data=data, work_dir=tmp_path)
    monkeypatch.undo()
    again = _train(model, data, validation_data=data, work_dir=tmp_path)
    assert _bytes(again) == _bytes(whole)
    for name in ("loss", "accuracy"):
        assert again.history[name] == whole.history[name]


def _stop_after(updates, monkeypatch):
    """Stops the run; only every third update is kept."""
    due = []

    def counted(self):
        due.append(None)
        if len(due) > updates:
            raise KeyboardInterrupt
        return len(due) % 3 == 0

    monkeypatch.setattr(Checkpoints, "due", counted)


def test_a_run_that_is_done_is_not_trained_further(model, data, tmp_path):
    done = _train(model, data, work_dir=tmp_path)
    reports = []
    again = _train(model, data, work_dir=tmp_path, report=reports.append)
    assert _bytes(again) == _bytes(done)
    assert again.history == done.history and reports == []


def test_the_seed_decides(model, data, whole):
    assert _bytes(_train(model, data)) == _bytes(whole)
    assert _bytes(_train(model, data, seed=4)) != _bytes(whole)


def test_mixed_precision_goes_on_and_gives_float32_back(
    model, data, whole, tmp_path, monkeypatch
):
    """With float16 the scale of the loss is kept, too."""
    policy = {"dtype_policy": "mixed_float16"}
    mixed = _train(model, data, **policy)
    _stop_after(5, monkeypatch)
    with pytest.raises(KeyboardInterrupt):
        _train(model, data, work_dir=tmp_path, **policy)
    monkeypatch.undo()
    again = _train(model, data, work_dir=tmp_path, **policy)
    assert _bytes(again) == _bytes(mixed) != _bytes(whole)
    assert {x.compute_dtype for x in again.model.layers} == {"float32"}


def test_the_folder_of_another_run_is_refused(model, data, tmp_path):
    _train(model, data, epochs=1, work_dir=tmp_path)
    other = keras.models.clone_model(model)
    images, labels = data
    for arguments, options, words in (
        ((model, data), {"epochs": 2}, "its 'epochs' is 1, this run's is 2"),
        ((model, data), {"seed": 4}, "its 'seed' is 3, this run's is 4"),
        ((other, data), {}, "its 'model' is"),
        ((model, (images * 2, labels)), {}, "its 'images' is"),
        ((model, (images, labels[::-1])), {}, "its 'labels' is"),
        ((model, data), {"validation_data": data}, "its 'validation' is null"),
    ):
        with pytest.raises(ValueError) as refused:
            _train(*arguments, work_dir=tmp_path, **{"epochs": 1} | options)
        assert "holds another run" in str(refused.value)
        assert words in str(refused.value)


def test_the_state_of_another_optimizer_is_refused(
    model, data, tmp_path, monkeypatch
):
    load = Checkpoints.load

    def fewer(self):
        state, position = load(self)
        return dict(list(state.items())[:-1]), position

    _train(model, data, epochs=1, work_dir=tmp_path)
    monkeypatch.setattr(Checkpoints, "load", fewer)
    with pytest.raises(ValueError, match="it was kept by another version"):
        _train(model, data, epochs=1, work_dir=tmp_path)


def test_what_cannot_be_trained_is_refused(model, data):
    images, labels = data
    for broken, words in (
        ((np.full_like(images, np.nan), labels), "image 0 holds NaN"),
        ((images, labels + 1), "label 3 of image 2 is out of range"),
    ):
        with pytest.raises(ValueError, match=words):
            _train(model, broken)
        with pytest.raises(ValueError, match=words):
            _train(model, data, validation_data=broken)
    with pytest.raises(ValueError, match=r"the loss is (nan|inf) in update"):
        _train(model, (images * 1e30, labels), learning_rate=1e30)
    one, two = keras.Input((3,)), keras.Input((3,))
    scores = layers.Dense(3)(layers.Add()([one, two]))
    with pytest.raises(ValueError, match="has 2 inputs, expected one"):
        _train(keras.Model([one, two], scores), data)


def test_nothing_on_the_way_imports_tensorflow():
    modules = find_modules(Path(__file__).parents[2])
    known = {module.name for module in modules}
    names = {x.name for x in modules if x.name.startswith("drnet_tf.training")}
    found = reachable(modules, sorted(names | {"drnet_tf.top_class"}))
    assert "drnet_tf.augmentation" in {module.name for module in found}
    assert not [
        (module.name, imported.name)
        for module in found
        for imported in imports_of(module, known)
        if imported.name.split(".")[0] == "tensorflow"
    ]
