"""A folder of sub-networks, of which the least recently used go."""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import os
import time
from collections.abc import Callable
from pathlib import Path

from drnet_tflite.bundles.whole_files import PARTIAL, written_whole

_MODEL, _WEIGHTS = ".tflite", ".xnnpack_cache"
_HASH = 64  # hex digits
_LEFTOVER_SECONDS = 3600


@dataclasses.dataclass(frozen=True)
class CachedModel:
    """A sub-network's file in a `SubTaskCache`.

    Attributes:
      path: of the `.tflite` file.
      weights: where XNNPACK's packed weights of just this file belong; for
        another file they would silently give this one's answers.
    """

    path: Path
    weights: Path


class SubTaskCache:
    """Sub-networks by request; several processes may share the folder.

    Files are renamed when they are whole, so a kill at any moment leaves the
    folder sound; what a killed process left is removed after an hour. Another
    process may remove a file before it is opened: ask again then.

    Args:
      folder: is made when it is not there; it must have no other use.
      max_bytes: of models and packed weights together; the model asked for last
        stays even if it is larger.
    """

    def __init__(self, folder: str | os.PathLike[str], max_bytes: int) -> None:
        self._folder, self._max_bytes = Path(folder), max_bytes

    def get(self, request: str, make: Callable[[], bytes]) -> CachedModel:
        """The model of a request, made if it is not there.

        Args:
          request: tells apart what is asked for, the bundle included.
          make: gives the model's bytes.

        Raises:
          BundleError: the folder cannot be written; no part of a file stays.
        """
        key = hashlib.sha256(request.encode()).hexdigest()
        path = self._find(key)
        if path is None:
            content = make()
            self._trim(self._max_bytes - len(content), key)
            digest = hashlib.sha256(content).hexdigest()
            path = self._folder / f"{key}-{digest}{_MODEL}"
            with written_whole(path) as partial:
                partial.write_bytes(content)
        else:
            # Fails in a folder that is read-only: nothing is removed there.
            with contextlib.suppress(OSError):
                os.utime(path)
            self._trim(self._max_bytes, key)
        return CachedModel(path, _weights_of(path))

    def _files(self) -> list[Path]:
        try:
            return list(self._folder.iterdir())
        except OSError:
            return []

    def _find(self, key: str) -> Path | None:
        found = (x for x in self._files() if _is_model(x))
        return next((x for x in found if x.name.startswith(key)), None)

    def _trim(self, max_bytes: int, key: str) -> None:
        """Removes leftovers, then what was used least recently."""
        files = self._files()
        models = [x for x in files if _is_model(x)]
        weights = {_weights_of(x) for x in models}
        for file in files:
            orphan = file.suffix == _WEIGHTS and file not in weights
            if (orphan or file.suffix == PARTIAL) and _is_old(file):
                _remove(file)
        models.sort(key=_used)
        size = sum(_bytes(x) + _bytes(_weights_of(x)) for x in models)
        for model in models:
            if size > max_bytes and not model.name.startswith(key):
                size -= _bytes(model) + _bytes(_weights_of(model))
                # The model last: cut short, this is seen again and finished.
                _remove(_weights_of(model))
                _remove(model)


def _is_model(path: Path) -> bool:
    return path.suffix == _MODEL and len(path.stem) == 2 * _HASH + 1


def _weights_of(model: Path) -> Path:
    return model.with_name(model.stem[_HASH + 1 :] + _WEIGHTS)


def _used(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:  # another process was faster
        return 0.0


def _bytes(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0


def _is_old(path: Path) -> bool:
    return abs(time.time() - _used(path)) > _LEFTOVER_SECONDS


def _remove(path: Path) -> None:
    with contextlib.suppress(OSError):
        path.unlink()
