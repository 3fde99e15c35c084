"""The journal of a long dissection: a stopped run goes on where it was."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from drnet_tf.artifacts import load_arrays, save_arrays
from drnet_tf.importance import Cdrps
from drnet_tf.work_folders import digest_of, open_work_folder

_KIND = "dissection_batch"


class Journal:
    """Keeps the gates of every finished batch in a folder.

    `plan.json` says what the run is; `batch_00000.safetensors`, ... hold its
    results. Files are whole or not there, so a run may be killed at any time.

    Args:
      folder: made if it does not exist.
      plan: what decides the results (model, method, images), as JSON can hold
        it.

    Raises:
      ValueError: the folder holds another run, or cannot be written.
    """

    def __init__(
        self, folder: str | os.PathLike[str], plan: Mapping[str, Any]
    ) -> None:
        self._folder = open_work_folder(folder, plan)

    def load(self, number: int, images: np.ndarray) -> Cdrps | None:
        """The results of batch `number`, None if it is not done yet.

        Raises:
          ValueError: the file is damaged, or was made from other images.
        """
        path = self._path(number)
        if not path.exists():
            return None
        arrays, header = load_arrays(path, _KIND)
        if header["images"] != digest_of(images):
            raise ValueError(
                f"'{path}' was made from other images than this run's; pass "
                "the same dataset as before, or another work_dir."
            )
        return Cdrps(
            gates={s: arrays[f"gates/{s}"] for s in header["sites"]},
            flipped=arrays["flipped"],
            kl=arrays["kl"],
            iteration=arrays["iteration"],
        )

    def save(self, number: int, images: np.ndarray, cdrps: Cdrps) -> None:
        """Keeps the results of batch `number`."""
        arrays = {f"gates/{s}": x for s, x in cdrps.gates.items()}
        arrays |= {
            "flipped": cdrps.flipped,
            "kl": cdrps.kl,
            "iteration": cdrps.iteration,
        }
        header = {"images": digest_of(images), "sites": list(cdrps.gates)}
        save_arrays(self._path(number), arrays, header, _KIND)

    def _path(self, number: int) -> Path:
        return self._folder / f"batch_{number:05d}.safetensors"
