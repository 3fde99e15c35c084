"""Operations without a rule: all their channels stay."""

from __future__ import annotations

from drnet_tf.channels.channel_flow import ChannelFlow
from drnet_tf.channels.rules.registry import Rule
from drnet_tf.graph import Call


class Whole(Rule):
    """Every output may depend on every input, so none of them is cut."""

    operands = None

    def reason(self, call: Call) -> str:
        """Why the operation's channels stay, for the report."""
        return f"'{call.name}' reads all of them"

    def forward(self, call: Call, flow: ChannelFlow) -> None:
        for tensor in call.outputs:
            flow.add_new(tensor)

    def backward(self, call: Call, flow: ChannelFlow) -> None:
        if any(flow.needed(tensor).any() for tensor in call.outputs):
            for tensor in call.inputs:
                flow.need_all(tensor)

    def complete(self, call: Call, flow: ChannelFlow) -> None:
        for tensor in (*call.inputs, *call.outputs):
            flow.keep_all(tensor, self.reason(call))

    def couple(self, call: Call, flow: ChannelFlow) -> None:
        for tensor in (*call.inputs, *call.outputs):
            flow.freeze(tensor)


class Unknown(Whole):
    """Anything may happen between inputs and outputs."""

    def reason(self, call: Call) -> str:
        kind = type(call.operation).__name__
        return f"there is no rule for {kind} '{call.name}'"


WHOLE = Whole()
UNKNOWN = Unknown()
