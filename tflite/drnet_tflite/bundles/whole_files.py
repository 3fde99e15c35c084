"""Files that are written whole or not at all."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

from drnet_tflite.bundles.errors import BundleError

PARTIAL = ".partial"  # how names end of files that are being written


@contextlib.contextmanager
def written_whole(path: str | os.PathLike[str]) -> Iterator[Path]:
    """A name to write to, beside `path`; it becomes `path` when all is well.

    Its folder is made when it is not there. A file of which nothing was written
    is left out.

    Raises:
      BundleError: it cannot be written; no part of it stays.

    Example:
      >>> target = Path(tempfile.mkdtemp(), "small.tflite")
      >>> with written_whole(target) as partial:
      ...     _ = partial.write_bytes(b"model")
      >>> target.read_bytes()
      b'model'
    """
    folder = Path(path).parent
    try:
        folder.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(PARTIAL, dir=folder)
        os.close(handle)
    except OSError as error:
        raise _not_writable(path, error) from error
    try:
        yield Path(name)
        if os.path.getsize(name):
            os.chmod(name, 0o644)  # as other files; temporary ones are private
            os.replace(name, path)
    except OSError as error:
        raise _not_writable(path, error) from error
    finally:
        Path(name).unlink(missing_ok=True)


def _not_writable(path: str | os.PathLike[str], error: OSError) -> BundleError:
    return BundleError(
        f"'{os.fspath(path)}': cannot be written ({error.strerror or error}); "
        "free some space or choose another folder."
    )
