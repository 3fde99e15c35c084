"""The public names, used together as a program outside would."""

import keras
import numpy as np
import pytest

import drnet_tf as drnet

NAMES = ("round", "flat", "empty")


@pytest.fixture(scope="module")
def model():
    """Tells three patterns apart by the mean of three channels."""
    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [
            keras.Input((6, 6, 3)),
            keras.layers.Conv2D(6, 3, padding="same", name="conv"),
            keras.layers.BatchNormalization(name="norm"),
            keras.layers.ReLU(name="relu"),
            keras.layers.GlobalAveragePooling2D(),
            keras.layers.Dense(3, use_bias=False, name="scores"),
        ]
    )
    kernel = np.zeros((3, 3, 3, 6), "float32")
    for channel in range(3):
        kernel[1, 1, channel, [channel, channel + 3]] = 1, 0.01
    model.get_layer("conv").set_weights([kernel, np.zeros(6)])
    scores = np.zeros((6, 3), "float32")
    scores[:3] = 8 * np.eye(3)
    model.get_layer("scores").set_weights([scores])
    return model


@pytest.fixture(scope="module")
def data():
    random = np.random.default_rng(0)
    labels = np.arange(48) % 3
    images = 0.1 * random.random((48, 6, 6, 3))
    images[np.arange(48), ..., labels] += 1
    return images.astype("float32"), labels


@pytest.fixture(scope="module")
def importance(model, data):
    return drnet.dissect(
        model, data, class_names=NAMES, images_per_class=12, progress=False
    )


def test_every_public_name_is_there():
    for name in drnet.__all__:
        assert getattr(drnet, name) is not None


def test_sites_and_gates(model, data):
    (site,) = drnet.gate_sites(model)
    assert (site.name, site.channels) == ("relu", 6)
    gated = drnet.gate_model(model)
    np.testing.assert_array_equal(gated(data[0]), model(data[0]))


def test_classes_keep_the_channels_that_carry_them(importance):
    scores = importance.scores["relu"]
    assert scores.shape == (3, 6) and scores.dtype == np.float32
    np.testing.assert_array_equal(scores.argmax(axis=1), [0, 1, 2])
    # Nothing reads channels 3 to 5: the L1 term takes them to exactly 0.
    assert (scores[:, 3:] == 0).all()
    similarity = importance.similarity()
    assert similarity.shape == (3, 3)
    np.testing.assert_array_equal(np.diag(similarity), 1)
    found = importance.diagnostics
    assert sum(found["iterate_histogram"]) == 36


def test_from_importance_to_the_small_network(model, data, importance):
    mask = drnet.union(importance, ("empty", "round"), 0.2)
    assert mask.kept < mask.total
    masked = drnet.apply_mask(model, mask).predict(data[0], verbose=0)
    pruned = drnet.prune(
        model, mask, classes=("empty", "round"), class_names=NAMES
    )
    np.testing.assert_allclose(
        pruned.model.predict(data[0], verbose=0), masked[:, [2, 0]], atol=1e-5
    )
    net = drnet.DRNet(model, importance)
    sub = net.subtask(("empty", "round"), max_parameters=0.9)
    assert sub.evaluate(data).accuracy == 1.0
    assert (
        drnet.count_costs(sub.model).parameters
        < drnet.count_costs(model).parameters
    )
    full = drnet.evaluate(model, data, ("empty", "round"), NAMES)
    assert full.accuracy == 1.0 and full.count == 32


def test_the_way_round_files(model, importance, tmp_path):
    path = tmp_path / "civ.safetensors"
    importance.save(path)
    again = drnet.ChannelImportance.load(path)
    assert again.class_names == NAMES
    assert again.config["on_flip"] == "best_iterate"
    np.testing.assert_array_equal(
        again.scores["relu"], importance.scores["relu"]
    )
    other = keras.models.clone_model(model)
    with pytest.raises(ValueError, match="fingerprints differ"):
        drnet.DRNet(other, again)
