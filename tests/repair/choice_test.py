from __future__ import annotations

import keras
import numpy as np
import pytest
from keras import layers

from drnet_tf.masks import ChannelMask
from drnet_tf.pruning import prune
from drnet_tf.repair.choice import repair_best

ROWS = (2, 0)


def _network(norms: bool = True) -> keras.Model:
    keras.utils.set_random_seed(1)
    parts = [layers.BatchNormalization(name="norm")] if norms else []
    return keras.Sequential(
        [
            keras.Input((6, 6, 3)),
            layers.Conv2D(8, 3, name="conv"),
            *parts,
            layers.ReLU(name="relu"),
            layers.GlobalAveragePooling2D(),
            layers.Dense(3, activation="softmax", name="scores"),
        ]
    )


def _images() -> np.ndarray:
    generator = np.random.default_rng(0)
    return generator.normal(size=(60, 6, 6, 3)).astype("float32")


def _mask(kept: int) -> ChannelMask:
    return ChannelMask({"relu": np.arange(8) < kept})


def test_the_method_that_diverges_least_is_taken() -> None:
    model, images = _network(), _images()
    pruned = prune(model, _mask(3), classes=ROWS)
    best = repair_best(pruned, model, images)
    found = best.repair.divergences
    assert set(found) == {
        "none",
        "norms",
        "least_squares",
        "least_squares, norms",
    }
    assert found[best.repair.method] == min(found.values()) < found["none"]
    held = images[4::5]
    full = model.predict(held, verbose=0)[:, list(ROWS)]
    full = full / full.sum(-1, keepdims=True)
    small = best.model.predict(held, verbose=0)
    expected = (full * np.log(full / small)).sum(-1).mean()
    assert found[best.repair.method] == pytest.approx(expected, rel=1e-3)
    assert "Divergence from the full network" in str(best.repair)


def test_where_nothing_was_pruned_nothing_is_done() -> None:
    model = _network(norms=False)
    pruned = prune(model, _mask(8), classes=ROWS)
    best = repair_best(pruned, model, _images())
    assert set(best.repair.divergences) == {"none", "least_squares"}
    assert best.repair.divergences["none"] == pytest.approx(0, abs=1e-9)


def test_too_few_images_to_choose_by_are_refused() -> None:
    model = _network()
    pruned = prune(model, _mask(4), classes=ROWS)
    with pytest.raises(ValueError, match="got 4 images, expected at least 5"):
        repair_best(pruned, model, _images()[:4])


def test_a_network_that_takes_its_image_in_a_list() -> None:
    plain = _network()
    model = keras.Model(plain.inputs, plain.outputs[0])
    pruned = prune(model, _mask(3), classes=ROWS)
    assert repair_best(pruned, model, _images()).repair.divergences


def test_images_may_come_in_a_list() -> None:
    model, images = _network(), _images()
    pruned = prune(model, _mask(3), classes=ROWS)
    found = [
        repair_best(pruned, model, x).repair.divergences
        for x in (images, list(images))
    ]
    assert found[0] == found[1]


def test_one_class_gives_nothing_to_choose_by() -> None:
    model = _network()
    pruned = prune(model, _mask(4), classes=(1,))
    with pytest.raises(ValueError, match="one class, whose softmax is 1"):
        repair_best(pruned, model, _images())
