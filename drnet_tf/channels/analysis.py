"""Runs the rules over a graph: what each channel is, who needs it, what stays.

1. Forward, each tensor gets its channels: which are tied, which are constant.
2. Backward, each call marks the input channels that its needed outputs need.
3. A set of tied channels is kept if one of them is needed.
4. Layers that cannot do without keep more (`Rule.complete`).
"""

from __future__ import annotations

import numpy as np

from drnet_tf.channels.channel_flow import ChannelFlow, MaskedSite
from drnet_tf.channels.rules import find_rule
from drnet_tf.channels.rules.registry import Rule
from drnet_tf.channels.rules.unknown import UNKNOWN, WHOLE
from drnet_tf.graph import Call, Graph


def rule_of(call: Call) -> Rule:
    """The rule for a call; `UNKNOWN` if there is none for this use."""
    rule = find_rule(call.operation)
    arguments = (*call.args[1:], *call.kwargs.values())
    if (
        rule is None
        or rule.operands not in (None, len(call.inputs))
        # In training mode a norm reads the batch, and dropout drops.
        or (not rule.same_in_training and any(x is True for x in arguments))
    ):
        return UNKNOWN
    return rule


def flow_rule_of(call: Call, flow: ChannelFlow) -> Rule:
    """As `rule_of`, for the flow: `WHOLE` where this use mixes channels."""
    rule = rule_of(call)
    return WHOLE if rule.mixes(call, flow) else rule


def analyse(
    graph: Graph,
    masks: dict[int, MaskedSite],
    classifier: Call | None = None,
    rows: tuple[int, ...] = (),
) -> ChannelFlow:
    """Decides which channels of a masked network are kept.

    Args:
      graph: of the network.
      masks: the masked sites by the number of their tensor.
      classifier: the call that makes the class scores, if rows are cut.
      rows: the classes to keep, in the order of the new output.

    Raises:
      ValueError: the classifier's rows cannot be cut.
    """
    head = _calls_from(graph, classifier) if classifier else frozenset()
    flow = ChannelFlow(graph, masks, head)
    _walk_forward(flow)
    if classifier is None:
        for tensor in graph.outputs:
            flow.need_all(tensor)
    else:
        _choose_rows(flow, classifier, rows)
    for call in reversed(graph.calls):
        flow_rule_of(call, flow).backward(call, flow)
    flow.find_kept()
    for tensor in graph.inputs:
        flow.keep_all(tensor, "they are the model's input")
    if classifier is None:
        for tensor in graph.outputs:
            flow.keep_all(tensor, "they are the model's output")
    _complete(flow)
    if classifier is not None:
        _check_rows(flow, classifier, rows)
    return flow


def couple(graph: Graph) -> ChannelFlow:
    """Finds which channels can only go together, and which never, for any mask.

    Args:
      graph: of the network.

    Returns:
      A flow whose atoms are united accordingly and whose `frozen` is filled.
    """
    flow = ChannelFlow(graph, {})
    _walk_forward(flow)
    for call in graph.calls:
        flow_rule_of(call, flow).couple(call, flow)
    for tensor in (*graph.inputs, *graph.outputs):
        flow.freeze(tensor)
    flow.freeze_views()
    return flow


def _walk_forward(flow: ChannelFlow) -> None:
    for tensor in flow.graph.inputs:
        flow.add_new(tensor)
    for call in flow.graph.calls:
        flow_rule_of(call, flow).forward(call, flow)


def _calls_from(graph: Graph, call: Call) -> frozenset[str]:
    """Names of a call and of all calls that depend on it."""
    tensors, names = set(call.outputs), {call.name}
    for later in graph.calls:
        if tensors & set(later.inputs):
            tensors.update(later.outputs)
            names.add(later.name)
    return frozenset(names)


def _choose_rows(
    flow: ChannelFlow, classifier: Call, rows: tuple[int, ...]
) -> None:
    scores = flow[classifier.outputs[0]]
    flow.class_order = scores.atoms[list(rows)]
    for tensor in flow.graph.outputs:
        outputs = flow[tensor]
        if not np.array_equal(
            flow.atoms.roots(outputs.atoms), flow.atoms.roots(scores.atoms)
        ):
            raise ValueError(
                f"classes: the channels of '{classifier.name}' cannot be "
                "followed to the model's output, so its rows cannot be cut; "
                "prune with classes=None and select the outputs yourself."
            )
        outputs.needed[list(rows)] = True


def _check_rows(
    flow: ChannelFlow, classifier: Call, rows: tuple[int, ...]
) -> None:
    kept = flow.is_kept(flow[classifier.outputs[0]])
    if set(np.flatnonzero(kept)) != set(rows):
        raise ValueError(
            f"classes: other layers need the scores of '{classifier.name}' "
            "that would go; prune with classes=None and select the outputs "
            "yourself."
        )


def _complete(flow: ChannelFlow) -> None:
    """Lets calls keep what they need, until none needs more."""
    before = -1
    while flow.count_kept() != before:
        before = flow.count_kept()
        read = _mark_alive(flow)
        flow.keep_views(read)
        for call in reversed(flow.graph.calls):
            if call.name in flow.alive:
                flow_rule_of(call, flow).complete(call, flow)
    _mark_alive(flow)


def _mark_alive(flow: ChannelFlow) -> set[int]:
    """Finds the calls that the outputs still depend on, and what they read."""
    read, alive = set(flow.graph.outputs), set()
    for call in reversed(flow.graph.calls):
        if read & set(call.outputs):
            alive.add(call.name)
            read.update(rule_of(call).reads(call, flow))
    flow.alive = frozenset(alive)
    return read
