"""What a rule is, and which rule an operation has."""

from __future__ import annotations

import abc
import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np

from drnet_tf.channels.channel_flow import ChannelFlow
from drnet_tf.graph import Call
from drnet_tf.graph_building import config_of


@dataclasses.dataclass(frozen=True)
class Part:
    """How an operation looks in the small network.

    Attributes:
      config: what `from_config` builds it from.
      weights: arrays in the order of `get_weights()`.
    """

    config: dict[str, Any]
    weights: Sequence[np.ndarray] = ()


class Rule(abc.ABC):
    """How channels flow through one family of operations.

    A rule has no state; all methods get the call and the `ChannelFlow`. A
    family needs `forward` and `backward`; the rest has defaults that suit an
    operation without weights.

    Attributes:
      operands: how many tensors a call reads; None for any number.
      same_in_training: whether `training=True` changes nothing; where it does,
        a call with it has no rule.
    """

    operands: int | None = 1
    same_in_training = False

    def covers(self, operation: keras.Operation) -> bool:
        """Whether the rule is for this operation of a class it stands for."""
        return True

    def mixes(self, call: Call, flow: ChannelFlow) -> bool:
        """Whether this use mixes channels in a way that the rule cannot follow.

        Then all channels of inputs and outputs stay, and the rule is asked to
        `rebuild` and `run` only. Called when the inputs' channels are known.
        """
        return False

    @abc.abstractmethod
    def forward(self, call: Call, flow: ChannelFlow) -> None:
        """Says which channels the outputs have: `flow.add(...)` for each."""

    @abc.abstractmethod
    def backward(self, call: Call, flow: ChannelFlow) -> None:
        """Marks the channels of the inputs that `flow.needed` ones need."""

    def reads(self, call: Call, flow: ChannelFlow) -> list[int]:
        """The inputs that the small network's call reads."""
        dropped = flow.dropped.get(call.name, frozenset())
        return [tensor for tensor in call.inputs if tensor not in dropped]

    def complete(self, call: Call, flow: ChannelFlow) -> None:
        """Keeps more channels (`flow.keep`) if the call cannot be without.

        Asked of the calls that the outputs depend on, until none keeps more. By
        default no input may lose its last channel.
        """
        for tensor in self.reads(call, flow):
            if not flow.is_kept(flow[tensor]).any():
                flow.keep(flow[tensor].atoms[:1], LAST)

    def couple(self, call: Call, flow: ChannelFlow) -> None:  # noqa: B027
        """Unites channels of which no part can go alone, for tied sites.

        `forward` unites what is one channel; this is for more: the groups of a
        convolution have to stay of one size. What never goes is
        `flow.freeze`d.
        """

    def rebuild(self, call: Call, flow: ChannelFlow) -> Part:
        """The operation for the kept channels; once for a shared layer."""
        operation = call.operation
        weights = (
            operation.get_weights()
            if isinstance(operation, keras.layers.Layer)
            else ()
        )
        return Part(config_of(operation), weights)

    def run(
        self,
        call: Call,
        flow: ChannelFlow,
        operation: keras.Operation,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
    ) -> Any:
        """Calls the rebuilt operation on the small network's tensors."""
        return operation(*args, **kwargs)

    def can_silence(self, call: Call, flow: ChannelFlow) -> bool:
        """Whether `rebuild` makes `flow.is_silent` channels zero by weights."""
        return False

    def zero_from(
        self, call: Call, flow: ChannelFlow
    ) -> tuple[tuple[int, ...], ...]:
        """Inputs whose zero channels make the same output channels zero.

        Returns:
          Alternatives; of each, all inputs have to be zero.
        """
        return ()


LAST = "a layer cannot do with fewer"
_RULES: dict[type | str, list[Rule]] = {}


def register_rule(
    *operations: type | str,
) -> Callable[[type[Rule]], type[Rule]]:
    """Registers a `Rule` for operation classes, also a custom layer's.

    The rule that was registered last and covers the operation is used.

    Args:
      *operations: classes, whose subclasses are not covered; or names of
        classes of Keras that are not public: of operators (`"Add"` stands for
        `a + b`), of layers with their module (`"convnext.LayerScale"`).

    Returns:
      A decorator for the `Rule` class.

    Example:
      >>> import keras
      >>> from drnet_tf.pruning import register_rule
      >>> from drnet_tf.channels.rules.pointwise import Pointwise
      >>> class Half(keras.layers.Layer):
      ...     def call(self, x):
      ...         return x / 2
      >>> @register_rule(Half)
      ... class HalfRule(Pointwise):
      ...     pass
    """

    def decorate(rule: type[Rule]) -> type[Rule]:
        for operation in operations:
            _RULES.setdefault(operation, []).insert(0, rule())
        return rule

    return decorate


def find_rule(operation: keras.Operation) -> Rule | None:
    """The rule of an operation's class, or None.

    Quantized and LoRA layers have none: their weights are not what the rules
    cut.
    """
    is_layer = isinstance(operation, keras.layers.Layer)
    if is_layer and (
        getattr(operation, "quantization_mode", None) is not None
        or getattr(operation, "lora_enabled", False)
    ):
        return None
    kind = type(operation)
    rules = _RULES.get(kind) or _RULES.get(_private_name(kind), [])
    return next((rule for rule in rules if rule.covers(operation)), None)


def _private_name(kind: type) -> str:
    if not kind.__module__.startswith("keras."):
        return ""
    if issubclass(kind, keras.layers.Layer):
        return f"{kind.__module__.rsplit('.', 1)[-1]}.{kind.__name__}"
    return kind.__name__
