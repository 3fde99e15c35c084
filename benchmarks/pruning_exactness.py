"""Holds pruned networks against masked ones, on real and on untrained networks.

For every `.keras` file of a folder (`--checkpoints`) and for the package's
VGG16, ResNet18 and MobileNetV2 with random weights and random norm statistics:
masks that silence 10 % and 50 % of all channels and one that empties a layer.

Reads: the folder. Writes: with `--output` a JSON file. Prints one row a mask:
parameters before and after, the share of masked channels that are really gone,
and the greatest difference to the masked network as a share of the output's
scale: of the pruned network, of the same after saving and loading in a process
without drnet_tf, and between its LiteRT file and Keras. Every network is also
verified layer by layer in float64, where rounding plays no part.

Example: python benchmarks/pruning_exactness.py \
--checkpoints=../shared/checkpoints --output=results/pruning_exactness.json

Takes about 10 minutes on 2 cores. Ends with an error if a row exceeds 1e-5
(LiteRT: 1e-4).
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from absl import app, flags

_ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(_ROOT), str(_ROOT / "tflite")]  # runs uninstalled, too

_CHECKPOINTS = flags.DEFINE_string(
    "checkpoints", None, "Folder with .keras files; none by default."
)
_SEED = flags.DEFINE_integer("seed", 0, "Of masks, images and weights.")
_OUTPUT = flags.DEFINE_string("output", None, "The .json file to write.")
_ONLY = flags.DEFINE_string("only", "", "Networks whose name contains this.")

_TOLERANCE, _LITERT_TOLERANCE = 1e-5, 1e-4
_IMAGES = 4
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
_RELOAD = """
import json, sys
import keras
import numpy as np
found = []
for path in sys.argv[1:]:
    arrays = np.load(path + ".npz")
    model = keras.models.load_model(path + ".keras", compile=False)
    outputs = np.array(model(arrays["images"]))
    scale = np.abs(arrays["masked"]).max()
    found.append(float(np.abs(outputs - arrays["masked"]).max() / scale))
if any(name.startswith("drnet") for name in sys.modules):
    sys.exit("drnet_tf was imported")
print(json.dumps(found))
"""


def main(_: list[str]) -> None:
    from drnet_tf.artifacts import check_writable, write_json

    if _OUTPUT.value:
        check_writable(_OUTPUT.value)
    print("  ".join(name.rjust(width) for name, _, width in _COLUMNS))
    rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as folder:
        for name, make in _networks():
            if _ONLY.value in name:
                found = _measure(name, make(), Path(folder))
                for row in found:
                    _print_row(row)
                rows += found
    failures = [row for row in rows if not _passes(row)]
    print(f"{len(rows) - len(failures)} of {len(rows)} within tolerance")
    if _OUTPUT.value:
        write_json(
            _OUTPUT.value,
            {
                "seed": _SEED.value,
                "tolerance": _TOLERANCE,
                "litert_tolerance": _LITERT_TOLERANCE,
                "rows": rows,
            },
        )
    if failures:
        sys.exit(1)


def _networks() -> Iterator[tuple[str, Any]]:
    """Names, and functions that load or make the networks."""
    import keras

    from drnet_tf import models

    if _CHECKPOINTS.value:
        for path in sorted(Path(_CHECKPOINTS.value).glob("*.keras")):
            yield (
                path.stem,
                lambda p=path: keras.models.load_model(p, compile=False),
            )
    for make in (models.vgg16, models.resnet18, models.mobilenet_v2):
        yield make.__name__, lambda m=make: _with_random_norms(m())


def _with_random_norms(model: Any) -> Any:
    """Norm statistics as training leaves them: no mean and no beta is 0."""
    generator = np.random.default_rng(_SEED.value)
    for variable in model.variables:
        if variable.name in ("gamma", "moving_variance"):
            variable.assign(generator.uniform(0.5, 1.5, variable.shape))
        elif variable.name in ("bias", "beta", "moving_mean"):
            variable.assign(generator.normal(0, 0.3, variable.shape))
    return model


def _masks(model: Any) -> Iterator[tuple[str, Any]]:
    from drnet_tf.masks import ChannelMask
    from drnet_tf.sites import gate_sites

    generator = np.random.default_rng(_SEED.value)
    sites = gate_sites(model)
    for silenced in (0.1, 0.5):
        keep = {s.name: generator.random(s.channels) >= silenced for s in sites}
        yield f"{silenced:.0%} silenced", ChannelMask(keep)
    empty = sites[len(sites) // 2].name
    keep = {
        s.name: (generator.random(s.channels) >= 0.1) & (s.name != empty)
        for s in sites
    }
    yield f"10%, {empty} emptied", ChannelMask(keep)


def _measure(name: str, model: Any, folder: Path) -> list[dict[str, Any]]:
    from drnet_tf.gates import apply_mask
    from drnet_tf.pruning import prune

    generator = np.random.default_rng(_SEED.value)
    images = generator.normal(size=(_IMAGES, *model.input_shape[1:]))
    images = images.astype("float32")
    if name in ("vgg16", "resnet18", "mobilenet_v2"):  # raw pixels in
        images = np.clip(images * 60 + 128, 0, 255)
    rows: list[dict[str, Any]] = []
    paths: list[str] = []
    for title, mask in _masks(model):
        pruned = prune(model, mask, verify=True)
        masked = apply_mask(model, mask).predict(images, verbose=0)
        found = pruned.model.predict(images, verbose=0)
        report = pruned.report
        path = folder / f"{name}_{len(paths)}"
        pruned.model.save(f"{path}.keras")
        np.savez(f"{path}.npz", images=images, masked=masked)
        paths.append(str(path))
        rows.append(
            {
                "network": name,
                "mask": title,
                "parameters_before": report.parameters_before,
                "parameters_after": report.parameters_after,
                "masked_removed": report.masked_removed / report.masked,
                "pruned": float(
                    np.abs(found - masked).max() / np.abs(masked).max()
                ),
                "litert": _litert_difference(pruned.model, path),
            }
        )
    for row, difference in zip(rows, _reload(paths), strict=True):
        row["reloaded"] = difference
    return rows


def _reload(paths: list[str]) -> list[float]:
    """Differences after loading with stock Keras in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-c", _RELOAD, *paths],
        stdout=subprocess.PIPE,
        text=True,
        check=True,
        cwd=Path(paths[0]).parent,  # where drnet_tf cannot be found
    )
    return json.loads(done.stdout)


def _litert_difference(model: Any, path: Path) -> float | None:
    """Keras against LiteRT; None where no runtime is installed."""
    try:
        import drnet_tflite
    except ImportError:
        return None
    report = drnet_tflite.convert(model, path.with_suffix(".tflite"))
    return report.max_difference


def _passes(row: dict[str, Any]) -> bool:
    return (
        row["pruned"] <= _TOLERANCE
        and row["reloaded"] <= _TOLERANCE
        and (row["litert"] is None or row["litert"] <= _LITERT_TOLERANCE)
    )


def _print_row(row: dict[str, Any]) -> None:
    cells = [
        "-" if row[name] is None else form.format(row[name])
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
