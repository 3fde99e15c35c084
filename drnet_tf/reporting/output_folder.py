"""A folder of results, written whole or not at all."""

from __future__ import annotations

import contextlib
import os
import re
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from drnet_tf.artifacts import check_writable

_LONGEST_NAME = 60


def check_folder(folder: str | os.PathLike[str]) -> None:
    """Refuses a folder that cannot be made or written, before the long work.

    Args:
      folder: need not exist, its parent must.

    Raises:
      ValueError: the parent is missing, or one of them is not writable.

    Example:
      >>> check_folder("no/such/folder")
      Traceback (most recent call last):
      ...
      ValueError: 'no/such/folder' cannot be written: the folder 'no/such' \
does not exist; create it or choose another path.
    """
    folder = Path(folder)
    check_writable(folder / "file" if folder.exists() else folder)


@contextlib.contextmanager
def staged(folder: str | os.PathLike[str]) -> Iterator[Path]:
    """Gives an empty folder whose files move to `folder` if all goes well.

    Args:
      folder: made if it is missing. Files of the same names are replaced, all
        others stay; after an error nothing in it has changed.

    Yields:
      The folder to write to, on the same disk.

    Raises:
      ValueError: as `check_folder`.

    Example:
      >>> target = Path(tempfile.mkdtemp())
      >>> with staged(target) as draft:
      ...     _ = (draft / "note.txt").write_text("whole")
      >>> [file.name for file in target.iterdir()]
      ['note.txt']
    """
    folder = Path(folder)
    check_folder(folder)
    beside = folder if folder.exists() else folder.parent
    with tempfile.TemporaryDirectory(dir=beside, prefix=".unfinished-") as name:
        draft = Path(name)
        yield draft
        for file in sorted(p for p in draft.rglob("*") if p.is_file()):
            target = folder / file.relative_to(draft)
            target.parent.mkdir(parents=True, exist_ok=True)
            os.replace(file, target)


def folder_names(subtasks: Sequence[Sequence[str]]) -> tuple[str, ...]:
    """A different folder name for each sub-task, safe on every file system.

    Example:
      >>> folder_names([("3", "8"), ("sea lion", "a/c"), ("sea lion", "a.c")])
      ('3-8', 'sea_lion-a_c', 'sea_lion-a.c')
    """
    names: list[str] = []
    for classes in subtasks:
        name = re.sub(r"[^\w.-]", "_", "-".join(classes)).strip(".")
        name = name[:_LONGEST_NAME]
        while name in names or not name:
            name += "_"
        names.append(name)
    return tuple(names)
