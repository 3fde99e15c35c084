"""Progress of long work, and silence about short work."""

from __future__ import annotations

import sys
import time

import keras

_LOG_SECONDS = 30.0  # between two lines where nothing is drawn over


class DelayedBar:
    """A progress bar that appears only when the work takes long.

    On a terminal or in a notebook it moves; in a log it says every half minute
    how far the work is.

    Args:
      total: number of steps; None if not known.
      unit: what a step is, e.g. "image".
      quiet_seconds: work that ends sooner shows nothing.

    Example:
      >>> bar = DelayedBar(total=2, unit="image")
      >>> bar.update(1)
      >>> bar.update(2)
      >>> bar.close()
    """

    def __init__(
        self, total: int | None, unit: str, quiet_seconds: float = 5.0
    ) -> None:
        self._total = total
        self._unit = unit
        self._done = 0
        self._shows_from = time.monotonic() + quiet_seconds
        self._bar: keras.utils.Progbar | None = None

    def update(self, done: int) -> None:
        """Says that `done` steps are done in all."""
        self._done = done
        if self._bar is None:
            if time.monotonic() < self._shows_from:
                return
            self._bar = keras.utils.Progbar(
                self._total,
                interval=0.05 if _is_interactive() else _LOG_SECONDS,
                unit_name=self._unit,
            )
        self._bar.update(done)

    def close(self) -> None:
        """Ends the bar's line; further work writes below it."""
        if self._bar is not None and self._done != self._total:
            self._bar.update(self._done, finalize=True)


def _is_interactive() -> bool:
    return sys.stdout.isatty() or "ipykernel" in sys.modules
