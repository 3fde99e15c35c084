"""Accuracy of a network on a sub-task: softmax over its classes alone."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from drnet_tf.classifier import find_classifier, log_probabilities
from drnet_tf.datasets import batches
from drnet_tf.graph import check_model
from drnet_tf.image_checks import has_shape
from drnet_tf.labeled_images import LabeledImages
from drnet_tf.names import check_class_names, class_rows
from drnet_tf.progress import DelayedBar

_QUIET_SECONDS = 5.0  # an evaluation that ends sooner shows no bar
# Images, labels (0 to k-1) and positions in the dataset.
_Batch = tuple[np.ndarray, np.ndarray, np.ndarray]


@dataclasses.dataclass(frozen=True, eq=False)
class Evaluation:
    """What a network does on the images of a sub-task.

    Attributes:
      classes: the k classes of the sub-task.
      accuracy: fraction of images whose best class of the sub-task is right.
      count: number of images, those of other classes left out.
      per_class: the same fraction by class; NaN for a class without images.
      confusion: `(k, k)` int64, images by true (row) and found class (column).
      cross_entropy: mean of -log p(true class) in nats, p being the softmax
        over the sub-task.
    """

    classes: tuple[str, ...]
    accuracy: float
    count: int
    per_class: dict[str, float]
    confusion: np.ndarray
    cross_entropy: float

    def as_dict(self) -> dict[str, Any]:
        """All figures as dicts, lists, texts and numbers (NaN among them)."""
        return {
            **dataclasses.asdict(self),
            "confusion": self.confusion.tolist(),
        }

    def __str__(self) -> str:
        per_class = ", ".join(
            f"{name} {100 * value:.2f} %"
            for name, value in self.per_class.items()
        )
        return (
            f"{100 * self.accuracy:.2f} % of {self.count} images right "
            f"({per_class}), cross-entropy {self.cross_entropy:.4f}"
        )


def subtask_accuracy(
    logits: np.ndarray, labels: np.ndarray, rows: Sequence[int]
) -> float:
    """Accuracy under the masked softmax, from outputs that are at hand.

    The class found is the argmax over the sub-task's outputs alone; images of
    other classes do not count (DRNet section 4.1). It may be any monotone
    function of the logits, such as probabilities.

    Args:
      logits: `(N, K)` floats.
      labels: `(N,)` whole numbers below K.
      rows: the outputs of the sub-task's classes, see `names.class_rows`.

    Returns:
      A fraction in [0, 1].

    Raises:
      ValueError: no image is of the sub-task.

    Example:
      >>> logits = np.array([[1.0, 9.0, 2.0], [1.0, 9.0, 0.0], [0.0, 9.0, 0.0]])
      >>> subtask_accuracy(logits, np.array([2, 2, 1]), rows=[0, 2])
      0.5
    """
    columns = list(rows)
    own = np.isin(labels, columns)
    if not own.any():
        raise ValueError(
            f"Sub-task of the outputs {columns}: none of the {len(labels)} "
            "labels is one of them; pass images of these classes."
        )
    found = np.asarray(columns)[logits[own][:, columns].argmax(axis=1)]
    return float(np.mean(found == labels[own]))


def evaluate(
    model: keras.Model,
    dataset: Any,
    classes: Sequence[str],
    class_names: Sequence[str],
    *,
    output_classes: Sequence[str] | None = None,
    batch_size: int = 256,
    progress: bool = True,
) -> Evaluation:
    """Evaluates a full or a pruned network on a sub-task.

    p_c(x) = exp z_c / Σ_{c' in C} exp z_c', the softmax over the sub-task C
    alone (DRNet section 4.1). A network that was cut to the sub-task's outputs
    and the full one are so judged alike.

    Args:
      model: gives logits or softmax probabilities, `(batch, K)` of all classes
        or `(batch, len(classes))` of the sub-task.
      dataset: images as the model expects them with labels numbered in
        `class_names`: a `tf.data.Dataset` of (image, label), a tuple of arrays,
        or `LabeledImages`. Images of other classes are skipped.
      classes: the sub-task C.
      class_names: all K names.
      output_classes: names of the model's outputs, in order; by default
        `class_names` if there are so many, else `classes`.
      batch_size: images in one call of the model.
      progress: show a bar when it takes longer than some seconds.

    Raises:
      ValueError: an unknown class, a model with other outputs or inputs, a bad
        dataset (see `datasets.batches`), or no image of the sub-task.

    Example:
      >>> model = keras.Sequential(
      ...     [keras.Input((1,)), keras.layers.Dense(3, use_bias=False)]
      ... )
      >>> model.set_weights([np.array([[1.0, 2.0, 3.0]])])
      >>> images, labels = np.array([[1.0], [-1.0], [1.0]]), np.array([0, 0, 2])
      >>> names = ("cat", "cow", "dog")
      >>> print(evaluate(model, (images, labels), ("cat", "cow"), names))
      50.00 % of 2 images right (cat 50.00 %, cow nan %), cross-entropy 0.8133
    """
    names = check_class_names("evaluate", class_names)
    rows = class_rows(classes, names)
    columns = _output_columns(model, tuple(classes), names, output_classes)
    log_p = _compiled(model, columns)
    _check_same_names(dataset, names)
    quiet = _QUIET_SECONDS if progress else math.inf
    bar = DelayedBar(_length(dataset), "image", quiet)
    confusion = np.zeros((len(rows), len(rows)), np.int64)
    cross_entropy = 0.0
    own = _images_of(dataset, rows, len(names), batch_size)
    for images, labels, places in own:
        _check_shape(model, images)
        scores = log_p(images.astype(model.inputs[0].dtype, copy=False))
        _check_numbers(model, scores, places)
        np.add.at(confusion, (labels, scores.argmax(axis=1)), 1)
        cross_entropy -= float(
            scores[np.arange(len(labels)), labels].sum(dtype=np.float64)
        )
        bar.update(int(places[-1]) + 1)
    bar.close()
    count = int(confusion.sum())
    if count == 0:
        raise ValueError(
            f"Sub-task {tuple(classes)}: the dataset has no image of these "
            "classes; check its labels against class_names."
        )
    return _summed_up(tuple(classes), confusion, cross_entropy / count)


def _summed_up(
    classes: tuple[str, ...], confusion: np.ndarray, cross_entropy: float
) -> Evaluation:
    count = int(confusion.sum())
    right = np.diag(confusion)
    images = confusion.sum(axis=1)
    per_class = {
        name: float(right[i] / images[i]) if images[i] else math.nan
        for i, name in enumerate(classes)
    }
    accuracy = float(right.sum() / count)
    return Evaluation(
        classes, accuracy, count, per_class, confusion, cross_entropy
    )


def _output_columns(
    model: keras.Model,
    classes: tuple[str, ...],
    names: tuple[str, ...],
    output_classes: Sequence[str] | None,
) -> list[int]:
    """The model's outputs that belong to the sub-task's classes."""
    check_model(model)
    width = model.outputs[0].shape[-1]
    if output_classes is not None:
        outputs = check_class_names("evaluate", output_classes)
    elif width == len(names) == len(classes) and classes != names:
        raise ValueError(
            f"Model '{model.name}': its {width} outputs can stand for "
            "class_names or for classes, which are in another order; say "
            "which with output_classes."
        )
    else:
        outputs = names if width == len(names) else classes
    if width != len(outputs):
        raise ValueError(
            f"Model '{model.name}' has {width} outputs, expected one per name "
            f"of class_names ({len(names)}), of classes ({len(classes)}) or "
            "of output_classes, if given; pass the model's own classes."
        )
    return class_rows(classes, outputs)


def _compiled(
    model: keras.Model, columns: list[int]
) -> Callable[[np.ndarray], np.ndarray]:
    """Images to log p over the sub-task, `(batch, k)` float32."""
    # Where one class is left its p is 1, whatever the model's output.
    probabilities = len(columns) > 1 and find_classifier(model).probabilities
    reads = model.inputs[0]
    signature = [tf.TensorSpec((None, *reads.shape[1:]), reads.dtype)]

    @tf.function(input_signature=signature)
    def run(images: tf.Tensor) -> tf.Tensor:
        outputs = model(images, training=False)
        scores = log_probabilities(outputs, probabilities)
        own = keras.ops.take(scores, columns, axis=-1)
        return keras.ops.log_softmax(own, axis=-1)

    return lambda images: run(images).numpy()


def _images_of(
    dataset: Any, rows: list[int], num_classes: int, batch_size: int
) -> Iterator[_Batch]:
    """The sub-task's images in full batches."""
    number = np.full(num_classes, -1)
    number[rows] = np.arange(len(rows))
    waiting: list[_Batch] = []
    first = 0
    for images, labels in batches(dataset, batch_size, num_classes=num_classes):
        own = np.flatnonzero(number[labels] >= 0)
        waiting.append((images[own], number[labels[own]], first + own))
        first += len(labels)
        # Small batches waste the machine where few images are of the sub-task.
        if sum(len(part[1]) for part in waiting) >= batch_size:
            yield _concatenated(waiting)
            waiting = []
    if any(len(part[1]) for part in waiting):
        yield _concatenated(waiting)


def _concatenated(parts: list[_Batch]) -> _Batch:
    images, labels, places = map(np.concatenate, zip(*parts, strict=True))
    return images, labels, places


def _check_same_names(dataset: Any, names: tuple[str, ...]) -> None:
    if isinstance(dataset, LabeledImages) and dataset.class_names != names:
        raise ValueError(
            f"Dataset: its labels are numbered in {dataset.class_names}, "
            f"class_names is {names}; pass the dataset's class_names, or the "
            "dataset in the model's order."
        )


def _check_shape(model: keras.Model, images: np.ndarray) -> None:
    expected = model.inputs[0].shape[1:]
    if not has_shape(images, expected):
        raise ValueError(
            f"Model '{model.name}': got images of shape {images.shape[1:]}, "
            f"expected {tuple(expected)}; resize them as in training."
        )


def _check_numbers(
    model: keras.Model, scores: np.ndarray, places: np.ndarray
) -> None:
    bad = np.isnan(scores).any(axis=1)
    if bad.any():
        raise ValueError(
            f"Model '{model.name}': its output for image {places[bad][0]} of "
            "the dataset is not a number; check the model's weights and the "
            "scale of the images."
        )


def _length(dataset: Any) -> int | None:
    if isinstance(dataset, tuple):
        return len(dataset[1])
    return len(dataset) if isinstance(dataset, LabeledImages) else None
