"""Tests of drnet_tf/class_mask_training.py."""

from __future__ import annotations

import keras
import numpy as np
import pytest

from drnet_tf.class_mask_training import train_with_class_masks
from drnet_tf.dissection import class_mask_epochs
from drnet_tf.dissection.class_masks import ClassMasks
from drnet_tf.pruning import prune
from drnet_tf.scale_folding import fold_scales
from drnet_tf.voting import class_sums, vote

layers = keras.layers


@pytest.fixture(scope="module")
def model():
    keras.utils.set_random_seed(0)
    image = keras.Input((4, 4, 3))
    x = layers.Conv2D(6, 1, use_bias=False, name="stem")(image)
    x = y = layers.ReLU(name="relu")(layers.BatchNormalization(name="norm")(x))
    y = layers.Conv2D(8, 1, use_bias=False, name="inner")(y)
    y = layers.ReLU(name="inner_relu")(layers.BatchNormalization()(y))
    y = layers.Conv2D(6, 1, name="outer")(layers.Dropout(0.2)(y))
    x = layers.ReLU(name="sum_relu")(layers.Add()([x, y]))
    x = layers.GlobalAveragePooling2D()(x)
    return keras.Model(image, layers.Dense(3)(x))


@pytest.fixture(scope="module")
def data():
    labels = np.arange(48) % 3
    images = np.random.default_rng(0).random((48, 4, 4, 3)) / 2
    images[np.arange(48), ..., labels] += 1
    return images.astype("float32"), labels


def _train(model, data, epochs=2, **options):
    settings = ClassMasks(epochs=epochs, learning_rate=0.05)
    return train_with_class_masks(
        model, data, settings, batch_size=16, progress=False, **options
    )


def test_weights_and_masks_move_the_model_does_not(model, data):
    before = model.get_weights()
    trained = _train(model, data)
    assert set(trained.masks) == {"relu", "inner_relu"}
    assert trained.masks["inner_relu"].shape == (3, 8)
    assert (trained.masks["inner_relu"] != 1).all()
    assert len(trained.losses) == 2 and trained.losses[1] < trained.losses[0]
    for mine, old in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(mine, old)
    for name in ("stem", "norm", "outer"):
        new = trained.model.get_layer(name).get_weights()
        own = model.get_layer(name).get_weights()
        assert all((x != y).any() for x, y in zip(new, own, strict=True))


def test_the_seed_decides_and_a_stopped_run_goes_on(
    model, data, tmp_path, monkeypatch
):
    whole = _train(model, data, seed=3)
    save = class_mask_epochs.KeptEpoch.save

    def save_and_stop(self, network, losses):
        save(self, network, losses)
        raise KeyboardInterrupt

    monkeypatch.setattr(class_mask_epochs.KeptEpoch, "save", save_and_stop)
    with pytest.raises(KeyboardInterrupt):
        _train(model, data, seed=3, work_dir=tmp_path)
    monkeypatch.undo()
    found = _train(model, data, seed=3, work_dir=tmp_path)
    assert found.losses == whole.losses
    for site, masks in whole.masks.items():
        np.testing.assert_array_equal(found.masks[site], masks)
    for mine, theirs in zip(
        found.model.get_weights(), whole.model.get_weights(), strict=True
    ):
        np.testing.assert_array_equal(mine, theirs)
    assert _train(model, data, seed=4).losses != whole.losses


def test_scales_are_half_the_sum_over_classes(model, data):
    trained = _train(model, data, epochs=1, sites=["inner_relu"])
    (masks,) = trained.masks.values()
    np.testing.assert_allclose(
        trained.scales()["inner_relu"], masks.sum(0) / 2, rtol=1e-6
    )


def test_from_masks_to_the_small_network(model, data):
    trained = _train(model, data, sites=["inner_relu"])
    folded = fold_scales(trained.model, trained.scales())
    mask = vote(folded, class_sums(trained.masks), 0.2)
    small = prune(folded, mask)
    assert small.model.get_layer("inner").filters == mask.widths["inner_relu"]
    assert 0 < mask.widths["inner_relu"] < 8


def test_bad_arguments_are_refused(model, data):
    with pytest.raises(ValueError, match="batch_size is 0"):
        train_with_class_masks(model, data, batch_size=0)
    with pytest.raises(ValueError, match="expected some of"):
        train_with_class_masks(model, data, sites=["none"])
