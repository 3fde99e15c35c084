"""Checkpoints of a training, so that a killed run goes on to the same bytes.

Why not `keras.callbacks.BackupAndRestore`: it writes over the file that it
would restore from; weights and the number of the epoch are two files that a
kill leaves at odds, so that an epoch is trained twice; and a damaged file is
seen only if HDF5 happens to. Here one file holds all, its bytes are checked,
and it replaces the older one of two.
"""

from __future__ import annotations

import dataclasses
import hashlib
import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from absl import logging

from drnet_tf.artifacts import load_arrays, save_arrays
from drnet_tf.work_folders import digest_of, open_work_folder

_KIND = "training_checkpoint"
_SLOTS = ("checkpoint_a.safetensors", "checkpoint_b.safetensors")


@dataclasses.dataclass(frozen=True)
class Position:
    """How far a training is.

    Attributes:
      epoch: epochs that are done.
      step: updates of the epoch after them that are done.
      loss_sum: sum of the losses of that epoch's images so far.
      seconds: that that epoch has taken so far.
      history: "loss", "seconds" and, where images are held back, "accuracy" of
        each epoch that is done.
    """

    epoch: int = 0
    step: int = 0
    loss_sum: float = 0.0
    seconds: float = 0.0
    history: dict[str, list[float]] = dataclasses.field(default_factory=dict)


class Checkpoints:
    """The last two checkpoints of a run, in a folder.

    Args:
      folder: made if it does not exist; `plan.json` in it says what the run is.
      plan: what decides the results, as JSON can hold it.
      save_every: seconds between two checkpoints, 0 or more.

    Raises:
      ValueError: the folder holds another run, or cannot be written.

    Example:
      >>> import tempfile
      >>> kept = Checkpoints(tempfile.mkdtemp(), {"seed": 0})
      >>> kept.save({"weight": np.arange(2)}, Position(epoch=3, step=7))
      >>> state, position = kept.load()
      >>> state["weight"].tolist(), position.epoch, position.step
      ([0, 1], 3, 7)
    """

    def __init__(
        self,
        folder: str | os.PathLike[str],
        plan: Mapping[str, Any],
        save_every: float = 60.0,
    ) -> None:
        if not save_every >= 0:
            raise ValueError(
                f"train: save_every is {save_every}, expected seconds, 0 or "
                "more; 0 keeps every update."
            )
        self._folder = open_work_folder(folder, plan)
        self._save_every = save_every
        self._next = 0
        self._saved_at = time.monotonic()

    def load(self) -> tuple[dict[str, np.ndarray], Position] | None:
        """The newest checkpoint that is whole; None if there is none at all.

        Where one is damaged, the log says so, and the one before it is taken.

        Raises:
          ValueError: there are some, and all are damaged.
        """
        found: list[tuple[int, dict[str, np.ndarray], Position]] = []
        damages: list[str] = []
        for slot, path in enumerate(self._paths()):
            if path.exists():
                try:
                    found.append((slot, *_read(path)))
                except ValueError as error:
                    damages.append(str(error))
        if not found:
            if damages:
                raise ValueError(
                    f"work_dir '{self._folder}': no checkpoint in it is whole "
                    f"({damages[0].rstrip('.')}); empty the folder to start "
                    "anew."
                )
            return None
        slot, state, position = max(
            found, key=lambda x: (x[2].epoch, x[2].step)
        )
        for damage in damages:
            logging.warning(
                "%s Training goes on from the other checkpoint, after epoch %d "
                "and %d updates.", damage, position.epoch, position.step,
            )  # fmt: skip
        self._next = 1 - slot
        return state, position

    def due(self) -> bool:
        """Whether the last checkpoint is older than it should be."""
        return time.monotonic() - self._saved_at >= self._save_every

    def save(self, state: Mapping[str, np.ndarray], position: Position) -> None:
        """Replaces the older checkpoint; until then the newer one stays."""
        header = dataclasses.asdict(position) | {"digest": _digest(state)}
        save_arrays(self._paths()[self._next], state, header, _KIND)
        self._next = 1 - self._next
        self._saved_at = time.monotonic()

    def _paths(self) -> list[Path]:
        return [self._folder / name for name in _SLOTS]


def _read(path: Path) -> tuple[dict[str, np.ndarray], Position]:
    arrays, header = load_arrays(path, _KIND)
    names = [field.name for field in dataclasses.fields(Position)]
    if header.get("digest") != _digest(arrays) or not {*names} <= {*header}:
        raise ValueError(
            f"'{path}': damaged, its arrays are not those that were written; "
            "expected a saved training checkpoint."
        )
    return arrays, Position(**{name: header[name] for name in names})


def _digest(arrays: Mapping[str, np.ndarray]) -> str:
    digest = hashlib.sha256()
    for name in sorted(arrays):
        digest.update(f"{name} {digest_of(arrays[name])}\n".encode())
    return digest.hexdigest()
