"""Keeps what native code prints to standard error out of the user's sight."""

from __future__ import annotations

import contextlib
import os
import sys
import tempfile
from collections.abc import Iterator

from absl import logging


@contextlib.contextmanager
def native_log_hidden() -> Iterator[None]:
    """Turns standard error, file descriptor 2, into debug log lines.

    TensorFlow's converter and LiteRT write dozens of lines there from C++,
    past Python's `sys.stderr`, whatever the log level. Other threads' lines are
    caught too, so keep the block short.

    Example:
      >>> import os
      >>> with native_log_hidden():
      ...     _ = os.write(2, b"not seen")
    """
    sys.stderr.flush()
    with tempfile.TemporaryFile() as caught:
        original = os.dup(2)
        try:
            os.dup2(caught.fileno(), 2)
            yield
        finally:
            sys.stderr.flush()
            os.dup2(original, 2)
            os.close(original)
            caught.seek(0)
            for line in caught.read().decode(errors="replace").splitlines():
                logging.debug("%s", line)
