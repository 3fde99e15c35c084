"""Holds pruned networks against masked ones, on real and on untrained networks.

For every `.keras` file of a folder (`--checkpoints`) and for the package's
VGG16, ResNet18 and MobileNetV2 with random weights and random norm statistics:
the four masks of `random_networks.py`.

Reads: the folder. Writes: with `--output` a JSON file. Prints one row a mask:
parameters before and after, the share of masked channels that are really gone,
and the differences that `exactness.py` measures. Every network is also verified
layer by layer in float64, where rounding plays no part.

Example: python benchmarks/pruning_exactness.py \
--checkpoints=../shared/checkpoints --output=results/pruning_exactness.json

Takes about 15 minutes on 2 cores. Ends with an error if a row fails.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from absl import app, flags

_ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(_ROOT), str(_ROOT / "tflite")]  # runs uninstalled, too

_CHECKPOINTS = flags.DEFINE_string(
    "checkpoints", None, "Folder with .keras files; none by default."
)
_SEED = flags.DEFINE_integer("seed", 0, "Of masks, images and weights.")
_OUTPUT = flags.DEFINE_string("output", None, "The .json file to write.")
_ONLY = flags.DEFINE_string("only", "", "Networks whose name contains this.")

_COLUMNS = (
    ("network", "{}", 27),
    ("mask", "{}", 35),
    ("parameters_before", "{:,}", 17),
    ("parameters_after", "{:,}", 16),
    ("masked_removed", "{:.1%}", 14),
    ("pruned", "{:.1e}", 8),
    ("reloaded", "{:.1e}", 8),
    ("litert", "{:.1e}", 8),
)


def main(_: list[str]) -> None:
    from exactness import LITERT_TOLERANCE, TOLERANCE, passes

    from drnet_tf.artifacts import check_writable, write_json

    if _OUTPUT.value:
        check_writable(_OUTPUT.value)
    print("  ".join(name.rjust(width) for name, _, width in _COLUMNS))
    rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as folder:
        for name, make in _networks():
            if _ONLY.value in name:
                rows += _measure(name, make(), Path(folder))
    failures = [row for row in rows if not passes(row)]
    print(f"{len(rows) - len(failures)} of {len(rows)} within tolerance")
    if _OUTPUT.value:
        write_json(
            _OUTPUT.value,
            {
                "seed": _SEED.value,
                "tolerance": TOLERANCE,
                "litert_tolerance": LITERT_TOLERANCE,
                "rows": rows,
            },
        )
    if failures:
        sys.exit(1)


def _networks() -> Iterator[tuple[str, Any]]:
    """Names, and functions that load or make the networks."""
    import keras
    from random_networks import randomise

    from drnet_tf import models

    if _CHECKPOINTS.value:
        for path in sorted(Path(_CHECKPOINTS.value).glob("*.keras")):
            yield (
                path.stem,
                lambda p=path: keras.models.load_model(p, compile=False),
            )
    for make in (models.vgg16, models.resnet18, models.mobilenet_v2):
        yield make.__name__, lambda m=make: randomise(m(), _SEED.value)


def _measure(name: str, model: Any, folder: Path) -> list[dict[str, Any]]:
    from exactness import Settings, measure

    settings = Settings(
        seed=_SEED.value,
        fit_norms=name in ("vgg16", "resnet18", "mobilenet_v2"),
        verify=True,
    )
    rows = [{"network": name, **x} for x in measure(model, folder, settings)]
    for row in rows:
        _print_row(row)
    return rows


def _print_row(row: dict[str, Any]) -> None:
    cells = [
        "-" if row.get(name) is None else form.format(row[name])
        for name, form, _ in _COLUMNS
    ]
    widths = [width for _, _, width in _COLUMNS]
    print(
        "  ".join(
            cell.rjust(width) for cell, width in zip(cells, widths, strict=True)
        ),
        flush=True,
    )


if __name__ == "__main__":
    app.run(main)
