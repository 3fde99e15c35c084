"""Runs a recipe: errors of the library become one line and an exit code.

Every recipe ends in `running.run(main)` and imports the library inside `main`,
so that `--help` answers at once and TensorFlow is loaded without its notices.
"""

from __future__ import annotations

import importlib
import logging as python_logging
import os
import sys
from collections.abc import Callable

from absl import app, flags, logging
from drnet_tflite.native_log import native_log_hidden

_FAILED = 2
_INTERRUPTED = 130  # What shells give a program stopped by Ctrl-C.


def run(main: Callable[[], None], *, tensorflow: bool = True) -> None:
    """Parses the flags, runs `main` and exits.

    The exit code is 0 when `main` returns; 2 after a ValueError, TypeError or
    OSError, told as one line `error: ...` on standard error (`--verbosity=1`
    shows its traceback, too); 130 after Ctrl-C. Any other exception is a fault
    of the program and keeps its traceback.

    Args:
      main: the recipe; reads its settings from absl flags.
      tensorflow: whether it needs TensorFlow, which takes seconds to load.
    """
    app.run(lambda argv: _guarded(main, argv[1:], tensorflow))


def _guarded(
    main: Callable[[], None], arguments: list[str], tensorflow: bool
) -> int:
    if not flags.FLAGS["verbosity"].present:  # absl has set it to INFO
        # TFDS tells at length what it reads.
        logging.set_verbosity(logging.WARNING)
    try:
        if arguments:
            raise ValueError(
                f"got the argument '{arguments[0]}', expected flags only; "
                "--help lists them."
            )
        if tensorflow:
            _load_tensorflow()
        main()
    except (ValueError, TypeError, OSError) as error:
        logging.debug("Where it happened:", exc_info=True)
        message = " ".join(str(error).split())
        print(f"error: {message}", file=sys.stderr)
        return _FAILED
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return _INTERRUPTED
    return 0


def _load_tensorflow() -> None:
    """Loads TensorFlow without what its native code says about the machine.

    Level 3 hides even its errors: on a machine without a GPU it calls that one,
    and what is truly wrong comes as an exception. The user's own level wins.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    with native_log_hidden():
        importlib.import_module("tensorflow")
    # Many small networks are traced one after another, of which it warns.
    python_logging.getLogger("tensorflow").setLevel("ERROR")
