"""The repair that does best on images held back from it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

from drnet_tf.classifier import find_classifier, log_probabilities
from drnet_tf.graph import read_graph
from drnet_tf.graph_building import run_untraced
from drnet_tf.pruning import PrunedModel
from drnet_tf.pruning.lineage import output_rows
from drnet_tf.pruning.pruned_model import lineage_of
from drnet_tf.repair.images import check_images
from drnet_tf.repair.repair import repair_all
from drnet_tf.repair.report import RepairedModel, RepairReport

_HOLD_BACK = 5  # every fifth image
_READ = 128  # images run at a time
NONE, NORMS, LEAST_SQUARES = "none", "norms", "least_squares"
BOTH = "least_squares, norms"


def repair_best(
    pruned: PrunedModel,
    full_model: keras.Model,
    images: np.ndarray,
    **settings: Any,
) -> RepairedModel:
    """Tries no repair, norms, least squares and norms after least squares.

    Each is fitted to four fifths of the images. The one is taken whose
    sub-task softmax diverges least from the full network's on the others,
    the mean of KL(full || small); no labels are needed.

    Args:
      pruned, full_model, images: as for `repair`; one input, two or more
        classes.
      **settings: of `repair`.

    Returns:
      The best network; `.repair.divergences` has the figure of each method.

    Raises:
      TypeError, ValueError: as for `repair`; or the outputs are not class
        scores, or of one class.
    """
    lineage = lineage_of(pruned, full_model, "repair")
    rows = output_rows(pruned.model, lineage, "repair")
    if len(rows) == 1:
        raise ValueError(
            f"repair: '{pruned.model.name}' has one class, whose softmax is 1 "
            "whatever the repair, expected two or more to choose a method by; "
            "pass a method, e.g. 'least_squares'."
        )
    (images,) = check_images(read_graph(full_model), images)
    held = np.arange(len(images)) % _HOLD_BACK == _HOLD_BACK - 1
    if not held.any():
        raise ValueError(
            f"repair: got {len(images)} images, expected at least {_HOLD_BACK} "
            "to choose a method by; pass more, or a method."
        )
    fitted, checked = images[~held], images[held]
    networks = _candidates(pruned, full_model, fitted, settings)
    goal = _log_softmax(full_model, checked, rows)
    divergences = {
        method: _divergence(goal, _log_softmax(network.model, checked, None))
        for method, network in networks.items()
    }
    method = min(divergences, key=lambda x: divergences[x])
    best = networks[method]
    done = best.repair if isinstance(best, RepairedModel) else None
    return RepairedModel(
        best.report,
        best.built,
        best.lineage,
        RepairReport(
            method,
            len(fitted),
            done.layers if done else (),
            done.norms if done else (),
            done.left if done else {},
            divergences,
        ),
    )


def _candidates(
    pruned: PrunedModel,
    full_model: keras.Model,
    images: np.ndarray,
    settings: dict[str, Any],
) -> dict[str, PrunedModel]:
    has_norms = any(
        isinstance(layer, keras.layers.BatchNormalization)
        for layer in pruned.model.layers
    )
    methods = [LEAST_SQUARES] + [NORMS] * has_norms
    found: dict[str, PrunedModel] = {NONE: pruned}
    jobs = [(pruned, method) for method in methods]
    for method, network in zip(
        methods,
        repair_all(jobs, full_model, images, **settings),
        strict=True,
    ):
        found[method] = network
    if has_norms:
        jobs = [(found[LEAST_SQUARES], NORMS)]
        (found[BOTH],) = repair_all(jobs, full_model, images, **settings)
    return found


def _log_softmax(
    model: keras.Model, images: np.ndarray, rows: Sequence[int] | None
) -> np.ndarray:
    """`(N, k)`: log of the softmax over some outputs, or all."""
    probabilities = find_classifier(model).probabilities
    outputs = run_untraced(model, images, _READ)
    scores = keras.ops.convert_to_numpy(
        log_probabilities(outputs, probabilities)
    ).astype(float)
    scores = scores if rows is None else scores[:, list(rows)]
    scores = scores - scores.max(-1, keepdims=True)
    return scores - np.log(np.exp(scores).sum(-1, keepdims=True))


def _divergence(goal: np.ndarray, found: np.ndarray) -> float:
    return float((np.exp(goal) * (goal - found)).sum(-1).mean())
