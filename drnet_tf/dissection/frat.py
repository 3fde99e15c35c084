"""FRAT: channels by the positive derivatives of a class' probability."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any, ClassVar

import keras
import numpy as np
from keras import ops

from drnet_tf.classifier import Classifier, find_classifier
from drnet_tf.dissection import autodiff
from drnet_tf.dissection.method import Problem
from drnet_tf.dissection.scaling import min_max
from drnet_tf.free_sites import GatePlace
from drnet_tf.graph import Call, Graph, read_graph, replay
from drnet_tf.logits import logit_caller
from drnet_tf.progress import DelayedBar

_OF = ("probability", "logit")
_Forward = Callable[[Any, list[Any] | None], tuple[Any, list[Any]]]


@dataclasses.dataclass(frozen=True)
class FRAT:
    """How the first version of CNN LEGO finds critical feature maps.

    For each image of class k, with p_k its probability and a_p the p-th map of
    a site,

        G_p = Σ_{h,w} max(∂p_k / ∂a_p[h, w], 0),

    averaged over the images of the class and scaled to 0..1 within the site,
    R_p = (G_p - min G) / (max G - min G + 1e-5). A map is critical if R_p ≥ β;
    β = 0.2 is what Model LEGO takes for convolutions: `union(importance,
    classes, 0.2)`.

    Reference: J. Hu et al., "CNN LEGO: Disassembling and Assembling
    Convolutional Neural Network", 2022, arXiv:2203.13453, version 1.

    Departures: the equations are an interpretation, as only the abstract of
    version 1 was at hand, which speaks of positive derivatives of the predicted
    class' probability by the feature maps; sum over places, min-max and β are
    borrowed from version 2. The images are those that `dissect` draws from the
    correctly classified ones, not the most confident. The derivatives by the
    maps of a tied site are added up. Where all maps of a site have the same
    derivative, all are critical, so that a site of one channel keeps it.

    Args:
      of: what is derived. "probability": as in the paper; its derivative
        vanishes as the network becomes sure (by 1 - p_k). "logit": the score
        before the softmax, whose derivative does not.

    Raises:
      ValueError: another `of`.

    Example:
      >>> FRAT(of="logit").name
      'frat'
    """

    name: ClassVar[str] = "frat"
    of: str = "probability"

    def __post_init__(self) -> None:
        if self.of not in _OF:
            raise ValueError(
                f"FRAT: of is {self.of!r}, expected one of {_OF}; "
                "'probability' is the paper's."
            )

    def scores(
        self, problem: Problem
    ) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
        """Scores every channel; see `Method.scores`.

        Raises:
          ValueError: the model has several inputs or no class scores; all
            derivatives of a class vanish, or one is not finite.
        """
        autodiff.check_backend()
        places = [place for site in problem.sites for place in site.places]
        derive = _derivatives(problem.model, places, self.of)
        classes, count = len(problem.class_names), 0
        sums = [np.zeros((classes, len(x.entries))) for x in places]
        images_of, vanished = np.zeros(classes), np.zeros(classes)
        bar = DelayedBar(len(problem.images), "image")
        for images, labels in problem.images:
            parts = derive(images, np.eye(classes, dtype=np.float32)[labels])
            for total, part in zip(sums, parts, strict=True):
                np.add.at(total, labels, part)
            flat = np.all([(part == 0).all(1) for part in parts], axis=0)
            np.add.at(vanished, labels, flat)
            np.add.at(images_of, labels, 1)
            count += len(images)
            if problem.progress:
                bar.update(count)
        self._check(problem, sums, vanished == images_of)
        shares = (vanished / images_of).tolist()
        found = {
            "images": count,
            "vanished": dict(zip(problem.class_names, shares, strict=True)),
        }
        return self._by_site(problem, sums, images_of), found

    def _by_site(
        self, problem: Problem, sums: list[np.ndarray], images_of: np.ndarray
    ) -> dict[str, np.ndarray]:
        """R `(K, C_l)` by site, of the sums at all places."""
        parts, scores = iter(sums), {}
        for site in problem.sites:
            means = np.zeros((len(images_of), site.channels))
            for place in site.places:
                gates = place.index
                part = next(parts) / images_of[:, None]
                np.add.at(means.T, gates, part.T)
            scores[site.name] = min_max(means, 1).astype(np.float32)
        return scores

    def _check(
        self, problem: Problem, sums: list[np.ndarray], vanished: np.ndarray
    ) -> None:
        name = problem.model.name
        if not all(np.isfinite(x).all() for x in sums):
            raise ValueError(
                f"FRAT, model '{name}': some derivatives are NaN or infinite, "
                "expected numbers; check the weights and the scale of the "
                "images."
            )
        if vanished.any():
            row = problem.class_names[int(vanished.argmax())]
            way = (
                "pass FRAT(of='logit')"
                if self.of == "probability"
                else "look for a dead layer"
            )
            raise ValueError(
                f"FRAT, model '{name}', class '{row}': the derivatives of its "
                f"{self.of} vanish at every site for all its images, expected "
                f"some that are positive; {way}."
            )


def _derivatives(
    model: keras.Model, places: list[GatePlace], of: str
) -> Callable[[np.ndarray, np.ndarray], list[np.ndarray]]:
    """(images `(n, ...)`, one-hot `(n, K)`) -> G `(n, C)` at every place."""
    if len(model.inputs) != 1:
        raise ValueError(
            f"Model '{model.name}' has {len(model.inputs)} inputs, expected "
            "one, the images."
        )
    classifier = find_classifier(model)
    forward = _forward(read_graph(model), classifier, places, of)

    def run(images: Any, wanted: Any) -> list[Any]:
        _, maps = forward(images, None)
        shifts = [ops.zeros_like(x) for x in maps]

        def chosen(shifts: list[Any]) -> tuple[Any, Any]:
            values, _ = forward(images, shifts)
            return ops.sum(values * wanted), ()

        slopes, _ = autodiff.gradient(chosen, shifts)
        return [
            _positive_sums(slope, place.axis)
            for slope, place in zip(slopes, places, strict=True)
        ]

    shapes = [model.inputs[0].shape, (None, classifier.num_classes)]
    compiled = autodiff.compiled(run, [(None, *x[1:]) for x in shapes])

    def derive(images: np.ndarray, wanted: np.ndarray) -> list[np.ndarray]:
        arrays = [ops.convert_to_tensor(x, "float32") for x in (images, wanted)]
        return [ops.convert_to_numpy(x) for x in compiled(*arrays)]

    return derive


def _forward(
    graph: Graph, classifier: Classifier, places: list[GatePlace], of: str
) -> _Forward:
    """(images, what is added to the maps) -> (values `(n, K)`, the maps).

    The derivative by what is added, at zero, is that by the map.
    """
    rows = {place.tensor: row for row, place in enumerate(places)}
    logits = logit_caller(graph, classifier)

    def forward(images: Any, shifts: list[Any] | None) -> tuple[Any, list[Any]]:
        maps: dict[int, Any] = {}

        def call(step: Call, args: Any, kwargs: Any) -> Any:
            if of == "logit":
                outputs = logits(step, args, kwargs)
            else:
                outputs = step.operation(*args, **kwargs)
            row = rows.get(step.outputs[0])
            if row is None:
                return outputs
            maps[row] = outputs
            return outputs if shifts is None else outputs + shifts[row]

        (values,) = replay(graph, [images], call)
        values = ops.cast(values, "float32")
        if of == "probability" and not classifier.probabilities:
            values = ops.softmax(values, axis=-1)
        return values, [maps[row] for row in range(len(places))]

    return forward


def _positive_sums(slopes: Any, axis: int) -> Any:
    """`(n, C)`: positive parts summed over all places of a map."""
    channel = len(slopes.shape) + axis
    others = [x for x in range(1, len(slopes.shape)) if x != channel]
    positive = ops.maximum(ops.cast(slopes, "float32"), 0.0)
    return ops.sum(positive, axis=others) if others else positive
