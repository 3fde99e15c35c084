"""Tests of drnet_tf/dissection/class_masks.py and class_mask_epochs.py."""

from __future__ import annotations

import keras
import numpy as np
import pytest

from drnet_tf.dissection import class_mask_epochs
from drnet_tf.dissection.class_masks import ClassMasks
from drnet_tf.dissection.dissect import dissect
from drnet_tf.importance import ChannelImportance

NAMES = ("red", "green")


@pytest.fixture(scope="module")
def model():
    """Channel 0 tells red, channel 1 green; nothing reads channel 2."""
    image = keras.Input((2, 2, 2))
    x = keras.layers.Conv2D(3, 1, use_bias=False, name="conv")(image)
    x = keras.layers.BatchNormalization(epsilon=0, name="norm")(x)
    x = keras.layers.ReLU(name="relu")(x)
    x = keras.layers.Dropout(0.5)(keras.layers.GlobalAveragePooling2D()(x))
    model = keras.Model(image, keras.layers.Dense(2, use_bias=False)(x))
    model.get_layer("conv").set_weights([np.eye(2, 3)[None, None]])
    model.layers[-1].set_weights([np.array([[1.0, 0], [0, 1], [0, 0]])])
    return model


@pytest.fixture(scope="module")
def data():
    labels = np.arange(16) % 2
    images = np.random.default_rng(0).random((16, 2, 2, 2)) / 4
    images[np.arange(16), ..., labels] += 1
    return images.astype("float32"), labels


def _dissect(model, data, method=None, **options):
    return dissect(
        model,
        data,
        method or ClassMasks(epochs=8, sparsity=0.01),
        class_names=NAMES,
        images_per_class=6,
        batch_size=4,
        progress=False,
        **options,
    )


def test_each_class_finds_its_channel(model, data):
    before, flags = model.get_weights(), [x.trainable for x in model.layers]
    found = _dissect(model, data)
    scores = found.scores["relu"]
    assert scores.shape == (2, 3) and (scores >= 0).all()
    assert scores[0, 0] > max(scores[1, 0], scores[0, 2])
    assert scores[1, 1] > max(scores[0, 1], scores[1, 2])
    # Without an influence, both rows of a channel only decay, alike.
    assert scores[0, 2] == scores[1, 2] < 1
    assert found.method == "class_masks"
    assert found.config["sparsity"] == 0.01
    losses = found.diagnostics["loss"]
    assert len(losses) == 8 and losses[-1] < losses[0]
    assert found.diagnostics["negative"] == 0
    assert [x.trainable for x in model.layers] == flags
    for mine, old in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(mine, old)


def test_the_seed_decides_and_a_stopped_run_goes_on(
    model, data, tmp_path, monkeypatch
):
    method = ClassMasks(epochs=3)
    whole = _dissect(model, data, method, seed=1)
    other = _dissect(model, data, method, seed=2)
    save = class_mask_epochs.KeptEpoch.save

    def save_and_stop(self, network, losses):
        save(self, network, losses)
        if len(losses) == 2:
            raise KeyboardInterrupt

    monkeypatch.setattr(class_mask_epochs.KeptEpoch, "save", save_and_stop)
    with pytest.raises(KeyboardInterrupt):
        _dissect(model, data, method, seed=1, work_dir=tmp_path)
    monkeypatch.undo()
    resumed = _dissect(model, data, method, seed=1, work_dir=tmp_path)
    np.testing.assert_array_equal(whole.scores["relu"], resumed.scores["relu"])
    assert whole.diagnostics == resumed.diagnostics
    assert not np.array_equal(whole.scores["relu"], other.scores["relu"])
    with pytest.raises(ValueError, match="holds another run: its 'seed'"):
        _dissect(model, data, method, seed=2, work_dir=tmp_path)


def test_it_is_saved_and_loaded(model, data, tmp_path):
    found = _dissect(model, data, ClassMasks(epochs=1), coupling="tied")
    found.save(tmp_path / "civ.safetensors")
    loaded = ChannelImportance.load(tmp_path / "civ.safetensors")
    assert loaded.method == "class_masks" and loaded.config == found.config


def _residual_network(blocks=12, seed=0):
    """A stem, then blocks of a convolution and a norm that are added to it."""
    keras.utils.set_random_seed(seed)
    image = keras.Input((2, 2, 2))
    x = keras.layers.Conv2D(4, 1, name="stem")(image)
    x = keras.layers.BatchNormalization(name="stem_norm")(x)
    x = keras.layers.ReLU(name="stem_relu")(x)
    for number in range(blocks):
        y = keras.layers.Conv2D(4, 1, name=f"inner_{number}")(x)
        y = keras.layers.ReLU(name=f"inner_relu_{number}")(y)
        y = keras.layers.Conv2D(4, 1, name=f"outer_{number}")(y)
        x = keras.layers.Add(name=f"add_{number}")([x, y])
        x = keras.layers.ReLU(name=f"relu_{number}")(x)
    x = keras.layers.GlobalAveragePooling2D()(x)
    return keras.Model(image, keras.layers.Dense(2)(x))


def _halved(model, images):
    """Shifts the last biases so that half of the images are of each class."""
    kernel, _ = model.layers[-1].get_weights()
    scores = model.predict(images, verbose=0)
    middle = np.median(scores[:, 1] - scores[:, 0])
    model.layers[-1].set_weights([kernel, np.array([middle, 0], "float32")])
    return model.predict(images, verbose=0).argmax(-1)


@pytest.mark.parametrize("coupling", ["free", "tied"])
def test_sums_have_no_masks_so_that_draws_do_not_multiply(data, coupling):
    model = _residual_network()
    data = data[0], _halved(model, data[0])
    found = _dissect(model, data, ClassMasks(epochs=4), coupling=coupling)
    masked = {f"inner_relu_{number}" for number in range(12)}
    if coupling == "free":  # tied, the stem goes with the sums
        masked.add("stem_relu")
    assert masked < set(found.scores)
    for site, scores in found.scores.items():
        assert bool(np.all(scores == 1)) == (site not in masked), site
    # Gates that multiplied along the sums would bring the loss far above what
    # the network has without masks.
    scores = model.predict(data[0], verbose=0)
    without = keras.losses.sparse_categorical_crossentropy(
        data[1], scores, from_logits=True
    )
    assert found.diagnostics["loss"][0] < np.mean(without) + 0.5


def test_a_network_without_a_place_for_masks_is_refused(data):
    image = keras.Input((2, 2, 2))
    conv = keras.layers.Conv2D(3, 1, name="shared")
    x = keras.layers.Add()([conv(image), conv(image * 2)])
    x = keras.layers.GlobalAveragePooling2D()(x)
    model = keras.Model(image, keras.layers.Dense(2)(x), name="sums")
    data = data[0], _halved(model, data[0])
    with pytest.raises(ValueError, match="'sums' has no channels that one"):
        _dissect(model, data)


def test_masks_that_overflow_are_refused(model, data):
    method = ClassMasks(epochs=2, learning_rate=1e38)
    with pytest.raises(ValueError, match="not finite.*lower learning_rate"):
        _dissect(model, data, method)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("epochs", 0),
        ("learning_rate", 0),
        ("momentum", 1.0),
        ("sparsity", -1),
        ("weight_decay", -0.1),
        ("learning_rate", float("nan")),
    ],
)
def test_bad_settings_are_refused(field, value):
    with pytest.raises(ValueError, match=f"ClassMasks: {field}: got {value}"):
        ClassMasks(**{field: value})
