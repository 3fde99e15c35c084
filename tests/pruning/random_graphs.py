"""Random small networks over all families of operations, and random masks.

The families stand in `graph_families/`, one function each, in a table; a
drawing applies some of them to tensors that are there already.
"""

from __future__ import annotations

import collections
import itertools
from typing import Any

import keras
import numpy as np

from drnet_tf.free_sites import find_free_sites
from drnet_tf.graph import read_graph
from drnet_tf.masks import ChannelMask
from tests.pruning.graph_families import (
    activations,
    arithmetic,
    convolutions,
    heads,
    merging,
    nesting,
    norms,
    shapes,
    spatial,
)
from tests.pruning.graph_families.drawing import FAMILIES, HEADS, Drawing

# Importing a module of families puts them into the tables.
MODULES = (
    *(activations, arithmetic, convolutions, heads, merging),
    *(nesting, norms, shapes, spatial),
)
FLOAT32_SHARE = 0.15
# Keras' `add` takes an operand that has one axis longer than 1 for a bias, the
# batch included: no width of the networks should be that of the batch.
_IMAGES = 13
# Where nothing else stands, most masked channels can really go.
CLASSIC = (
    *("convolution", "linear_block", "residual_block", "batch_norm"),
    *("depthwise_convolution", "grouped_convolution", "dense", "relu_layer"),
    *("activation_layer", "leaky_and_elu_layers", "prelu_shared"),
    *("max_pooling", "average_pooling", "global_pooling", "zero_padding"),
    *("cropping", "upsampling", "dropout", "flatten", "squeeze_and_excite"),
    *("reshape_that_keeps_channels", "channel_shuffle", "rescaling"),
    *("concatenate_channels", "merge_layer", "broadcast_over_places"),
    *("broadcast_over_channels", "nested_sequential", "nested_functional"),
    *("shared_layer", "shared_convolution_of_two_branches"),
)
MASKS = ("random", "some sites emptied", "one channel", "nothing", "few gone")


def draw(seed: int) -> keras.Model:
    """A random network with at least one site; the seed decides all of it.

    Most compute in float64, where two orders of one sum agree to 1e-13, so
    that 1e-5 tells a wrong network from rounding.
    """
    return draw_with_families(seed)[0]


def draw_with_families(seed: int) -> tuple[keras.Model, dict[str, int]]:
    """`draw`, and how often each family stands in the network."""
    # A session that is cleared forgets its policy, too, and would take the one
    # in force while a network is drawn for all that comes after.
    before = keras.config.floatx(), keras.config.dtype_policy()
    for attempt in itertools.count():
        # Operators are named by a counter of the process.
        keras.backend.clear_session(free_memory=False)
        generator = np.random.default_rng([seed, attempt])
        single = generator.random() < FLOAT32_SHARE
        dtype = "float32" if single else "float64"
        keras.config.set_floatx(dtype)
        keras.config.set_dtype_policy(dtype)
        try:
            model, families = _draw_once(generator, seed)
        finally:
            keras.config.set_floatx(before[0])
            keras.config.set_dtype_policy(before[1])
        if find_free_sites(read_graph(model)):
            _set_weights(model, generator)
            return model, families
    raise AssertionError("not reached")


def _draw_once(
    generator: np.random.Generator, seed: int
) -> tuple[keras.Model, dict[str, int]]:
    inputs = _draw_inputs(generator)
    drawing = Drawing(generator, inputs)
    drawing.apply("linear_block" if drawing.chance(0.5) else "convolution")
    table = _choose_families(drawing)
    # So that some hundred seeds have all families, however rare they suit.
    due = list(FAMILIES)[seed % len(FAMILIES)]
    applied = False
    for _ in range(int(generator.integers(3, 15))):
        applied = applied or bool(drawing.apply(due))
        _apply_one(drawing, table)
    count = 1 if drawing.chance(0.7) else drawing.integer(2, 3)
    outputs: list[keras.KerasTensor] = []
    for _ in range(count):
        outputs += _apply_one(drawing, HEADS)
    outputs = list({id(x): x for x in outputs}.values())
    families, reached = _reached(drawing, outputs)
    used = [x for x in inputs if id(x) in reached] or inputs
    if drawing.chance(0.1):
        used = inputs
    model = keras.Model(
        _structured(drawing, used), _structured(drawing, outputs), name="drawn"
    )
    if len(used) > 1:
        families["several inputs"] += 1
    if len(outputs) > 1:
        families["several outputs"] += 1
    families["float32" if outputs[0].dtype == "float32" else "float64"] += 1
    return model, families


def _choose_families(drawing: Drawing) -> dict[str, Any]:
    """All; a few, which then meet more often; those of published networks."""
    form = drawing.integer(0, 2)
    if form == 0:
        return FAMILIES
    names = CLASSIC
    if form == 1:
        names = tuple(drawing.generator.permutation(list(FAMILIES))[:12])
    return {str(name): FAMILIES[name] for name in names}


def _draw_inputs(generator: np.random.Generator) -> list[keras.KerasTensor]:
    """Images of 1, 2 or 3 axes; sometimes two, sometimes a vector as well."""
    rank = int(generator.choice([1, 2, 3], p=[0.2, 0.65, 0.15]))
    low, high = ((5, 10), (5, 10), (3, 6))[rank - 1]
    space = generator.integers(low, high, rank).tolist()
    channels = int(generator.integers(1, 5))
    inputs = [keras.Input((*space, channels), name="image")]
    if generator.random() < 0.15:
        inputs.append(keras.Input((*space, channels), name="image_2"))
    if generator.random() < 0.1:
        inputs.append(keras.Input((int(generator.integers(2, 5)),), name="v"))
    return inputs


def _structured(drawing: Drawing, tensors: list[keras.KerasTensor]) -> Any:
    """One tensor, a list of them, or a dict."""
    if len(tensors) == 1:
        return tensors[0]
    if drawing.chance(0.5):
        return tensors
    if all(x.name in ("image", "image_2", "v") for x in tensors):
        return {x.name: x for x in tensors}  # Keras wants inputs so
    return {f"part_{i}": tensor for i, tensor in enumerate(tensors)}


def _apply_one(drawing: Drawing, table: dict[str, Any]) -> Any:
    """Applies a random family that suits."""
    names = list(table)
    weights = np.array([table[name].weight for name in names])
    for _ in range(30):
        place = drawing.generator.choice(len(names), p=weights / weights.sum())
        made = drawing.apply(names[place], table)
        if made:
            return made
    # None of a few families may suit; of all one does.
    return _apply_one(drawing, FAMILIES if table is not HEADS else HEADS)


def _reached(
    drawing: Drawing, outputs: list[keras.KerasTensor]
) -> tuple[collections.Counter[str], set[int]]:
    """Families and tensors that the outputs depend on."""
    reached = set(map(id, outputs))
    families: collections.Counter[str] = collections.Counter()
    for step in reversed(drawing.steps):
        if reached & set(step.makes):
            families[step.family] += 1
            reached.update(step.reads)
    return families, reached


def _set_weights(model: keras.Model, generator: np.random.Generator) -> None:
    """As training leaves them: no mean and no beta is 0, some gammas are."""
    for variable in model.variables:
        shape = tuple(variable.shape)
        if not keras.backend.is_float_dtype(variable.dtype):
            continue
        if variable.name == "moving_variance":
            value = generator.uniform(0.5, 1.5, shape)
        elif variable.name in ("gamma", "scale"):
            value = generator.uniform(0.5, 1.5, shape)
            value *= generator.choice([1, 1, 1, 1, 1, -1, -1, 0], shape)
        elif "kernel" in variable.name:
            size = max(1, np.prod(shape[:-1]))
            value = generator.normal(0, size**-0.5, shape)
        else:
            value = generator.normal(0, 0.5, shape)
        variable.assign(value)


def draw_mask(model: keras.Model, seed: int) -> ChannelMask:
    """A random mask: each channel with one probability, sites emptied, ..."""
    generator = np.random.default_rng([seed, 1])
    kind = MASKS[int(generator.choice(5, p=[0.4, 0.25, 0.15, 0.1, 0.1]))]
    share = float(generator.choice([0.1, 0.3, 0.5, 0.7, 0.9, 0.95]))

    def keep(channels: int) -> np.ndarray:
        random = generator.random(channels) < share
        if kind == "some sites emptied":
            return random & (generator.random() < 0.6)
        if kind == "one channel":
            return np.arange(channels) == generator.integers(channels)
        if kind == "few gone":
            return np.arange(channels) != generator.integers(channels)
        return random if kind == "random" else np.zeros(channels, bool)

    sites = find_free_sites(read_graph(model))
    return ChannelMask({site.name: keep(site.channels) for site in sites})


def full_mask(model: keras.Model) -> ChannelMask:
    """Keeps all channels."""
    sites = find_free_sites(read_graph(model))
    return ChannelMask({x.name: np.ones(x.channels, bool) for x in sites})


def images(model: keras.Model, seed: int) -> list[np.ndarray]:
    """Random images for each input; see `_IMAGES`."""
    generator = np.random.default_rng([seed, 2])
    return [
        generator.normal(size=(_IMAGES, *x.shape[1:])).astype(x.dtype)
        for x in model.inputs
    ]


def run(model: keras.Model, arrays: list[np.ndarray]) -> list[np.ndarray]:
    """The outputs as a flat list."""
    packed = keras.tree.pack_sequence_as(model.input, arrays)
    outputs = keras.tree.flatten(model(packed, training=False))
    return [keras.ops.convert_to_numpy(x) for x in outputs]
