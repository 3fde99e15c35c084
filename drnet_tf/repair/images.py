"""The images that a repair is given, checked."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from drnet_tf.graph import Graph
from drnet_tf.image_checks import has_shape


def check_images(
    graph: Graph, images: np.ndarray | Sequence[np.ndarray]
) -> list[np.ndarray]:
    """Refuses what the network cannot take.

    Args:
      graph: of the full network.
      images: an array, or one for each input.

    Returns:
      One array for each of `graph.inputs`.

    Raises:
      ValueError: no images, of another shape, or not finite.
    """
    parts = (
        [images]
        if hasattr(images, "shape") or len(graph.inputs) == 1
        else list(images)
    )
    arrays = [np.asarray(x) for x in parts]
    shapes = [tuple(graph.tensors[x].shape) for x in graph.inputs]
    if len(arrays) != len(shapes):
        raise ValueError(
            f"repair: got {len(arrays)} arrays of images, expected "
            f"{len(shapes)}, one for each input of the network."
        )
    for array, shape in zip(arrays, shapes, strict=True):
        _check_array(array, shape)
    if len({len(x) for x in arrays}) > 1:
        raise ValueError(
            "repair: the arrays of images have "
            f"{', '.join(str(len(x)) for x in arrays)} rows, expected as many "
            "in each."
        )
    return arrays


def _check_array(array: np.ndarray, shape: tuple[int | None, ...]) -> None:
    if not has_shape(array, shape[1:]) or array.dtype.kind not in "uif":
        raise ValueError(
            f"repair: got images of shape {array.shape} and type "
            f"{array.dtype}, expected numbers of shape "
            f"(N, {', '.join(str(x or 'any') for x in shape[1:])}), as the "
            "network was trained with."
        )
    if not len(array):
        raise ValueError("repair: got no images, expected at least one.")
    if not np.isfinite(array).all():
        place = int(
            np.flatnonzero(~np.isfinite(array).reshape(len(array), -1).all(1))[
                0
            ]
        )
        raise ValueError(
            f"repair: image {place} has values that are not finite; leave it "
            "out or mend it."
        )
