"""The journal of a long dissection: a stopped run goes on where it was."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from drnet_tf.artifacts import (
    check_writable,
    load_arrays,
    save_arrays,
    write_json,
)
from drnet_tf.importance import Cdrps

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
        self._folder = open_folder(folder)
        path = self._folder / "plan.json"
        plan = json.loads(json.dumps(plan))
        if not path.exists():
            write_json(path, plan)
            return
        try:
            found = json.loads(path.read_text())
        except (json.JSONDecodeError, UnicodeDecodeError) as error:
            raise ValueError(
                f"work_dir '{folder}': plan.json is damaged ({error}); empty "
                "the folder or pass another one."
            ) from error
        if not isinstance(found, dict):
            found = {}
        for key in plan:
            if found.get(key) != plan[key]:
                raise ValueError(
                    f"work_dir '{folder}' holds another run: its '{key}' is "
                    f"{_short(found.get(key))}, this run's is "
                    f"{_short(plan[key])}; pass another folder, or empty this "
                    "one."
                )

    def load(self, number: int, images: np.ndarray) -> Cdrps | None:
        """The results of batch `number`, None if it is not done yet.

        Raises:
          ValueError: the file is damaged, or was made from other images.
        """
        path = self._path(number)
        if not path.exists():
            return None
        arrays, header = load_arrays(path, _KIND)
        if header["images"] != _digest(images):
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
        header = {"images": _digest(images), "sites": list(cdrps.gates)}
        save_arrays(self._path(number), arrays, header, _KIND)

    def _path(self, number: int) -> Path:
        return self._folder / f"batch_{number:05d}.safetensors"


def open_folder(folder: str | os.PathLike[str]) -> Path:
    """Makes a work folder where there is none.

    Raises:
      ValueError: it cannot be made or written.
    """
    path = Path(folder)
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ValueError(
            f"work_dir '{folder}' cannot be made: {error.strerror}; pass a "
            "folder that can be written."
        ) from error
    check_writable(path / "plan.json")
    return path


def _digest(images: np.ndarray) -> str:
    digest = hashlib.sha256(f"{images.dtype} {images.shape}".encode())
    digest.update(np.ascontiguousarray(images).tobytes())
    return digest.hexdigest()


def _short(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= 60 else text[:57] + "..."
