"""First-order Taylor: what the loss would change by without a channel.

With a gate λ_c at a channel, the loss L of an image changes by about
−∂L/∂λ_c when the gate is closed, to first order around the open gate; and
∂L/∂λ_c = Σ_m z_c,m ∂L/∂z_c,m over the positions m of the channel's map z_c. Per
channel and class

    Θ_c = 1/N Σ_i |∂L_i/∂λ_c|,

divided by the root of the sum of squares over the channels of the site.

Source: Molchanov, Tyree, Karras, Aila, Kautz, "Pruning Convolutional Neural
Networks for Resource Efficient Inference", ICLR 2017, Eq. 8 and the l2
normalisation by layer.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any, ClassVar

import keras
import numpy as np
from keras import ops

from drnet_tf.classifier import find_classifier, log_probabilities
from drnet_tf.dissection import autodiff
from drnet_tf.dissection.method import Problem
from drnet_tf.gates import per_image_gate_model


@dataclasses.dataclass(frozen=True)
class Taylor:
    """Settings of first-order Taylor; the defaults are the paper's.

    L is the cross-entropy of the image's class.

    Departures: the mean is over the images of one class; the paper's factor 1/M
    for the M positions of a map is left out, which the normalisation takes away
    in any case.

    Attributes:
      normalize: whether a class's scores at a site get the l2 norm 1; without,
        they are nats.

    Example:
      >>> Taylor().name
      'taylor'
    """

    name: ClassVar[str] = "taylor"
    normalize: bool = True

    def scores(
        self, problem: Problem
    ) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
        """See `Method.scores`."""
        slopes = _slopes(problem)
        classes = len(problem.class_names)
        sums = [np.zeros((classes, site.channels)) for site in problem.sites]
        counts = np.zeros(classes)
        for images, labels in problem.images:
            np.add.at(counts, labels, 1)
            found = slopes(
                ops.convert_to_tensor(images, "float32"),
                ops.one_hot(labels, classes, dtype="float32"),
            )
            for total, slope in zip(sums, found, strict=True):
                rows = np.abs(ops.convert_to_numpy(slope)).astype(np.float64)
                np.add.at(total, labels, rows)
        scores = {}
        for site, total in zip(problem.sites, sums, strict=True):
            means = total / counts[:, None]
            scores[site.name] = _normalized(means) if self.normalize else means
        return scores, {}


def _slopes(problem: Problem) -> Callable[[Any, Any], list[Any]]:
    """(images, one-hot labels) -> `(n, C_l)` ∂L_i/∂λ of every site."""
    autodiff.check_backend()
    model = problem.model
    if len(model.inputs) != 1:
        raise ValueError(
            f"Model '{model.name}' has {len(model.inputs)} inputs, expected "
            "one, the images."
        )
    probabilities = find_classifier(model).probabilities
    gated: keras.Model = per_image_gate_model(model, problem.coupling)

    def slopes(images: Any, targets: Any) -> list[Any]:
        def loss(gates: list[Any]) -> tuple[Any, None]:
            outputs = gated([images, *gates], training=False)
            logs = log_probabilities(outputs, probabilities)
            # A sum: the gates of an image feel its own loss only.
            return -ops.sum(targets * logs), None

        gates = [
            ops.ones((ops.shape(images)[0], site.channels))
            for site in problem.sites
        ]
        return autodiff.gradient(loss, gates)[0]

    return autodiff.compiled(
        slopes,
        [(None, *model.input_shape[1:]), (None, len(problem.class_names))],
    )


def _normalized(scores: np.ndarray) -> np.ndarray:
    """Rows of length 1; a row of zeros stays."""
    length = np.sqrt((scores**2).sum(1, keepdims=True))
    return np.divide(
        scores, length, out=np.zeros_like(scores), where=length > 0
    )
