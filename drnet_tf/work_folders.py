"""Folders in which long work is kept, so that a stopped run goes on."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from drnet_tf.artifacts import check_writable, write_json


def open_work_folder(
    folder: str | os.PathLike[str], plan: Mapping[str, Any]
) -> Path:
    """Makes a folder for a run, or opens that of the same run.

    Args:
      folder: made if it does not exist; `plan.json` in it says what the run is.
      plan: what decides the results, as JSON can hold it.

    Raises:
      ValueError: the folder holds another run, or cannot be written.
    """
    opened = open_folder(folder)
    path = opened / "plan.json"
    plan = json.loads(json.dumps(plan))
    if not path.exists():
        write_json(path, plan)
        return opened
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
    return opened


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


def digest_of(images: np.ndarray) -> str:
    """64 hexadecimal digits of an array's type, shape and every bit."""
    digest = hashlib.sha256(f"{images.dtype} {images.shape}".encode())
    digest.update(np.ascontiguousarray(images).tobytes())
    return digest.hexdigest()


def _short(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= 60 else text[:57] + "..."
