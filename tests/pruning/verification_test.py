"""What `verify=True` says of networks that are cut rightly."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers, ops

from drnet_tf.masks import ChannelMask
from drnet_tf.pruning import prune, pruned_model
from drnet_tf.pruning.surgery.rebuild import Built, rebuild
from drnet_tf.sites import gate_sites

_ROWS = (4, 1, 2)

# From a map of 4 x 4 places and 6 channels to the scores of 5 classes.
_HEADS: dict[str, Callable[[Any], Any]] = {
    "softmax operator": lambda x: ops.softmax(_scores(x)),
    "function of keras.ops": lambda x: _scores(x, activation=ops.softmax),
    "softmax layer": lambda x: layers.Softmax()(_scores(x)),
    "log softmax": lambda x: _scores(x, activation="log_softmax"),
    "log softmax layer": lambda x: layers.Activation("log_softmax")(_scores(x)),
    "log softmax operator": lambda x: ops.log_softmax(_scores(x), axis=1),
    "softmax twice": lambda x: ops.softmax(_scores(x, activation="softmax")),
    "softmax, then pooled": lambda x: layers.GlobalAveragePooling2D()(
        layers.Conv2D(5, 1, activation="softmax", name="scores")(x)
    ),
    "pooled, then softmax": lambda x: layers.Softmax()(
        layers.GlobalMaxPooling2D()(
            layers.Conv2D(5, 1, activation="relu", name="scores")(x)
        )
    ),
    "logits": lambda x: _scores(x),
}


def _scores(x: Any, **settings: Any) -> Any:
    x = layers.GlobalAveragePooling2D()(x)
    return layers.Dense(5, name="scores", **settings)(x)


def _model(head: Callable[[Any], Any]) -> keras.Model:
    keras.utils.set_random_seed(0)
    inputs = keras.Input((4, 4, 3))
    x = layers.Conv2D(6, 3, padding="same", activation="relu", name="c")(inputs)
    return keras.Model(inputs, head(x))


def _mask(model: keras.Model, **keep: Any) -> ChannelMask:
    return ChannelMask(
        {
            site.name: np.array(keep.get(site.name, [1] * site.channels), bool)
            for site in gate_sites(model)
        }
    )


@pytest.mark.parametrize("name", _HEADS)
def test_a_softmax_over_some_classes(name: str) -> None:
    model = _model(_HEADS[name])
    mask = _mask(model, c=[1, 0, 1, 1, 0, 1])
    prune(model, mask, classes=_ROWS, verify=True)


@pytest.mark.parametrize("name", _HEADS)
def test_rows_in_a_wrong_order(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def wrongly(*given: Any) -> Built:
        built = rebuild(*given)
        layer = built.model.get_layer("scores")
        layer.set_weights([x[..., [1, 0, 2]] for x in layer.get_weights()])
        return built

    monkeypatch.setattr(pruned_model, "rebuild", wrongly)
    model = _model(_HEADS[name])
    with pytest.raises(ValueError, match="'scores': its values differ"):
        prune(model, _mask(model), classes=_ROWS, verify=True)


# Networks of tensors that are no floats: their inputs, and what follows.
_TYPES: dict[str, Callable[[], keras.Model]] = {}


def _typed(build: Callable[[], keras.Model]) -> Callable[[], keras.Model]:
    _TYPES[build.__name__.strip("_")] = build
    return build


@_typed
def _comparison() -> keras.Model:
    return _model(
        lambda x: _scores(ops.where(x - 0.1 > 0, x, 0.1 * x), activation="relu")
    )


@_typed
def _tokens() -> keras.Model:
    inputs = keras.Input((7,), dtype="int32")
    return _masked_steps(inputs, layers.Embedding(2, 4, mask_zero=True)(inputs))


@_typed
def _steps() -> keras.Model:
    inputs = keras.Input((7, 3))
    return _masked_steps(inputs, layers.Masking()(inputs))


def _masked_steps(inputs: Any, x: Any) -> keras.Model:
    y = layers.Conv1D(6, 3, padding="same", activation="relu", name="c")(x)
    means = [layers.GlobalAveragePooling1D()(value) for value in (x, y)]
    return keras.Model(inputs, layers.Dense(3)(layers.Concatenate()(means)))


@_typed
def _bytes() -> keras.Model:
    inputs = keras.Input((4, 4, 3), dtype="uint8")
    x = layers.Rescaling(1 / 127.5, -1)(inputs)
    x = layers.Conv2D(6, 3, activation="relu", name="c")(x)
    return keras.Model(inputs, _scores(x))


@pytest.mark.filterwarnings("ignore:.*input with a mask attached to it")
@pytest.mark.parametrize("name", _TYPES)
def test_tensors_of_other_types(name: str) -> None:
    model = _TYPES[name]()
    prune(model, _mask(model, c=[1, 0, 1, 1, 0, 1]), verify=True)


def test_a_network_that_cannot_be_run_in_float64() -> None:
    class Single(layers.Layer):
        def call(self, x: Any) -> Any:
            return x + tf.constant(1.0)

    model = _model(lambda x: _scores(Single()(x)))
    with pytest.raises(ValueError, match="cannot be run in float64") as caught:
        prune(model, _mask(model), verify=True)
    assert "\n" not in str(caught.value)
    assert caught.value.__cause__ is not None
