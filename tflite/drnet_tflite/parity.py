"""Does a converted file answer as its Keras model does?"""

from __future__ import annotations

import dataclasses
import math

import keras
import numpy as np

from drnet_tf.graph import read_graph

# Ranges of the random images: pixels, and what normalising makes of them.
_PIXELS = (0.0, 255.0)
_NORMALISED = (-2.0, 2.0)


@dataclasses.dataclass(frozen=True)
class Difference:
    """The greatest difference between two sets of outputs.

    Attributes:
      relative: max |a - b| / max |a| over all images and outputs, where a are
        the reference's outputs and b the others; NaN if one of them is, and
        infinite if only the reference is 0 throughout.
      image, output: where it is.
      reference, other: the two values there.
    """

    relative: float
    image: int
    output: tuple[int, ...]
    reference: float
    other: float


def random_images(
    model: keras.Model, count: int, *, seed: int = 0
) -> np.ndarray:
    """Random images in the range that a model expects.

    A model that begins with `Rescaling`, `Normalization` or plain arithmetic,
    or reads whole numbers, expects pixels, 0 to 255; any other is fed
    normalised images, -2 to 2.

    Args:
      model: a Functional or Sequential model with one input of known shape.
      count: number of images.
      seed: decides them.

    Returns:
      `(count, *input shape)` of the input's dtype.

    Example:
      >>> inputs = keras.Input((8, 8, 3))
      >>> outputs = keras.layers.Conv2D(4, 3)(inputs)
      >>> random_images(keras.Model(inputs, outputs), 2).shape
      (2, 8, 8, 3)
    """
    (image,) = model.inputs
    low, high = _PIXELS if _reads_pixels(model) else _NORMALISED
    values = np.random.default_rng(seed).uniform(
        low, high, (count, *image.shape[1:])
    )
    return values.astype(image.dtype)


def keras_outputs(model: keras.Model, images: np.ndarray) -> np.ndarray:
    """The model's outputs, computed as the file computes them.

    That is in inference mode, image by image and on the CPU: a GPU may compute
    convolutions in a shorter float format.

    Args:
      model: takes and gives one bare tensor.
      images: `(images, *input shape)`.

    Returns:
      `(images, *output shape)`.
    """
    with keras.device("cpu:0"):
        scores = [model(image[None], training=False) for image in images]
    return np.concatenate([keras.ops.convert_to_numpy(x) for x in scores])


def greatest_difference(reference: np.ndarray, other: np.ndarray) -> Difference:
    """Finds where two sets of outputs differ most.

    Args:
      reference: `(images, *output shape)`.
      other: of the same shape.

    Example:
      >>> greatest_difference(
      ...     np.array([[0.0, 4.0]]), np.array([[0.0, 3.0]])
      ... )
      Difference(relative=0.25, image=0, output=(1,), reference=4.0, other=3.0)
    """
    distance = np.abs(reference.astype("float64") - other)
    # argmax stops at the first NaN, so that none is overlooked.
    where = np.unravel_index(np.argmax(distance), distance.shape)
    scale = float(np.abs(reference).max())
    greatest = float(distance[where])
    if greatest:
        greatest = greatest / scale if scale else math.inf
    return Difference(
        greatest,
        int(where[0]),
        tuple(map(int, where[1:])),
        float(reference[where]),
        float(other[where]),
    )


def agreement(
    reference: np.ndarray, other: np.ndarray, *, slack: float = 0.0
) -> float:
    """On which share of the images do two sets of scores put one class first?

    Args:
      reference: `(images, ..., classes)`.
      other: of the same shape.
      slack: how much less than the reference's first class another may have in
        the reference and still count as first, as a share of max |reference|.

    Returns:
      0 to 1, over all axes but the last.

    Example:
      >>> reference = np.array([[0.0, 4.0], [3.9, 4.0]])
      >>> other = np.array([[0.0, 4.0], [4.0, 3.9]])
      >>> agreement(reference, other), agreement(reference, other, slack=0.05)
      (0.5, 1.0)
    """
    first = other.argmax(axis=-1)[..., None]
    scores = np.take_along_axis(reference, first, axis=-1)[..., 0]
    behind = reference.max(axis=-1) - scores
    return float(np.mean(behind <= slack * np.abs(reference).max()))


def _reads_pixels(model: keras.Model) -> bool:
    graph = read_graph(model)
    (image,) = graph.inputs
    if "int" in graph.tensors[image].dtype:
        return True
    return any(
        isinstance(
            call.operation, keras.layers.Rescaling | keras.layers.Normalization
        )
        or not isinstance(call.operation, keras.layers.Layer)
        for call in graph.consumers()[image]
    )
