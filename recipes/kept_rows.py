"""Finished rows of a long run, kept so that a stopped one goes on."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

Row = dict[str, Any]


class KeptRows:
    """A file of JSON lines: first the settings, then a row for each sub-task.

    Args:
      output: what the run writes in the end; the rows stand beside it, in
        `<output>.work`.
      settings: of the run; rows of others are not mixed in.

    Raises:
      ValueError: the file holds a run with other settings.
    """

    def __init__(self, output: str | Path, settings: Mapping[str, Any]) -> None:
        self._path = Path(f"{output}.work")
        plan = json.dumps(settings)
        self._done: dict[tuple[str, ...], Row] = {}
        if not self._path.exists():
            self._path.write_text(f"{plan}\n", "utf-8")
            return
        first, *lines = self._path.read_text("utf-8").splitlines()
        if first != plan:
            raise ValueError(
                f"--output: '{self._path}' holds a run with other settings; "
                "remove it or choose another output."
            )
        rows = [json.loads(line) for line in lines if line.endswith("}")]
        self._done = {tuple(row["classes"]): row for row in rows}

    def rows(
        self,
        subtasks: Sequence[tuple[str, ...]],
        study: Callable[[], Callable[[tuple[str, ...]], Row]],
    ) -> list[Row]:
        """The rows of sub-tasks; measures those that are missing.

        Args:
          subtasks: in the order of the rows.
          study: prepares the measuring, if there is something to do.
        """
        missing = [x for x in subtasks if x not in self._done]
        print(f"{len(subtasks)} sub-tasks, {len(missing)} to do", flush=True)
        if missing:
            self._measure(missing, study())
        return [self._done[x] for x in subtasks]

    def _measure(
        self,
        missing: Sequence[tuple[str, ...]],
        measure: Callable[[tuple[str, ...]], Row],
    ) -> None:
        from drnet_tf.progress import DelayedBar

        bar = DelayedBar(len(missing), "sub-task")
        for number, classes in enumerate(missing, 1):
            self._done[classes] = measure(classes)
            with self._path.open("a", encoding="utf-8") as file:
                print(json.dumps(self._done[classes]), file=file)
            bar.update(number)

    def remove(self) -> None:
        """Removes the file, when all is written."""
        self._path.unlink(missing_ok=True)
