"""Files of the package: written whole or not at all, read without running code.

Arrays go into safetensors files whose metadata carries a JSON header.
"""

from __future__ import annotations

import contextlib
import json
import math
import os
import secrets
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import safetensors
import safetensors.numpy

from drnet_tf.version import VERSION

# Raised when a reader of the old number could misread a new file.
FORMAT = 1

_METADATA_KEY = "drnet_tf"
_RESERVED = ("format", "kind", "package_version")


def check_writable(path: str | os.PathLike[str]) -> None:
    """Refuses a path that cannot be written, before the long work starts.

    Args:
      path: the file to be written later; nothing is left behind.

    Raises:
      ValueError: the folder is missing or read-only, or `path` is a folder.

    Example:
      >>> check_writable("no/such/folder/mask.safetensors")
      Traceback (most recent call last):
      ...
      ValueError: 'no/such/folder/mask.safetensors' cannot be written: the \
folder 'no/such/folder' does not exist; create it or choose another path.
    """
    probe = _temporary_beside(path)
    try:
        probe.touch(exist_ok=False)
    except OSError as error:
        raise _not_writable(path, error.strerror) from error
    probe.unlink()


def write_atomically(
    path: str | os.PathLike[str], write: Callable[[Path], None]
) -> None:
    """Writes a file so that readers see the old one or the whole new one.

    Args:
      path: the file to write or replace.
      write: writes the content to the path that it is given, a temporary file
        in the same folder with the same suffixes.

    Raises:
      ValueError: `path` cannot be written; see `check_writable`.
    """
    write_together({path: write})


def write_together(
    writers: Mapping[str | os.PathLike[str], Callable[[Path], None]],
) -> None:
    """Writes several files; if one cannot be made, none is touched.

    Args:
      writers: for each path, what writes its content to the path that it is
        given. The files take their places in this order, after all are whole.

    Raises:
      ValueError: a path cannot be written; see `check_writable`.
    """
    for path in writers:
        check_writable(path)
    temporary = {Path(path): _temporary_beside(path) for path in writers}
    try:
        for target, write in zip(temporary, writers.values(), strict=True):
            write(temporary[target])
        for target, source in temporary.items():
            os.replace(source, target)
    finally:
        for source in temporary.values():
            with contextlib.suppress(FileNotFoundError):
                source.unlink()


def save_arrays(
    path: str | os.PathLike[str],
    arrays: Mapping[str, np.ndarray],
    header: Mapping[str, Any],
    kind: str,
) -> None:
    """Saves named arrays and a JSON header as one safetensors file.

    The same arrays and header give the same bytes, whatever their order.

    Args:
      path: the file to write, usually `*.safetensors`.
      arrays: boolean, integer or floating arrays by name, of any shape.
      header: what JSON can hold; NumPy numbers and arrays become plain, tuples
        lists, and NaN and infinities (which JSON has not) null.
      kind: what the file holds, e.g. "channel_mask"; `load_arrays` asks for it.

    Raises:
      ValueError: `path` cannot be written, an array has no safetensors type,
        or `header` uses one of the names "format", "kind", "package_version".

    Example:
      >>> import pathlib, tempfile
      >>> path = pathlib.Path(tempfile.mkdtemp()) / "two.safetensors"
      >>> save_arrays(path, {"a": np.arange(2)}, {"unit": "ms"}, kind="times")
      >>> arrays, header = load_arrays(path, kind="times")
      >>> arrays["a"].tolist(), header["unit"]
      ([0, 1], 'ms')
    """
    for name, array in arrays.items():
        if array.dtype.kind not in "biuf" or array.dtype.itemsize > 8:
            raise ValueError(
                f"Array '{name}' for '{path}': got dtype {array.dtype}, "
                "expected numbers of at most 64 bits; convert it with astype."
            )
    for name in _RESERVED:
        if name in header:
            raise ValueError(
                f"Header for '{path}': '{name}' is set by the file format; "
                "give this entry another name."
            )
    text = json.dumps(
        {
            "format": FORMAT,
            "kind": kind,
            "package_version": VERSION,
            **_plain(header),
        },
        sort_keys=True,
        allow_nan=False,
    )
    # Safetensors writes the memory as it lies, so views must be copied.
    contiguous = {
        name: np.asarray(arrays[name], order="C") for name in sorted(arrays)
    }
    content = safetensors.numpy.save(contiguous, {_METADATA_KEY: text})

    def write(file: Path) -> None:
        # Not `save_file`: its files are for the owner's eyes only.
        file.write_bytes(content)

    write_atomically(path, write)


def load_arrays(
    path: str | os.PathLike[str], kind: str
) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Loads what `save_arrays` wrote.

    Args:
      path: the file to read.
      kind: what the file must hold.

    Returns:
      The arrays by name, and the header with the format's own entries.

    Raises:
      ValueError: the file is missing, damaged, from another program, of another
        kind or written by a newer version of the package.
    """
    if not os.path.isfile(path):
        raise ValueError(
            f"'{path}': no such file; expected a saved {_words(kind)}, check "
            "the path."
        )
    with (
        refusing_damage(path, kind),
        safetensors.safe_open(path, framework="numpy") as file,
    ):
        header = json.loads((file.metadata() or {}).get(_METADATA_KEY, "{}"))
        names = file.keys() if header.get("kind") == kind else ()
        arrays = {name: file.get_tensor(name) for name in names}
    _check_header(path, header, kind)
    return arrays, header


@contextlib.contextmanager
def refusing_damage(path: str | os.PathLike[str], kind: str) -> Iterator[None]:
    """Blames a file for whatever fails while its content is taken apart.

    Raises:
      ValueError: in place of any error.
    """
    try:
        yield
    except OSError as error:
        raise ValueError(
            f"'{path}' cannot be read: {error.strerror or error}; check its "
            "permissions."
        ) from error
    except Exception as error:
        raise ValueError(
            f"'{path}': damaged or no safetensors file "
            f"({type(error).__name__}: {error}); expected a saved "
            f"{_words(kind)}, make or copy it again."
        ) from error


def write_json(path: str | os.PathLike[str], data: Any) -> None:
    """Writes data as indented JSON, in the order of its dicts.

    Args:
      path: the file to write.
      data: as the header of `save_arrays`.

    Raises:
      ValueError: `path` cannot be written; see `check_writable`.
      TypeError: `data` holds what JSON cannot.
    """
    text = json.dumps(
        _plain(data), indent=2, ensure_ascii=False, allow_nan=False
    )
    write_text(path, text + "\n")


def write_text(path: str | os.PathLike[str], text: str) -> None:
    """Writes a text file in UTF-8, whole or not at all.

    Raises:
      ValueError: `path` cannot be written; see `check_writable`.
    """

    def write(file: Path) -> None:
        file.write_text(text, encoding="utf-8")

    write_atomically(path, write)


def _temporary_beside(path: str | os.PathLike[str]) -> Path:
    path = Path(path)
    if path.is_dir():
        raise ValueError(
            f"'{path}' cannot be written: it is a folder; add a file name."
        )
    if not path.parent.exists():
        raise _not_writable(path, f"the folder '{path.parent}' does not exist")
    # The name comes last: Keras looks at endings such as `.weights.h5`.
    return path.with_name(f".{secrets.token_hex(4)}-{path.name}")


def _not_writable(path: str | os.PathLike[str], why: str | None) -> ValueError:
    remedy = "create it or choose another path"
    if why is None or not why.endswith("does not exist"):
        remedy = "check its permissions or choose another path"
    return ValueError(f"'{path}' cannot be written: {why}; {remedy}.")


def _check_header(
    path: str | os.PathLike[str], header: dict[str, Any], kind: str
) -> None:
    if any(name not in header for name in _RESERVED):
        raise ValueError(
            f"'{path}': a safetensors file of another program; expected a "
            f"{_words(kind)} saved by drnet_tf."
        )
    if header["kind"] != kind:
        raise ValueError(
            f"'{path}' holds a {_words(header['kind'])}, expected a "
            f"{_words(kind)}; pass the other file."
        )
    if header["format"] > FORMAT:
        raise ValueError(
            f"'{path}' was written in format {header['format']} by drnet_tf "
            f"{header['package_version']}, this is drnet_tf {VERSION} "
            f"and reads up to format {FORMAT}; update the package."
        )


def _words(kind: str) -> str:
    return kind.replace("_", " ")


def _plain(data: Any) -> Any:
    """`data` in JSON's own types."""
    if isinstance(data, Mapping):
        return {str(key): _plain(value) for key, value in data.items()}
    if isinstance(data, np.ndarray | np.generic):
        return _plain(data.tolist())
    if isinstance(data, list | tuple):
        return [_plain(value) for value in data]
    if isinstance(data, float) and not math.isfinite(data):
        return None
    if isinstance(data, os.PathLike):
        return os.fspath(data)
    return data
