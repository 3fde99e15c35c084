"""Operations without a rule: all their channels stay."""

from __future__ import annotations

from drnet_tf.channels.channel_flow import ChannelFlow
from drnet_tf.channels.rules.registry import Rule
from drnet_tf.graph import Call


def reason(call: Call) -> str:
    """Why an operation's channels stay, for the report."""
    kind = type(call.operation).__name__
    return f"there is no rule for {kind} '{call.name}'"


class Unknown(Rule):
    """Anything may happen between inputs and outputs, so nothing is cut."""

    operands = None

    def forward(self, call: Call, flow: ChannelFlow) -> None:
        flow.unknown.append(call)
        for tensor in call.inputs:
            flow.freeze(tensor, reason(call))
        for tensor in call.outputs:
            flow.add_frozen(tensor, reason(call))

    def backward(self, call: Call, flow: ChannelFlow) -> None:
        """Nothing is left to do: `freeze` marked the inputs as needed."""


UNKNOWN = Unknown()
