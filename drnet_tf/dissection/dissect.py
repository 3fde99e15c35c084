"""Dissection: how much every channel matters to every class."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable, Sequence
from typing import Any, cast

import keras
import numpy as np

from drnet_tf.classifier import find_classifier
from drnet_tf.dissection.batch_sizes import batch_size_for
from drnet_tf.dissection.cdrp import CDRP, GateLearner
from drnet_tf.dissection.gates_of_images import scores_by_gates
from drnet_tf.dissection.kept_images import KeptImages
from drnet_tf.dissection.method import DrawnImages, Method, Problem
from drnet_tf.dissection.sampling import draw_images
from drnet_tf.fingerprints import fingerprint
from drnet_tf.importance import ChannelImportance
from drnet_tf.names import check_class_names
from drnet_tf.sites import gate_sites
from drnet_tf.work_folders import open_folder


def dissect(
    model: keras.Model,
    dataset: Any,
    method: CDRP | Method | None = None,
    *,
    class_names: Sequence[str],
    images_per_class: int = 100,
    seed: int = 0,
    batch_size: int | None = None,
    coupling: str = "free",
    keep_images: int = 0,
    work_dir: str | os.PathLike[str] | None = None,
    progress: bool = True,
) -> ChannelImportance:
    """Dissects a network: one importance vector (CIV) for each class.

    The CIV of class c is the mean of the gates of its images,
    λ^c = 1/N Σ_i λ_i (DRNet section 3.2). Memory does not grow with the number
    of images: the dataset is read as a stream, and only sums are kept.

    Args:
      model: a Functional or Sequential classifier; it is not changed.
      dataset: training images and labels, read several times: see
        `drnet_tf.datasets.batches`. Images are as the network expects them.
      method: which, with its settings; by default `CDRP()`.
      class_names: the network's classes, in the order of its outputs.
      images_per_class: correctly classified images drawn by seed.
      seed: decides which images are drawn; same seed, same bytes.
      batch_size: images optimised at a time; by default as many, at most 128,
        as keep the activations below about 1 GiB.
      coupling: which gates there are, see `gate_sites`: "free" as in the paper,
        or "tied", where whatever a mask silences can be removed.
      keep_images: how many images of each class stay with the importance, as
        float16, so that sub-networks can be repaired without others.
      work_dir: folder where finished batches are kept; a stopped run that is
        started again with the same arguments goes on there.
      progress: whether to show a bar with the time left.

    Returns:
      The importance of every channel to every class; its `diagnostics` hold
      the balance found, the rate of fallbacks and the histogram of the iterate
      that was kept.

    Raises:
      TypeError, ValueError: a model without graph, convolution or class scores;
        class names that do not fit; a class with too few images; images or
        labels that are not valid; a work_dir of another run.

    Example:
      >>> import keras
      >>> model = keras.Sequential([
      ...     keras.Input((4, 4, 2)),
      ...     keras.layers.Conv2D(2, 1, activation="relu", name="conv"),
      ...     keras.layers.GlobalAveragePooling2D(),
      ...     keras.layers.Dense(2),
      ... ])
      >>> one, none = np.eye(2), np.zeros(2)
      >>> model.set_weights([one.reshape(1, 1, 2, 2), none, 4 * one, none])
      >>> images = np.ones((2, 4, 4, 1)) * one[:, None, None]
      >>> importance = dissect(
      ...     model,
      ...     (images, np.array([0, 1])),
      ...     class_names=("red", "green"),
      ...     images_per_class=1,
      ... )
      >>> importance.scores["conv"].argmax(axis=1).tolist()
      [0, 1]
    """
    method = method or CDRP()
    names = _check_model(model, class_names)
    kept = KeptImages(len(names), keep_images)
    if work_dir is not None:
        open_folder(work_dir)
    size = batch_size_for(model, batch_size)
    learner = (
        GateLearner(model, method, coupling)
        if isinstance(method, CDRP)
        else None
    )
    drawn = draw_images(
        _predictor(model),
        dataset,
        names,
        images_per_class,
        seed,
        progress=progress,
    )
    problem = Problem(
        model,
        gate_sites(model, coupling),
        coupling,
        names,
        DrawnImages(dataset, drawn, size),
        seed,
        size,
        work_dir,
        progress,
    )
    config = dataclasses.asdict(method) | _settings(problem, images_per_class)
    mark = fingerprint(model)
    if learner is None:
        return _scored(cast(Method, method), problem, config, mark, kept)
    scores, found = scores_by_gates(learner, problem, config, mark, kept)
    return ChannelImportance(
        scores, names, "cdrp", config, found, mark, kept.images()
    )


def _scored(
    method: Method,
    problem: Problem,
    config: dict[str, Any],
    mark: str,
    kept: KeptImages,
) -> ChannelImportance:
    """The importance by another method than CDRP."""
    scores, found = method.scores(problem)
    for images, classes in problem.images:
        kept.add(classes, images)
    return ChannelImportance(
        scores,
        problem.class_names,
        method.name,
        config,
        found | {"pixels": kept.statistics()},
        mark,
        kept.images(),
    )


def _settings(problem: Problem, images_per_class: int) -> dict[str, Any]:
    """Those that every method has."""
    coupling = problem.coupling
    return {
        "images_per_class": images_per_class,
        "seed": problem.seed,
        "batch_size": problem.batch_size,
        **({} if coupling == "free" else {"coupling": coupling}),
    }


def _predictor(model: keras.Model) -> Callable[[np.ndarray], np.ndarray]:
    """Images `(n, ...)` -> classes `(n,)`."""

    def predict(images: np.ndarray) -> np.ndarray:
        scores = model.predict_on_batch(images.astype(np.float32))
        return np.argmax(scores, axis=1)

    return predict


def _check_model(
    model: keras.Model, class_names: Sequence[str]
) -> tuple[str, ...]:
    gate_sites(model)
    classifier = find_classifier(model)
    names = check_class_names("dissect", class_names)
    if len(names) != classifier.num_classes:
        raise ValueError(
            f"Model '{model.name}' has {classifier.num_classes} outputs, got "
            f"{len(names)} class names; pass one name per output, in their "
            "order."
        )
    return names
