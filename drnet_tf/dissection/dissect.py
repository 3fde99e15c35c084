"""Dissection: how much every channel matters to every class."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any, cast

import keras

from drnet_tf.dissection.cdrp import CDRP, GateLearner
from drnet_tf.dissection.gate_plan import plan_gates
from drnet_tf.dissection.gates_of_images import mean_gates
from drnet_tf.dissection.kept_images import KeptImages, PixelSums, pixel_sums
from drnet_tf.dissection.method import Method, Problem
from drnet_tf.dissection.preparation import check_names, prepare
from drnet_tf.fingerprints import fingerprint
from drnet_tf.importance import ChannelImportance


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
    devices: Sequence[str] = (),
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
      keep_images: how many images of each class stay with the importance,
        as float16 where that is enough, so that sub-networks can be repaired
        without others.
      devices: names such as "GPU:0", "GPU:1" of devices of this machine, which
        learn whole batches side by side (CDRP only). Each batch is the one that
        a single device would get, so on devices of one kind the result is the
        same; see `drnet_tf.dissection.mirroring`.
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
      >>> import numpy as np
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
    kept = KeptImages(len(check_names(model, class_names)), keep_images)
    learner = (
        GateLearner(model, method, coupling, devices)
        if isinstance(method, CDRP)
        else None
    )
    if devices and learner is None:
        raise ValueError(
            f"devices: got {', '.join(devices)} for {type(method).__name__}, "
            "expected none, as only CDRP runs on several; leave them out."
        )
    problem, config = prepare(
        model,
        dataset,
        method,
        class_names=class_names,
        images_per_class=images_per_class,
        seed=seed,
        batch_size=batch_size,
        coupling=coupling,
        work_dir=work_dir,
        progress=progress,
    )
    mark = fingerprint(model)
    if learner is None:
        return _scored(cast(Method, method), problem, config, mark, kept)
    plan = plan_gates(learner, problem, config, mark)
    means = mean_gates(learner, plan, problem, kept)
    return plan.importance(means, kept.images())


def _scored(
    method: Method,
    problem: Problem,
    config: dict[str, Any],
    mark: str,
    kept: KeptImages,
) -> ChannelImportance:
    """The importance by another method than CDRP."""
    scores, found = method.scores(problem)
    pixels = PixelSums()
    for images, classes in problem.images:
        kept.add(classes, images)
        pixels = pixels.plus(pixel_sums(images))
    return ChannelImportance(
        scores,
        problem.class_names,
        method.name,
        config,
        found | {"pixels": pixels.statistics()},
        mark,
        kept.images(),
    )
