"""What a file computes once channels are silent: the meaning of a mask."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from drnet_tflite.bundles.plan import (
    FLOAT_WEIGHTS,
    HALF_WEIGHTS,
    INT8_WEIGHTS,
)
from drnet_tflite.planning.channel_labels import ChannelLabels, Reader
from drnet_tflite.planning.file_model import FileModel
from drnet_tflite.planning.groups import Groups
from drnet_tflite.planning.intermediate import values_of

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
        tensor: file.multiply(tensor, groups.kept(atoms, keep))
        for tensor, atoms in {x.tensor: x.atoms for x in groups.places}.items()
    }


def constants_of_silent(
    file: FileModel,
    labels: ChannelLabels,
    groups: Groups,
    images: Sequence[np.ndarray],
) -> dict[str, np.ndarray]:
    """What channels still say to their readers once they are silent.

    A norm that stands alone makes a constant of a silent channel. It is
    measured, with every channel silent that can be, on the device's kernels.

    Args:
      file: will be changed: all its channels are silenced.
      labels, groups: of the file.
      images: some, of the input's type.

    Returns:
      By reader, where any is not 0, `(channels,)` float32, or int32 above the
      zero point; 0 for channels that stay.

    Raises:
      ValueError: a silent channel is not constant for its reader, by name.
    """
    renamed = silence(
        file, groups, [np.zeros(x, bool) for x in groups.widths]
    )
    sources = sorted({x.source for x in labels.readers.values()})
    wanted = [renamed.get(x, x) for x in sources]
    runs = [
        dict(zip(sources, values_of(file, wanted, image).values(), strict=True))
        for image in images
    ]
    found = {}
    for name, reader in labels.readers.items():
        atoms = labels.last[reader.source].atoms
        dropped = groups.droppable(atoms)
        seen = np.concatenate(
            [run[reader.source].reshape(-1, len(atoms)) for run in runs]
        )[:, dropped]
        if not dropped.any():
            continue
        if (seen != seen[0]).any():
            raise ValueError(
                f"operator {reader.kind} ('{name}') reads channels that are "
                "not constant once they are silenced (a norm or a padding "
                "before it); convert the network of each sub-task by itself"
            )
        zero = file.zero_point(reader.source)
        whole = seen.dtype.kind == "i"
        constants = np.zeros(len(atoms), np.int32 if whole else np.float32)
        constants[dropped] = seen[0].astype(constants.dtype) - zero
        if constants.any():
            _check_foldable(file, reader, name, whole)
            found[name] = constants
    return found


def fold_kind(file: FileModel, labels: ChannelLabels, reader: Reader) -> int:
    """How a reader's weights are stored, in the plan's numbers."""
    stored = labels.stored.get(reader.weights, reader.weights)
    return _KINDS[file.values(stored).dtype]


def _check_foldable(
    file: FileModel, reader: Reader, name: str, whole: bool
) -> None:
    mixed = file.dtype(reader.weights) == np.int8 and not whole
    if reader.pads or mixed:
        why = "pads" if reader.pads else "has weights of another type"
        raise ValueError(
            f"operator {reader.kind} ('{name}') reads channels that a norm "
            f"makes other than 0 once they are silenced, and {why}; convert "
            "the network of each sub-task by itself"
        )
