"""Finds a Keras model's sites among the tensors of its `.tflite` file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import keras
import numpy as np

from drnet_tf.free_sites import GateSite
from drnet_tf.graph import read_graph
from drnet_tf.repair.activations import run_image_by_image
from drnet_tflite.parity import random_images
from drnet_tflite.planning.channel_labels import ChannelLabels
from drnet_tflite.planning.file_model import FileModel
from drnet_tflite.planning.groups import SitePlace
from drnet_tflite.planning.intermediate import values_of

_TOLERANCE = 1e-3  # of the greatest value; conversion changes the last digits


def find_sites(
    model: keras.Model,
    sites: Sequence[GateSite],
    file: FileModel,
) -> dict[tuple[str, int], int]:
    """Finds where the sites are, by their values on a random image.

    Names do not tell: the converter fuses, folds and renames.

    Args:
      model: the Keras model.
      sites: of the model.
      file: its float32 file.

    Returns:
      By site and number of its place the step (see `steps`) that makes it.

    Raises:
      ValueError: a site is nowhere in the file.
    """
    image = random_images(model, 1)
    wanted = {place.tensor for site in sites for place in site.places}
    expected = _keras_values(model, image, wanted)
    found = values_of(file, steps(file), image)
    candidates: dict[tuple[int, ...], list[int]] = {}
    for tensor in steps(file):
        candidates.setdefault(file.shape(tensor), []).append(tensor)
    step_of = {x: step for step, x in enumerate(steps(file))}
    made: dict[tuple[str, int], int] = {}
    for site in sites:
        for number, place in enumerate(site.places):
            values = expected[place.tensor]
            near = candidates.get(values.shape, [])
            nearest = _nearest(values, near, found)
            if nearest is None or place.axis not in (-1, values.ndim - 1):
                raise ValueError(
                    f"site '{site.name}' is nowhere in the file; leave it out "
                    "of the importance, or convert the network of each "
                    "sub-task by itself"
                )
            made[site.name, number] = step_of[nearest]
    return made


def steps(file: FileModel) -> list[int]:
    """Tensors in the order in which they are made; all formats have the same.

    What only changes the number format is left out, and what only decodes
    weights.
    """
    computed = file.computed()
    return [
        operator.outputs[0]
        for operator in file.operators
        if operator.outputs[0] in computed
        and operator.kind not in ("QUANTIZE", "DEQUANTIZE")
    ]


def place_sites(
    sites: Sequence[GateSite],
    made: Mapping[tuple[str, int], int],
    shapes: Sequence[tuple[int, ...]],
    file: FileModel,
    labels: ChannelLabels,
) -> list[SitePlace]:
    """The places of the sites in a file, perhaps of another number format.

    Args:
      sites: of the Keras model.
      made: of `find_sites`.
      shapes: of all steps of the float32 file.
      file, labels: of the file.

    Raises:
      ValueError: the file takes other steps than the float32 file.
    """
    tensors = steps(file)
    if [file.shape(x) for x in tensors] != list(shapes):
        raise ValueError(
            "the quantised file computes otherwise than the float32 file; "
            "choose another quantization"
        )
    return [
        SitePlace(
            site.name,
            tensors[made[site.name, number]],
            np.array(place.entries),
            labels.last[tensors[made[site.name, number]]].atoms,
        )
        for site in sites
        for number, place in enumerate(site.places)
    ]


def _keras_values(
    model: keras.Model, image: np.ndarray, wanted: set[int]
) -> dict[int, np.ndarray]:
    graph = read_graph(model)
    found: dict[int, np.ndarray] = {}

    def visit(_: int, call: object, values: dict[int, np.ndarray]) -> None:
        for tensor in wanted & values.keys() - found.keys():
            found[tensor] = values[tensor]

    for _ in run_image_by_image(graph, [image], [slice(0, 1)], visit):
        pass
    return found


def _nearest(
    values: np.ndarray, candidates: Sequence[int], found: dict[int, np.ndarray]
) -> int | None:
    """The tensor with these values; the first of several that are as near.

    If there is none, one with a multiple of them: the converter moves a factor
    behind a layer into its weights (InceptionResNet scales its branches), and
    channels are silent before it where they are behind it.
    """
    for multiples in (False, True):
        distances = [
            (_distance(values, found[x], multiples), x) for x in candidates
        ]
        near = [x for x in distances if x[0] <= _TOLERANCE]
        if near:
            return min(near)[1]
    return None


def _distance(values: np.ndarray, others: np.ndarray, multiples: bool) -> float:
    """Greatest difference, as a share of the greatest value.

    With `multiples` to the nearest multiple of the values.
    """
    factor = 1.0
    if multiples:
        squares = float(np.vdot(values, values))
        factor = float(np.vdot(values, others)) / max(squares, 1e-30)
    scale = abs(factor) * float(np.abs(values).max())
    far = float(np.abs(others - factor * values).max())
    if scale:
        return far / scale
    # Zeros are like zeros only, and everything is a multiple of them.
    return float("inf") if far or multiples else 0.0
