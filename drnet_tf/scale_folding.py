"""Factors per channel, folded into the weights of a network.

White-Box hands its masks over so (Zhang et al., arXiv 2104.11883; the rule is
that of its authors' code): the norm in front of a site's activation has its
γ and β multiplied by 1/2 Σ_k M[k, c], about the mean of the gate d^T M that the
channel was trained with. The pruned network then starts where the masked one
was.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

import keras
import numpy as np

from drnet_tf.free_sites import (
    NORMS,
    GatePlace,
    is_activation,
    is_convolution,
)
from drnet_tf.graph import Call, Graph, read_graph
from drnet_tf.graph_building import copied
from drnet_tf.operations import is_a
from drnet_tf.sites import gate_sites

# s f(x) = f(s x) for every s >= 0.
_HOMOGENEOUS = ("relu", "leaky_relu")
_HOMOGENEOUS_CALLS = ("LeakyReLU", "LeakyRelu", "PReLU", "Relu")


def foldable_sites(
    model: keras.Model, coupling: str = "free"
) -> tuple[str, ...]:
    """Names of the sites whose factors can go into weights, in graph order.

    Each of their tensors is made by a norm with γ, or by a convolution, that
    is called once, perhaps with an activation after it that alone reads it. The
    sum at the end of a residual block is not.

    Args:
      model: the network.
      coupling: which sites there are, see `gate_sites`.
    """
    graph = read_graph(model)
    return tuple(
        site.name
        for site in gate_sites(model, coupling)
        if all(_maker(place, graph) for place in site.places)
    )


def fold_scales(
    model: keras.Model,
    scales: Mapping[str, np.ndarray],
    *,
    coupling: str = "free",
    strict: bool = True,
) -> keras.Model:
    """A copy of a network whose channels are multiplied by given factors.

    Args:
      model: it is not changed.
      scales: `(C_l,)` by site, of some sites.
      coupling: which sites there are, see `gate_sites`.
      strict: whether to refuse factors that weights cannot give exactly: those
        below 0 in front of a ReLU, or any in front of a ReLU6 or a sigmoid.
        False: the weights take them all the same, as the paper's code has it.

    Returns:
      A network of the same layers with other weights; where all factors are
      exact it gives what `gate_model(model)` gives with these gates.

    Raises:
      ValueError: an unknown site, a wrong width, factors that are not finite,
        a site without weights to fold into, or see `strict`.

    Example:
      >>> model = keras.Sequential([
      ...     keras.Input((8, 8, 3)),
      ...     keras.layers.Conv2D(2, 3, activation="relu", name="conv"),
      ...     keras.layers.GlobalAveragePooling2D(),
      ...     keras.layers.Dense(2),
      ... ])
      >>> folded = fold_scales(model, {"conv": np.array([1.0, 0.0])})
      >>> bool(folded.get_layer("conv").get_weights()[0][..., 1].any())
      False
    """
    graph = read_graph(model)
    sites = {site.name: site for site in gate_sites(model, coupling)}
    plan: dict[str, np.ndarray] = {}
    for name, factors in scales.items():
        where = f"fold_scales: Model '{model.name}', site '{name}'"
        if name not in sites or np.shape(factors) != (sites[name].channels,):
            raise ValueError(
                f"{where}: got factors of shape {np.shape(factors)}, expected "
                "one per channel of a site of the model, "
                f"{ {x.name: x.channels for x in sites.values()} }."
            )
        for place in sites[name].places:
            own = np.asarray(factors, "float32")[place.index]
            maker = _checked(place, graph, own, where, strict)
            plan[maker] = plan.get(maker, np.float32(1)) * own
    copy = copied(model)
    layers = {call.name: call.operation for call in read_graph(copy).calls}
    for name, own in plan.items():
        _multiply(layers[name], own)
    return copy


@dataclasses.dataclass(frozen=True)
class _Maker:
    """What makes a tensor: the call with weights, and the activation after."""

    call: Call
    activation: Call | None


def _maker(place: GatePlace, graph: Graph) -> _Maker | None:
    """What makes the tensor of a place; None where nothing can be folded."""
    producers, consumers = graph.producers(), graph.consumers()
    call, activation = producers.get(place.tensor), None
    if call is not None and is_activation(call):
        activation, before = call, call.inputs[0]
        call = producers.get(before)
        if len(consumers[before]) > 1 or before in graph.outputs:
            return None
    if call is None:
        return None
    operation = call.operation
    if sum(x.operation is operation for x in graph.calls) > 1:
        return None
    if is_a(call, NORMS):
        gamma = getattr(operation, "gamma", None)
        if gamma is None or tuple(gamma.shape) != (len(place.entries),):
            return None
        return _Maker(call, activation)
    return _Maker(call, activation) if is_convolution(call, graph) else None


def _checked(
    place: GatePlace,
    graph: Graph,
    factors: np.ndarray,
    where: str,
    strict: bool,
) -> str:
    """The name of the call to fold into."""
    if not np.isfinite(factors).all():
        raise ValueError(f"{where}: factors must be finite, got {factors}.")
    maker = _maker(place, graph)
    if maker is None:
        raise ValueError(
            f"{where}: no norm with γ or convolution of its own makes it, "
            "expected one to fold into; leave the site out, see "
            "foldable_sites."
        )
    wrong = np.flatnonzero(~_is_exact(maker, factors))
    if strict and wrong.size:
        raise ValueError(
            f"{where}: the factor {factors[wrong[0]]:g} of channel {wrong[0]} "
            "does not pass its activation, expected one that weights in front "
            "of it can give; pass strict=False and train on."
        )
    return maker.call.name


def _is_exact(maker: _Maker, factors: np.ndarray) -> np.ndarray:
    """`(C,)` bool: whether s f(x) = f(s x) for each factor s."""
    call = maker.activation or maker.call
    name = getattr(
        getattr(call.operation, "activation", None), "__name__", "linear"
    )
    if maker.activation is None and name == "linear":
        return np.ones(factors.shape, bool)
    plain_relu = (
        is_a(call, ("ReLU",))
        and call.operation.max_value is None
        and not call.operation.threshold
    )
    if name in _HOMOGENEOUS or plain_relu or is_a(call, _HOMOGENEOUS_CALLS):
        return factors >= 0
    return factors == 1


def _multiply(layer: keras.Layer, factors: np.ndarray) -> None:
    """Multiplies the outputs of a norm or convolution, before activation."""
    kind = {base.__name__ for base in type(layer).__mro__}
    if kind & set(NORMS):
        layer.gamma.assign(layer.gamma * factors)
        if getattr(layer, "beta", None) is not None:
            layer.beta.assign(layer.beta * factors)
        return
    if any(name.startswith("Separable") for name in kind):
        kernel, own = layer.pointwise_kernel, factors
    elif any(name.startswith("Depthwise") for name in kind):
        kernel, own = layer.kernel, factors.reshape(layer.kernel.shape[-2:])
    elif any(name.endswith("Transpose") for name in kind):
        kernel, own = layer.kernel, factors[:, None]
    else:
        kernel, own = layer.kernel, factors
    kernel.assign(kernel * own)
    if layer.bias is not None:
        layer.bias.assign(layer.bias * factors)
