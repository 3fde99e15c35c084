"""What can be refitted in a pruned network, and against what."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

import keras
import numpy as np

from drnet_tf.graph import Call, Graph
from drnet_tf.operations import is_a
from drnet_tf.pruning.lineage import Lineage, Origin
from drnet_tf.repair.linear_layers import is_linear, linear_layer

# What hands a tensor on unchanged at inference.
_PASSING = (
    "AlphaDropout",
    "Dropout",
    "GaussianDropout",
    "GaussianNoise",
    "ActivityRegularization",
    "Identity",
    "SpatialDropout1D",
    "SpatialDropout2D",
    "SpatialDropout3D",
)


@dataclasses.dataclass(frozen=True, eq=False)
class Sum:
    """The addition that a layer's outputs end in.

    Attributes:
      norms: BatchNormalizations between the layer and the addition.
      others: numbers of the other summands in the small network.
      full: the sum in the full network.
    """

    norms: tuple[Call, ...]
    others: tuple[int, ...]
    full: Origin


@dataclasses.dataclass(frozen=True, eq=False)
class Refit:
    """A call of the small network whose weights are refitted.

    Attributes:
      call: of a convolution or Dense layer of the small network.
      full_call: the call of the full network that it stems from.
      channels: `(kept,)` int, which outputs of `full_call` it has.
      norm: the BatchNormalization that alone reads its outputs, if there is
        one: it takes a bias that the layer itself has no place for.
      sum: the addition that is matched instead of the layer's own outputs; it
        counts if the other summands are known when the layer's turn comes.
    """

    call: Call
    full_call: Call
    channels: np.ndarray
    norm: Call | None
    sum: Sum | None


@dataclasses.dataclass(frozen=True, eq=False)
class NormMatch:
    """A BatchNormalization and what it reads in the full network."""

    call: Call
    full: Origin


@dataclasses.dataclass(frozen=True, eq=False)
class Plan:
    """What is refitted, by the names of the small network's calls.

    Attributes:
      refits: convolutions and Dense layers.
      norms: BatchNormalizations.
      left: calls with weights that are left as they are, and why.
    """

    refits: Mapping[str, Refit]
    norms: Mapping[str, NormMatch]
    left: Mapping[str, str]


def make_plan(full: Graph, small: Graph, lineage: Lineage) -> Plan:
    """Decides what is refitted.

    Args:
      full, small: graphs of both networks.
      lineage: of the small one.
    """
    planner = _Planner(full, small, lineage)
    refits, norms, left = {}, {}, {}
    for call in small.calls:
        if not getattr(call.operation, "weights", ()):
            continue
        reason = planner.reason_to_leave(call)
        if reason:
            left[call.name] = reason
        elif isinstance(call.operation, keras.layers.BatchNormalization):
            norms[call.name] = planner.norm(call)
        else:
            refits[call.name] = planner.refit(call)
    return Plan(refits, norms, left)


class _Planner:
    def __init__(self, full: Graph, small: Graph, lineage: Lineage) -> None:
        self._small = small
        self._origins = lineage.origins
        self._makers = full.producers()
        self._readers = small.consumers()
        self._order = {
            tensor: place
            for place, call in enumerate(small.calls)
            for tensor in call.outputs
        }
        self._calls = [id(call.operation) for call in small.calls]
        self._full_calls = [id(call.operation) for call in full.calls]

    def reason_to_leave(self, call: Call) -> str:
        """Why a call's weights stay; "" if they can be refitted."""
        if self._calls.count(id(call.operation)) > 1:
            return "its layer is called more than once"
        if isinstance(call.operation, keras.layers.BatchNormalization):
            known = call.inputs[0] in self._origins
            return "" if known else "what it reads has no origin"
        if not is_linear(call.operation):
            return f"a {type(call.operation).__name__} is not refitted"
        origin = self._origins.get(call.outputs[0])
        maker = self._makers.get(origin.tensor) if origin else None
        if maker is None or type(maker.operation) is not type(call.operation):
            return "it has no origin in the full network"
        return ""

    def norm(self, call: Call) -> NormMatch:
        return NormMatch(call, self._origins[call.inputs[0]])

    def refit(self, call: Call) -> Refit:
        origin = self._origins[call.outputs[0]]
        return Refit(
            call,
            self._makers[origin.tensor],
            origin.channels,
            self._norm_after(call),
            self._sum_after(call, origin),
        )

    def _norm_after(self, call: Call) -> Call | None:
        if not linear_layer(call.operation).is_linear_to_the_end:
            return None
        reader = self._only_reader(call.outputs[0])
        return reader if reader and self._is_norm(reader, call) else None

    def _sum_after(self, call: Call, origin: Origin) -> Sum | None:
        if not linear_layer(call.operation).is_linear_to_the_end:
            return None
        norms: list[Call] = []
        tensor = call.outputs[0]
        while reader := self._only_reader(tensor):
            if self._is_norm(reader, call):
                norms.append(reader)
            elif is_a(reader, ("Add",)):
                return self._sum(call, tensor, reader, origin, norms)
            elif not _passes(reader):
                return None
            tensor = reader.outputs[0]
        return None

    def _sum(
        self,
        call: Call,
        tensor: int,
        reader: Call,
        origin: Origin,
        norms: list[Call],
    ) -> Sum | None:
        others = [x for x in reader.inputs if x != tensor]
        shapes = {self._small.tensors[x].shape for x in reader.inputs}
        full = self._origins.get(reader.outputs[0])
        turn = self._order[call.outputs[0]]
        if (
            len(others) != len(reader.inputs) - 1
            or not others
            or len(shapes) > 1
            or full is None
            or full.axis != origin.axis
            or len(full.channels) != len(origin.channels)
            or any(self._order.get(x, -1) > turn for x in others)
        ):
            return None
        return Sum(tuple(norms), tuple(others), full)

    def _only_reader(self, tensor: int) -> Call | None:
        readers = self._readers[tensor]
        if len(readers) != 1 or tensor in self._small.outputs:
            return None
        return readers[0]

    def _is_norm(self, reader: Call, call: Call) -> bool:
        """Whether a call is a norm along the channels of `call`'s outputs."""
        norm = reader.operation
        if (
            not isinstance(norm, keras.layers.BatchNormalization)
            or self._calls.count(id(norm)) > 1
        ):
            return False
        rank = len(self._small.tensors[call.outputs[0]].shape)
        (axis,) = np.atleast_1d(norm.axis)
        first = getattr(call.operation, "data_format", "") == "channels_first"
        return axis % rank == (1 if first else rank - 1)


def _passes(call: Call) -> bool:
    if isinstance(call.operation, keras.layers.Activation):
        return call.operation.activation is keras.activations.linear
    return is_a(call, _PASSING)
