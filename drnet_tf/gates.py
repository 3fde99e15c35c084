"""Gates: a factor per channel, bound to the sites of a network."""

from __future__ import annotations

import collections
from collections.abc import Callable, Iterable
from typing import Any

import keras

from drnet_tf.graph import (
    Call,
    Graph,
    model_like,
    new_inputs,
    read_graph,
    replay,
)
from drnet_tf.masks import ChannelMask
from drnet_tf.sites import GateSite, find_sites, gate_sites


def apply_gates(inputs: Any, gates: Any, axis: int = -1) -> Any:
    """Multiplies every channel by its gate: y[n, .., c] = λ[n, c] x[n, .., c].

    Args:
      inputs: tensor of any rank, channels on `axis`.
      gates: λ, shape `(channels,)`, or `(batch, channels)` for gates per image.
      axis: the channel axis.

    Returns:
      A tensor of the shape and dtype of `inputs`.
    """
    rank = len(inputs.shape)
    shape = [1] * rank
    shape[axis] = -1
    if len(gates.shape) == 2:
        # -1 can stand once only, and the batch is the open axis.
        shape[0] = -1
        shape[axis] = gates.shape[1]
    gates = keras.ops.cast(gates, inputs.dtype)
    return inputs * keras.ops.reshape(gates, shape)


@keras.saving.register_keras_serializable(package="drnet_tf")
class ChannelGate(keras.layers.Layer):
    """A gate λ for every channel: y = λ x, one factor per channel.

    The gates start open (1), so a new layer changes nothing, bit for bit.

    Args:
      axis: the channel axis, e.g. -1 for channels last, 1 for channels first.
      **kwargs: `name`, `dtype`, `trainable`, as for every Keras layer.

    Call arguments:
      inputs: tensor of any rank >= 2 with channels on `axis`.

    Input shape: any, e.g. `(batch, height, width, channels)`.
    Output shape: that of the input.
    Reference: DRNet section 3.1; Wang et al., CVPR 2018 (control gates).

    Example:
      >>> import numpy as np
      >>> gate = ChannelGate()
      >>> x = np.ones((1, 2), "float32")
      >>> np.array_equal(gate(x), x)
      True
      >>> gate.set_weights([np.array([0.5, 0.0])])
      >>> gate(x).numpy().tolist()
      [[0.5, 0.0]]
    """

    def __init__(self, axis: int = -1, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if axis == 0:
            raise ValueError(
                f"ChannelGate '{self.name}': axis 0 is the batch; expected the "
                "channel axis, e.g. -1 for channels last or 1 for channels "
                "first."
            )
        self.axis = axis
        self.supports_masking = True

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        rank = len(input_shape)
        if not -rank < self.axis < rank or input_shape[self.axis] is None:
            raise ValueError(
                f"ChannelGate '{self.name}': expected a known number of "
                f"channels on axis {self.axis}, got shape "
                f"{tuple(input_shape)}; pass the axis that holds the channels."
            )
        self.gates = self.add_weight(
            shape=(input_shape[self.axis],), initializer="ones", name="gates"
        )

    def call(self, inputs: Any) -> Any:
        return apply_gates(inputs, self.gates, self.axis)

    def compute_output_shape(
        self, input_shape: tuple[int | None, ...]
    ) -> tuple[int | None, ...]:
        return input_shape

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "axis": self.axis}


def gate_model(model: keras.Model) -> keras.Model:
    """The same network with an open `ChannelGate` at every site.

    Layers, and so weights, are those of `model` itself; the outputs are
    bit-identical as long as the gates are open. The gates are named
    `<site>_gate`.

    Args:
      model: a Functional or Sequential model; it is not changed.

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
    gate_sites(model)  # refuses what has none
    return _rebuild(model, lambda site, dtype: _open_gate(site, dtype))


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
    sites = gate_sites(model)
    mask.check_sites({s.name: s.channels for s in sites}, model.name)

    def closed(site: GateSite, dtype: str) -> Callable[[Any], Any]:
        gate = _open_gate(site, dtype)
        gate.trainable = False

        def close(tensor: Any) -> Any:
            output = gate(tensor)
            gate.gates.assign(mask[site.name].astype("float32"))
            return output

        return close

    return _rebuild(model, closed)


def per_image_gate_model(model: keras.Model) -> keras.Model:
    """The network with its gates as inputs, one vector per image.

    Returns:
      A model with the inputs `[*model.inputs, gates_1, ..., gates_L]`, where
      `gates_l` has the shape `(batch, C_l)` and follows `gate_sites(model)`.
    """
    sites = gate_sites(model)
    vectors = {
        site.name: keras.Input(
            (site.channels,), dtype="float32", name=f"{_plain(site.name)}_gates"
        )
        for site in sites
    }

    def bound(site: GateSite, dtype: str) -> Callable[[Any], Any]:
        return lambda tensor: apply_gates(tensor, vectors[site.name], site.axis)

    return _rebuild(model, bound, list(vectors.values()))


def gate_name(site: GateSite) -> str:
    """The name of the `ChannelGate` that `gate_model` puts at a site."""
    return f"{_plain(site.name)}_gate"


def _open_gate(site: GateSite, dtype: str) -> ChannelGate:
    # Gates stay float32 where a network computes in 16 bits.
    policy = f"mixed_{dtype}" if dtype in ("bfloat16", "float16") else dtype
    return ChannelGate(site.axis, name=gate_name(site), dtype=policy)


def _rebuild(
    model: keras.Model,
    make_gate: Callable[[GateSite, str], Callable[[Any], Any]],
    extra_inputs: list[keras.KerasTensor] | None = None,
) -> keras.Model:
    """Calls the model's own layers again, with a gate behind every site."""
    graph = read_graph(model)
    sites = {site.tensor: site for site in find_sites(graph)}
    inputs = new_inputs(model)
    reserved = [
        *map(gate_name, sites.values()),
        *(x.name for x in (*inputs, *(extra_inputs or ()))),
    ]
    clashing = _clashing_names(graph, reserved)

    def call(step: Call, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        if step.operation.name in clashing:
            outputs = _call_in_own_model(step, args, kwargs)
        else:
            outputs = step.operation(*args, **kwargs)
        site = sites.get(step.outputs[0])
        if site is None:
            return outputs
        return make_gate(site, outputs.dtype)(outputs)

    outputs = replay(graph, inputs, call)
    if not extra_inputs:
        return model_like(model, inputs, outputs)
    return keras.Model(
        [*inputs, *extra_inputs],
        outputs[0] if len(outputs) == 1 else outputs,
        name=model.name,
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
    return name.replace("/", "_").replace(":", "_")
