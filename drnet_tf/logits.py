"""A classifier's logits, also where its output has been through a softmax."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras

from drnet_tf.classifier import Classifier
from drnet_tf.graph import Call, Graph
from drnet_tf.graph_building import config_of, remade
from drnet_tf.operations import is_a


def logit_caller(
    graph: Graph, classifier: Classifier
) -> Callable[[Call, tuple[Any, ...], dict[str, Any]], Any]:
    """How `graph.replay` runs a network so that it ends with its logits.

    From the classifier on, a softmax gives on what it reads, and a layer with a
    softmax of its own is called as a linear one with the same weights.

    Args:
      graph: of the network.
      classifier: of `find_classifier`.

    Returns:
      `(call, args, kwargs) -> outputs`, for `replay`.
    """
    softmaxes = head_softmaxes(graph, classifier)
    # Made before the network is traced: weights are copied.
    own = classifier.call
    linear = _linear(own, graph) if own.name in softmaxes else own.operation

    def call(step: Call, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        if step.name not in softmaxes:
            return step.operation(*args, **kwargs)
        if step.name != own.name:
            return keras.tree.flatten((args, kwargs))[0]
        return linear(*args, **kwargs)

    return call


def is_softmax(call: Call) -> bool:
    """Whether a call is, or ends with, a softmax or its logarithm."""
    if is_a(call, ("Softmax", "LogSoftmax")):
        return True
    activation = getattr(call.operation, "activation", None)
    name = getattr(activation, "__name__", "")
    return name in ("softmax", "log_softmax")


def head_softmaxes(graph: Graph, classifier: Classifier) -> frozenset[str]:
    """Names of the calls with a softmax from the classifier to the output."""
    producers = graph.producers()
    found, call = set(), producers[graph.outputs[0]]
    while True:
        if is_softmax(call):
            found.add(call.name)
        if call.name == classifier.call.name:
            return frozenset(found)
        call = producers[call.inputs[0]]


def _linear(call: Call, graph: Graph) -> keras.Layer:
    layer = call.operation
    copy = remade(layer, {**config_of(layer), "activation": None})
    copy.build(graph.tensors[call.inputs[0]].shape)
    copy.set_weights(layer.get_weights())
    return copy
