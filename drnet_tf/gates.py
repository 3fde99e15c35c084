"""Networks with gates at their sites."""

from __future__ import annotations

import collections
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import keras

from drnet_tf.channel_gate import ChannelGate, apply_gates
from drnet_tf.free_sites import GatePlace, GateSite
from drnet_tf.graph import Call, Graph, read_graph, replay
from drnet_tf.graph_building import (
    functional_model,
    make_names_unique,
    model_like,
    new_inputs,
)
from drnet_tf.masks import ChannelMask
from drnet_tf.sites import gate_sites, sites_for


def gate_model(model: keras.Model, coupling: str = "free") -> keras.Model:
    """The same network with an open `ChannelGate` at every site.

    Layers, and so weights, are those of `model` itself; the outputs are
    bit-identical as long as the gates are open. The gates are named
    `<site>_gate`, see `gate_names`.

    Args:
      model: a Functional or Sequential model; it is not changed.
      coupling: "free" or "tied", see `gate_sites`; the gate of a tied site
        stands at all its places.

    Raises:
      TypeError, ValueError: see `gate_sites`.

    Example:
      >>> import keras
      >>> model = keras.Sequential([
      ...     keras.Input((8, 8, 3)),
      ...     keras.layers.Conv2D(4, 3, activation="relu", name="conv"),
      ...     keras.layers.GlobalAveragePooling2D(),
      ...     keras.layers.Dense(2),
      ... ])
      >>> tuple(gate_model(model).get_layer("conv_gate").gates.shape)
      (4,)
    """
    sites = gate_sites(model, coupling)
    gates = _Gates(sites)
    return _rebuild(model, sites, gates.at)


def apply_mask(model: keras.Model, mask: ChannelMask) -> keras.Model:
    """The reference meaning of a mask: full width, masked channels times zero.

    Args:
      model: the network that the mask was made for; it is not changed.
      mask: one boolean per channel of every site.

    Returns:
      A model that shares the layers of `model`; `prune(model, mask)` gives the
      same outputs from a smaller one.

    Raises:
      ValueError: the mask was made for other sites.
    """
    gate_sites(model)  # refuses what has none
    sites = sites_for(read_graph(model), mask.channels)
    mask.check_sites({s.name: s.channels for s in sites}, model.name)
    gates = _Gates(sites)
    masked = _rebuild(model, sites, gates.at)
    for name, gate in gates.layers.items():
        gate.trainable = False
        gate.gates.assign(mask[name].astype("float32"))
    return masked


def per_image_gate_model(
    model: keras.Model, coupling: str = "free"
) -> keras.Model:
    """The network with its gates as inputs, one vector per image.

    Returns:
      A model with the inputs `[*model.inputs, gates_1, ..., gates_L]`, where
      `gates_l` has the shape `(batch, C_l)`, follows
      `gate_sites(model, coupling)` and is named as `gate_names` has it, with an
      "s".
    """
    sites = gate_sites(model, coupling)
    names = gate_names(sites)
    vectors = {
        site.name: keras.Input(
            (site.channels,), dtype="float32", name=f"{names[site.name]}s"
        )
        for site in sites
    }

    def bound(site: GateSite, place: GatePlace, tensor: Any) -> Any:
        gates = vectors[site.name]
        return apply_gates(tensor, gates, place.axis, place.entries)

    return _rebuild(model, sites, bound, list(vectors.values()))


def gate_names(sites: Sequence[GateSite]) -> dict[str, str]:
    """The names of the `ChannelGate`s that `gate_model` puts at sites.

    Returns:
      By the name of the site; no two are the same: of a layer `a_b` and `a/b`
      of a nested model the latter's gate gets a "_" more.
    """
    taken = {x.name for x in sites if x.name == _plain(x.name)}
    names = {}
    for site in sites:
        name = site.name
        if name not in taken:
            name = _plain(name)
            while name in taken:
                name += "_"
            taken.add(name)
        names[site.name] = f"{name}_gate"
    return names


class _Gates:
    """One open `ChannelGate` for each site, for all of its places."""

    def __init__(self, sites: Sequence[GateSite]) -> None:
        self._names = gate_names(sites)
        self.layers: dict[str, ChannelGate] = {}

    def at(self, site: GateSite, place: GatePlace, tensor: Any) -> Any:
        """Gates one tensor of a site."""
        own = place.entries == tuple(range(site.channels))
        if site.name not in self.layers:
            # Gates stay float32 where a network computes in 16 bits.
            dtype = tensor.dtype
            low = dtype in ("bfloat16", "float16")
            self.layers[site.name] = ChannelGate(
                site.axis,
                None if own else site.channels,
                name=self._names[site.name],
                dtype=f"mixed_{dtype}" if low else dtype,
            )
        gate = self.layers[site.name]
        return gate(tensor) if own else gate(tensor, entries=place.entries)


def _rebuild(
    model: keras.Model,
    sites: Sequence[GateSite],
    gate: Callable[[GateSite, GatePlace, Any], Any],
    extra_inputs: list[keras.KerasTensor] | None = None,
) -> keras.Model:
    """Calls the model's own layers again, with a gate at every place."""
    graph = read_graph(model)
    places = {
        place.tensor: (site, place) for site in sites for place in site.places
    }
    inputs = new_inputs(model)
    reserved = [
        *gate_names(sites).values(),
        *(x.name for x in (*inputs, *(extra_inputs or ()))),
    ]
    clashing = _clashing_names(graph, reserved)

    def call(step: Call, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        if step.operation.name in clashing:
            outputs = _call_in_own_model(step, args, kwargs)
        else:
            outputs = step.operation(*args, **kwargs)
        found = places.get(step.outputs[0])
        return outputs if found is None else gate(*found, outputs)

    outputs = replay(graph, inputs, call)
    # Gates bring operators, which Keras names like the network's own layers.
    make_names_unique(
        [*inputs, *(extra_inputs or ())],
        outputs,
        {id(call.operation) for call in graph.calls},
    )
    if not extra_inputs:
        return model_like(model, inputs, outputs)
    return functional_model(
        [*inputs, *extra_inputs],
        outputs[0] if len(outputs) == 1 else outputs,
        model.name,
    )


def _clashing_names(graph: Graph, reserved: Iterable[str]) -> set[str]:
    """Names that two operations of the opened graph have.

    Nested models may use the same names; Keras wants them unique in a model.
    """
    own = {id(call.operation): call.operation.name for call in graph.calls}
    counts = collections.Counter([*own.values(), *reserved])
    return {name for name, count in counts.items() if count > 1}


def _call_in_own_model(
    step: Call, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> Any:
    """Calls an operation in a model around it alone, where its name is free."""
    tensors: list[keras.KerasTensor] = []

    def inside(x: Any) -> Any:
        if not isinstance(x, keras.KerasTensor):
            return x
        tensors.append(x)
        return keras.Input(batch_shape=x.shape, dtype=x.dtype)

    args, kwargs = keras.tree.map_structure(inside, (args, kwargs))
    inputs = [
        x
        for x in keras.tree.flatten((args, kwargs))
        if isinstance(x, keras.KerasTensor)
    ]
    outputs = step.operation(*args, **kwargs)
    # Two underscores: hardly a name that a network uses.
    name = f"{_plain(step.name)}__alone"
    return keras.Model(inputs, outputs, name=name)(tensors)


def _plain(name: str) -> str:
    """A call's name as a layer's name, which may not hold "/"."""
    return name.replace("/", "_").replace(":", "_").replace("+", "_tied")
