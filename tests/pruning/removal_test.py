"""For each family of operations: a masked channel really goes through it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pytest
from keras import layers, ops

from drnet_tf.gates import apply_mask
from drnet_tf.masks import ChannelMask
from drnet_tf.pruning import prune
from drnet_tf.sites import gate_sites

_WIDTH = 6
_KEEP = np.array([True, False, True, True, False, True])
_SCALES = np.arange(1.0, 7.0, dtype="float32")

# From a map of 6 x 6 places and 6 channels, of which the mask silences two.
_FAMILIES: dict[str, Callable[[Any], Any]] = {
    "separable": layers.SeparableConv2D(4, 3, depth_multiplier=2),
    "transposed": layers.Conv2DTranspose(4, 3, strides=2),
    "depthwise": layers.DepthwiseConv2D(3, depth_multiplier=2),
    "depthwise as groups": layers.Conv2D(6, 3, groups=6),
    "instance norm": layers.GroupNormalization(-1),
    "batch norm without gamma": layers.BatchNormalization(scale=False),
    "sum with a number": lambda x: x + 3.0,
    "sum with an array": lambda x: x + _SCALES,
    "product with an array": lambda x: x * _SCALES,
    "quotient": lambda x: x / _SCALES,
    "difference": lambda x: 1.0 - x,
    "power": lambda x: x**2,
    "sum of two": lambda x: x + ops.tanh(x),
    "maximum": lambda x: ops.maximum(x, ops.square(x)),
    "own excitation": lambda x: (
        x * ops.sigmoid(ops.mean(x, axis=(1, 2), keepdims=True))
    ),
    "hard swish": lambda x: x * (layers.ReLU(6.0)(x + 3.0) * (1 / 6)),
    "mean": lambda x: ops.mean(x, axis=(1, 2)),
    "reshape": lambda x: ops.reshape(x, (-1, 36, 6)),
    "transpose": lambda x: ops.transpose(
        ops.transpose(x, (0, 3, 1, 2)), (0, 2, 3, 1)
    ),
    "squeeze": lambda x: ops.squeeze(
        layers.GlobalMaxPooling2D(keepdims=True)(x), axis=(1, 2)
    ),
    "concatenate": lambda x: ops.concatenate([x, x], axis=-1),
    "split": lambda x: ops.split(x, 2, axis=-1)[0],
    "slice of channels": lambda x: x[..., 1:5],
    "slice of places": lambda x: x[:, 1:-1],
    "pad": lambda x: ops.pad(x, ((0, 0), (1, 1), (2, 2), (0, 0))),
    "normalization": layers.Normalization(
        mean=_SCALES.tolist(), variance=_SCALES.tolist()
    ),
    "rescaling": layers.Rescaling(_SCALES.tolist(), 0.5),
    "resizing": layers.Resizing(4, 4),
    "pool": lambda x: ops.average_pool(x, 2),
}


def _model(family: Callable[[Any], Any]) -> keras.Model:
    inputs = keras.Input((8, 8, 2))
    x = layers.Conv2D(_WIDTH, 3, activation="relu", name="conv")(inputs)
    x = family(x)
    outputs = layers.Dense(3, name="head")(layers.Flatten()(x))
    model = keras.Model(inputs, outputs)
    generator = np.random.default_rng(0)
    for variable in model.variables:
        if variable.name in ("gamma", "moving_variance"):
            variable.assign(generator.uniform(0.5, 1.5, variable.shape))
        elif not isinstance(variable, keras.random.SeedGenerator):
            variable.assign(generator.normal(0, 0.5, variable.shape))
    return model


def _mask(model: keras.Model) -> ChannelMask:
    keep = {s.name: np.ones(s.channels, bool) for s in gate_sites(model)}
    return ChannelMask({**keep, "conv": _KEEP})


@pytest.mark.parametrize("name", _FAMILIES)
def test_the_masked_channels_go(name: str) -> None:
    family = _FAMILIES[name]
    if isinstance(family, layers.Layer):
        family = type(family).from_config(family.get_config())
    model = _model(family)
    pruned = prune(model, _mask(model), verify=True)
    assert pruned.report.unknown == ()
    assert pruned.report.kept_against_mask == ()
    # Split and slices leave channels that nobody reads, masked or not.
    assert pruned.model.get_layer("conv").filters <= _KEEP.sum()
    images = np.random.default_rng(1).normal(size=(3, 8, 8, 2))
    expected = np.array(apply_mask(model, _mask(model))(images))
    np.testing.assert_allclose(
        pruned.model(images), expected, rtol=0, atol=1e-5 * abs(expected).max()
    )


def test_a_group_norm_loses_whole_groups() -> None:
    inputs = keras.Input((8, 8, 2))
    x = layers.Conv2D(_WIDTH, 3, name="conv")(inputs)
    x = layers.ReLU(name="relu")(layers.GroupNormalization(3, name="norm")(x))
    outputs = layers.Dense(3)(layers.Flatten()(x))
    model = keras.Model(inputs, outputs)
    # The second group is silent, and half of the third.
    keep = np.array([True, True, False, False, False, True])
    pruned = prune(model, ChannelMask({"relu": keep}), verify=True)
    norm = pruned.model.get_layer("norm")
    assert (norm.groups, norm.gamma.shape[0]) == (2, 4)


def test_a_dead_branch_goes_with_its_norms_and_unknown_layers() -> None:
    @keras.saving.register_keras_serializable("removal_test")
    class Reverse(layers.Layer):
        def call(self, x: Any) -> Any:
            return ops.flip(x, axis=-1)

    inputs = keras.Input((8, 8, 2))
    x = layers.Conv2D(4, 3, activation="relu", name="stem")(inputs)
    y = layers.LayerNormalization(name="norm")(x)
    y = Reverse(name="reverse")(y)
    y = layers.Conv2D(4, 1, activation="relu", name="branch")(y)
    x = layers.Add(name="add")([x, y])
    outputs = layers.Dense(2)(layers.Flatten()(x))
    model = keras.Model(inputs, outputs)
    keep = {
        "stem": np.array([True, False, True, True]),
        "branch": np.zeros(4, bool),
    }
    pruned = prune(model, ChannelMask(keep), verify=True)
    assert pruned.report.removed == ("norm", "reverse", "branch")
    assert pruned.model.get_layer("stem").filters == 3
    assert pruned.report.unknown == ()


def test_a_dead_excitation_becomes_a_factor() -> None:
    inputs = keras.Input((8, 8, 2))
    x = layers.Conv2D(4, 3, activation="relu", name="conv")(inputs)
    s = layers.GlobalAveragePooling2D(keepdims=True, name="squeeze")(x)
    s = layers.Conv2D(2, 1, activation="relu", name="reduce")(s)
    s = layers.Conv2D(4, 1, activation="sigmoid", name="expand")(s)
    x = layers.Multiply(name="excite")([x, s])
    outputs = layers.Dense(2)(layers.Flatten()(x))
    model = keras.Model(inputs, outputs)
    keep = {s.name: np.ones(s.channels, bool) for s in gate_sites(model)}
    keep["reduce"][:] = False
    pruned = prune(model, ChannelMask(keep), verify=True)
    assert pruned.report.removed == ("squeeze", "reduce", "expand")
    assert isinstance(pruned.model.get_layer("excite"), layers.Rescaling)


def test_a_dry_run_reports_the_same_and_builds_nothing() -> None:
    model = _model(layers.SeparableConv2D(4, 3))
    mask = _mask(model)
    dry, real = prune(model, mask, dry_run=True), prune(model, mask)
    assert dry.report == real.report
    assert real.report.parameters_after == real.model.count_params()
    with pytest.raises(ValueError, match="this was a dry run"):
        _ = dry.model
