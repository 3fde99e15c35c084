"""What every dissection does first: checks, and the draw of the images."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np

from drnet_tf.classifier import find_classifier
from drnet_tf.dissection.batch_sizes import batch_size_for
from drnet_tf.dissection.cdrp import CDRP
from drnet_tf.dissection.method import DrawnImages, Method, Problem
from drnet_tf.dissection.sampling import draw_images
from drnet_tf.names import check_class_names
from drnet_tf.sites import gate_sites
from drnet_tf.work_folders import open_folder


def prepare(
    model: keras.Model,
    dataset: Any,
    method: CDRP | Method,
    *,
    class_names: Sequence[str],
    images_per_class: int,
    seed: int,
    batch_size: int | None,
    coupling: str,
    work_dir: str | os.PathLike[str] | None,
    progress: bool,
) -> tuple[Problem, dict[str, Any]]:
    """Checks the arguments of a dissection and draws its images.

    Args:
      model, dataset, method, class_names, images_per_class, seed, batch_size,
        coupling, work_dir, progress: see `dissect`.

    Returns:
      The problem, and all settings by name.

    Raises:
      TypeError, ValueError: see `dissect`.
    """
    names = check_names(model, class_names)
    if work_dir is not None:
        open_folder(work_dir)
    size = batch_size_for(model, batch_size)
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
    return problem, config


def check_names(
    model: keras.Model, class_names: Sequence[str]
) -> tuple[str, ...]:
    """The class names, if they fit a network that can be dissected.

    Raises:
      TypeError, ValueError: a model without graph, convolution or class
        scores; class names that do not fit.
    """
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
