"""What a file computes once channels are silent: the meaning of a mask."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from drnet_tflite.bundles.plan import (
    FLOAT_WEIGHTS,
    HALF_WEIGHTS,
    INT8_WEIGHTS,
)
from drnet_tflite.planning.channel_labels import ChannelLabels, Reader
from drnet_tflite.planning.file_model import FileModel
from drnet_tflite.planning.graph_edits import multiply
from drnet_tflite.planning.groups import Groups
from drnet_tflite.planning.intermediate import values_of
from drnet_tflite.planning.silent_flow import VARIES, follow_silent

_KINDS = {
    np.dtype(np.float32): FLOAT_WEIGHTS,
    np.dtype(np.float16): HALF_WEIGHTS,
    np.dtype(np.int8): INT8_WEIGHTS,
}


def silence(
    file: FileModel, groups: Groups, keep: list[np.ndarray]
) -> dict[int, int]:
    """Multiplies every site by its mask, in place.

    Args:
      file: of which the groups are.
      groups: its channels.
      keep: by group `(width,)` bool.

    Returns:
      By site's tensor the one with its masked values.
    """
    return {
        tensor: multiply(file, tensor, groups.kept(atoms, keep))
        for tensor, atoms in {x.tensor: x.atoms for x in groups.places}.items()
    }


def constants_of_silent(
    content: bytes,
    labels: ChannelLabels,
    groups: Groups,
    images: Sequence[np.ndarray],
) -> tuple[dict[str, np.ndarray], list[np.ndarray]]:
    """What channels still say to their readers once they are silent.

    A norm that stands alone makes a constant of a silent channel. It is
    measured on the device's kernels: half of all channels are silenced, then
    the others, so that what is not silenced in truth does show.

    Args:
      content: of the file.
      labels, groups: of the file.
      images: some, of the input's type.

    Returns:
      By reader, where any is not 0, `(channels,)` float32, or int32 above the
      zero point; 0 for channels that stay. And the atoms of channels that are
      not constant for a reader, or whose constant it cannot take over: these
      have to stay.
    """
    file = FileModel(content)
    known = follow_silent(file, labels, groups)
    runs = list(_runs_of_halves(content, labels, groups, images))
    nothing = [np.zeros(width, bool) for width in groups.widths]
    found, stuck = {}, []
    for name, reader in labels.readers.items():
        atoms = labels.last[reader.source].atoms
        zero = file.zero_point(reader.source)
        whole = file.dtype(reader.source).kind == "i"
        constants = np.zeros(len(atoms), np.int32 if whole else np.float32)
        may_go = ~groups.kept(atoms, nothing)
        varies = may_go & (known[reader.source] == VARIES)
        for keep, values in runs:
            silent = ~groups.kept(atoms, keep)
            seen = np.concatenate(
                [x[reader.source].reshape(-1, len(atoms)) for x in values]
            )
            varies |= silent & (seen != seen[0]).any(0)
            constants[silent] = seen[0, silent].astype(constants.dtype) - zero
        if not _can_fold(file, reader, whole):
            varies |= constants != 0
        constants[varies] = 0
        if varies.any():
            stuck.append(atoms[varies])
        if constants.any():
            found[name] = constants
    return found, stuck


def _runs_of_halves(
    content: bytes,
    labels: ChannelLabels,
    groups: Groups,
    images: Sequence[np.ndarray],
) -> Iterator[tuple[list[np.ndarray], list[dict[int, np.ndarray]]]]:
    """What readers read on every image with either half silenced."""
    sources = sorted({x.source for x in labels.readers.values()})
    generator = np.random.default_rng(0)
    half = [generator.random(width) < 0.5 for width in groups.widths]
    for keep in (half, [~x for x in half]):
        file = FileModel(content)
        masked = silence(file, groups, keep)
        wanted = [masked.get(x, x) for x in sources]
        runs = [values_of(file, wanted, image) for image in images]
        yield (
            keep,
            [
                {x: run[y] for x, y in zip(sources, wanted, strict=True)}
                for run in runs
            ],
        )


def fold_kind(file: FileModel, labels: ChannelLabels, reader: Reader) -> int:
    """How a reader's weights are stored, in the plan's numbers."""
    stored = labels.stored.get(reader.weights, reader.weights)
    return _KINDS[file.values(stored).dtype]


def _can_fold(file: FileModel, reader: Reader, whole: bool) -> bool:
    """Whether constants can be added to its biases exactly."""
    mixed = file.dtype(reader.weights) == np.int8 and not whole
    return not reader.pads and not mixed
