"""Finished rows of a long run, kept so that a stopped one goes on."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

Row = dict[str, Any]


class KeptRows:
    """A file of JSON lines: the settings, then rows of sub-tasks, and parts.

    Args:
      output: what the run writes in the end; the rows stand beside it, in
        `<output>.work`.
      settings: of the run; rows of others are not mixed in.
      written: rows, and parts as `part_line` gives them, out of what such a run
        has written: where `output` is of the same "settings", a run of more
        sub-tasks takes them. None: every run starts anew.

    Raises:
      ValueError: the file holds a run with other settings.
    """

    def __init__(
        self,
        output: str | Path,
        settings: Mapping[str, Any],
        written: Callable[[Mapping[str, Any]], Iterable[Row]] | None = None,
    ) -> None:
        self._path = Path(f"{output}.work")
        plan = json.dumps(settings)
        self._done: dict[tuple[str, ...], Row] = {}
        self._parts: dict[str, Any] = {}
        if written is not None:
            earlier = _results_of_same(Path(output), json.loads(plan))
            for row in written(earlier) if earlier else ():
                self._take(row)
        if not self._path.exists():
            self._path.write_text(f"{plan}\n", "utf-8")
            return
        first, *lines = self._path.read_text("utf-8").splitlines()
        if first != plan:
            raise ValueError(
                f"--output: '{self._path}' holds a run with other settings; "
                "remove it or choose another output."
            )
        for line in lines:
            try:
                self._take(json.loads(line))
            except json.JSONDecodeError:
                continue  # the run was stopped while it wrote

    def _take(self, row: Row) -> None:
        if "part" in row:
            self._parts[row["part"]] = row["value"]
        else:
            self._done[tuple(row["classes"])] = row

    def part(self, name: str, make: Callable[[], Any]) -> Any:
        """Something that all rows share; made if it is missing.

        Args:
          name: of this part, unlike those of others.
          make: gives what JSON can hold.
        """
        if name not in self._parts:
            line = self._write(part_line(name, make()))
            # As a run that goes on has it: tuples have become lists.
            self._parts[name] = json.loads(line)["value"]
        return self._parts[name]

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
            self._write(self._done[classes])
            bar.update(number)

    def _write(self, row: Mapping[str, Any]) -> str:
        line = json.dumps(row)
        with self._path.open("a+", encoding="utf-8") as file:
            file.seek(0)
            # A line that was cut off does not take the next one with it.
            start = "" if file.read().endswith("\n") else "\n"
            file.write(f"{start}{line}\n")
        return line

    def remove(self) -> None:
        """Removes the file, when all is written."""
        self._path.unlink(missing_ok=True)


def part_line(name: str, value: Any) -> Row:
    """A part as the file holds it."""
    return {"part": name, "value": value}


def _results_of_same(
    output: Path, settings: Mapping[str, Any]
) -> dict[str, Any] | None:
    """What a run with these settings, and maybe others, has written."""
    if not output.exists():
        return None
    try:
        results = json.loads(output.read_text("utf-8"))
        own = results["settings"]
        same = all(own[key] == value for key, value in settings.items())
    except (ValueError, TypeError, KeyError):
        return None  # something else, which will be overwritten
    return results if same else None
