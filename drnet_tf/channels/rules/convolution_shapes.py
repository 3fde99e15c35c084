"""Geometry of convolutions: where channels lie, whether zeros are padded."""

from __future__ import annotations

from drnet_tf.channels.channel_flow import ChannelFlow
from drnet_tf.graph import Call


def channel_axis(call: Call, flow: ChannelFlow) -> int:
    """Channel axis of the first input, counted from the end."""
    first = getattr(call.operation, "data_format", None) == "channels_first"
    return 1 - len(flow.shape(call.inputs[0])) if first else -1


def is_padded(call: Call, flow: ChannelFlow) -> bool:
    """Whether some output place sees padded zeros beside real values.

    With padding "same" and n input places, stride s, kernel k, dilation d
    there are max((ceil(n / s) - 1) s + (k - 1) d + 1 - n, 0) zeros.
    """
    layer = call.operation
    if layer.padding == "valid":
        return False
    if layer.padding != "same":
        return True
    shape = flow.shape(call.inputs[0])
    places = shape[2:] if layer.data_format == "channels_first" else shape[1:-1]
    for n, s, k, d in zip(
        places,
        layer.strides,
        layer.kernel_size,
        layer.dilation_rate,
        strict=True,
    ):
        if k == 1:
            continue
        if n is None or (-(-n // s) - 1) * s + (k - 1) * d + 1 > n:
            return True
    return False
