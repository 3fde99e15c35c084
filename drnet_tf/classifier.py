"""The classifier of a network: the call that makes the class scores."""

from __future__ import annotations

import dataclasses
from typing import Any

import keras

from drnet_tf.graph import Call, Graph, read_graph
from drnet_tf.operations import is_a

# Leaves every class' score the score of that class.
_TRANSPARENT = (
    "Dropout",
    "Flatten",
    "Identity",
    "Reshape",
    "Squeeze",
)
_POOLS = (
    "AveragePooling1D",
    "AveragePooling2D",
    "AveragePooling3D",
    "GlobalAveragePooling1D",
    "GlobalAveragePooling2D",
    "GlobalAveragePooling3D",
    "GlobalMaxPooling1D",
    "GlobalMaxPooling2D",
    "GlobalMaxPooling3D",
    "Mean",
)
_HEADS = (
    keras.layers.Dense,
    keras.layers.Conv1D,
    keras.layers.Conv2D,
    keras.layers.Conv3D,
)
_TINY = 1e-20  # log(1e-20) = -46 nats: below any probability that matters


@dataclasses.dataclass(frozen=True)
class Classifier:
    """Where a network makes its class scores.

    Attributes:
      call: the call of a Dense or Conv layer whose output channel k is the
        score of class k.
      num_classes: K, two or more.
      probabilities: whether the model's output has been through a softmax; if
        not, it is logits.
    """

    call: Call
    num_classes: int
    probabilities: bool


def find_classifier(model: keras.Model, fewest: int = 2) -> Classifier:
    """Finds the layer whose output channels are the classes.

    Walks back from the model's one output through softmax, flattening,
    reshaping, dropout and pooling to a Dense or Conv layer (SqueezeNet's ReLU
    between its last convolution and the pooling is passed, too).

    Args:
      model: a Functional or Sequential model; nested models are opened.
      fewest: how many classes it has to have.

    Raises:
      TypeError: the model is subclassed, or no Keras model.
      ValueError: the model outputs no class scores, with the reason: several
        outputs or a dict, one that is not `(batch, classes)`, too few classes,
        another activation (sigmoid), or no such layer.

    Example:
      >>> import keras
      >>> model = keras.Sequential([
      ...     keras.Input((8, 8, 3)),
      ...     keras.layers.Conv2D(10, 3),
      ...     keras.layers.GlobalAveragePooling2D(),
      ...     keras.layers.Softmax(),
      ... ])
      >>> classifier = find_classifier(model)
      >>> classifier.num_classes, classifier.probabilities
      (10, True)
    """
    graph = read_graph(model)
    num_classes = _check_output(model, graph, fewest)
    producers = graph.producers()
    probabilities: bool | None = None  # not known before a softmax is met
    pooled = False
    call = producers.get(graph.outputs[0])
    while call is not None:
        activation = _activation(call)
        if activation in ("softmax", "log_softmax"):
            _check_axis(model, graph, call, num_classes)
            if probabilities is None:
                probabilities = activation == "softmax"
        elif activation not in ("", "linear") and not (
            activation == "relu" and (pooled or probabilities is not None)
        ):
            raise _no_scores(
                model,
                f"'{call.name}' ends it with the activation '{activation}'",
            )
        if isinstance(call.operation, _HEADS):
            _check_width(model, graph, call, num_classes)
            return Classifier(call, num_classes, bool(probabilities))
        if activation == "" and not is_a(call, (*_TRANSPARENT, *_POOLS)):
            raise _no_scores(
                model,
                f"'{call.name}' ({type(call.operation).__name__}) makes it",
            )
        pooled = pooled or is_a(call, _POOLS)
        call = producers.get(call.inputs[0])
    raise _no_scores(model, "its output is its input")


def log_probabilities(outputs: Any, probabilities: bool) -> Any:
    """Log-probabilities of the classes, from logits or from probabilities.

    log softmax(z) of logits z; log(p + 1e-20) of probabilities p, which is
    finite where a softmax has underflown to 0.

    Args:
      outputs: `(batch, K)` tensor, a classifier's output in any float type.
      probabilities: `Classifier.probabilities`: whether it is p, not z.

    Returns:
      `(batch, K)` float32 tensor of the Keras backend, at most 0.

    Example:
      >>> import numpy as np
      >>> float(log_probabilities(np.array([[0.0, 1.0]]), True)[0, 1])
      0.0
    """
    outputs = keras.ops.cast(outputs, "float32")
    if probabilities:
        return keras.ops.log(outputs + _TINY)
    return keras.ops.log_softmax(outputs, axis=-1)


def _check_output(model: keras.Model, graph: Graph, fewest: int) -> int:
    if len(graph.outputs) != 1:
        raise _no_scores(model, f"it has {len(graph.outputs)} outputs")
    if not isinstance(model, keras.Sequential) and isinstance(
        model.output, dict
    ):
        raise _no_scores(model, "its output comes in a dict")
    shape = graph.tensors[graph.outputs[0]].shape
    if len(shape) != 2 or shape[-1] is None:
        raise _no_scores(model, f"its output has shape {tuple(shape)}")
    if shape[-1] < fewest:
        raise _no_scores(model, f"its output has {shape[-1]} channel")
    return int(shape[-1])


def _check_axis(
    model: keras.Model, graph: Graph, call: Call, num_classes: int
) -> None:
    shape = graph.tensors[call.outputs[0]].shape
    axis = getattr(call.operation, "axis", -1)
    if axis is None or shape[axis] != num_classes:
        raise _no_scores(
            model,
            f"the softmax '{call.name}' runs along axis {axis} of the shape "
            f"{tuple(shape)}, not along the {num_classes} classes",
        )


def _check_width(
    model: keras.Model, graph: Graph, call: Call, num_classes: int
) -> None:
    shape = graph.tensors[call.outputs[0]].shape
    first = getattr(call.operation, "data_format", None) == "channels_first"
    width = shape[1 if first else -1]
    if width != num_classes:
        raise _no_scores(
            model,
            f"'{call.name}' makes {width} channels, its output has "
            f"{num_classes}",
        )


def _activation(call: Call) -> str:
    """Name of the activation that the call applies; "" if it has none."""
    for class_name, name in (
        ("Softmax", "softmax"),
        ("LogSoftmax", "log_softmax"),
        ("ReLU", "relu"),
        ("Relu", "relu"),
        ("Sigmoid", "sigmoid"),
    ):
        if is_a(call, (class_name,)):
            return name
    activation = getattr(call.operation, "activation", None)
    if activation is None:
        return ""
    return getattr(activation, "__name__", type(activation).__name__)


def _no_scores(model: keras.Model, reason: str) -> ValueError:
    return ValueError(
        f"Model '{model.name}' outputs no class scores: {reason}; expected one "
        "output (batch, classes) of two or more classes, made by a Dense or "
        "Conv layer, linear or with a softmax; cut the model to that output "
        "with keras.Model(inputs, output)."
    )
