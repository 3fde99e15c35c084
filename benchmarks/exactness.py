"""How exactly one network is pruned, measured mask by mask.

Each mask makes a row. Differences are the largest absolute ones as a share of
the output's largest absolute value (of 1 if all are 0): of the pruned network
to the masked one, of the same after saving and loading in a process without
drnet_tf, and of its LiteRT file to Keras. Where float32 exceeds its tolerance
both networks are run again in float64: there rounding plays no part, what is
left is a fault. Where a mask leaves outputs that hardly depend on the image,
all layers are compared, too, as `prune(..., verify=True)` does.
"""

from __future__ import annotations

import collections
import dataclasses
import gc
import json
import re
import subprocess
import sys
import traceback
from collections.abc import Collection
from pathlib import Path
from typing import Any

import drnet_tflite
import keras
import numpy as np
from drnet_tflite.parity import random_images
from random_networks import fit_norms, in_float64, random_masks

from drnet_tf.gates import apply_mask
from drnet_tf.graph import read_graph
from drnet_tf.masks import ChannelMask
from drnet_tf.pruning import PrunedModel, PruneReport, prune
from drnet_tf.sites import gate_sites

TOLERANCE, LITERT_TOLERANCE = 1e-5, 1e-4
# Of networks of float32 weights that are run in float64: what is left is that
# the constants of silent channels are stored in float32 (6e-8 each).
FLOAT64_TOLERANCE = 1e-6
_TELLING = 1e-3  # the least share of outputs that depends on the image
_RELOAD = """
import importlib, json, sys
import keras
import numpy as np
for name in filter(None, sys.argv[1].split(",")):
    importlib.import_module(name)
found = []
for path in sys.argv[2:]:
    arrays = np.load(path + ".npz")
    try:
        model = keras.models.load_model(path + ".keras", compile=False)
    except (ImportError, TypeError, ValueError) as error:
        found.append({"reload_error": str(error)})
        continue
    outputs = np.array(model(arrays["images"], training=False))
    scale = np.abs(arrays["masked"]).max() or 1.0
    found.append({
        key: float(np.abs(outputs - arrays[other]).max() / scale)
        for key, other in (("reloaded", "masked"), ("saved", "pruned"))
    })
    del model
if any(name.startswith("drnet") for name in sys.modules):
    sys.exit("drnet_tf was imported")
print(json.dumps(found))
"""


@dataclasses.dataclass(frozen=True)
class Settings:
    """What is measured.

    Attributes:
      seed: of masks and images.
      images: number of random images.
      fit_norms: gives the batch norms new statistics for every mask; for
        networks with random weights.
      verify: also compares layer by layer in float64.
      litert_masks: for how many masks, the first ones, a LiteRT file is made.
    """

    seed: int = 0
    images: int = 4
    fit_norms: bool = False
    verify: bool = False
    litert_masks: int = 4


def measure(
    model: keras.Model, folder: Path, settings: Settings
) -> list[dict[str, Any]]:
    """One row a mask; the files for it go into `folder`.

    Raises:
      TypeError, ValueError: the model has no sites.
    """
    images = random_images(model, settings.images, seed=settings.seed)
    rows: list[dict[str, Any]] = []
    saved: dict[str, dict[str, Any]] = {}
    masks = random_masks(gate_sites(model), settings.seed)
    for number, (title, mask) in enumerate(masks):
        row: dict[str, Any] = {"mask": title}
        rows.append(row)
        path = folder / f"{model.name}_{number}"
        try:
            pruned = _compare(model, mask, images, path, settings, row)
        except (TypeError, ValueError) as error:
            row |= told(error)
            continue
        saved[str(path)] = row
        if number < settings.litert_masks:
            row |= _convert(pruned.model, Path(f"{path}.tflite"))
        del pruned
        gc.collect()
    for row, found in zip(saved.values(), _reload(model, saved), strict=True):
        row |= found
    return rows


def told(error: Exception) -> dict[str, Any]:
    """An error as it stands in a row: did drnet_tf itself refuse?"""
    library = Path(prune.__code__.co_filename).parents[1]
    place = Path(traceback.extract_tb(error.__traceback__)[-1].filename)
    return {
        "error": f"{type(error).__name__}: {' '.join(str(error).split())}",
        # That layers differ is no refusal.
        "refused": library in place.parents and place.stem != "verification",
    }


def passes(row: dict[str, Any]) -> bool:
    """Whether nothing in a row exceeds its tolerance."""
    return is_exact(row) and runs_in_litert(row)


def is_exact(row: dict[str, Any]) -> bool:
    """Whether pruned equals masked, before and after saving."""
    if "error" in row or "reload_error" in row:
        return False
    return rounds(row) or max(row["pruned"], row["reloaded"]) <= TOLERANCE


def rounds(row: dict[str, Any]) -> bool:
    """Whether a difference is float32's rounding, as float64 has none."""
    precise = row.get("pruned_float64")
    return (
        precise is not None
        and precise <= FLOAT64_TOLERANCE
        and row["saved"] <= TOLERANCE
    )


def runs_in_litert(row: dict[str, Any]) -> bool:
    """Whether the LiteRT file, if one was to be made, answers as Keras."""
    return "litert_error" not in row and (
        row.get("litert") is None or row["litert"] <= LITERT_TOLERANCE
    )


def _compare(
    model: keras.Model,
    mask: ChannelMask,
    images: np.ndarray,
    path: Path,
    settings: Settings,
    row: dict[str, Any],
) -> PrunedModel:
    """Adds to a row what pruning did and what it changed; saves the model."""
    masked = apply_mask(model, mask)
    if settings.fit_norms:
        fit_norms(masked, images, settings.seed)
    pruned = prune(model, mask, verify=settings.verify)
    expected, found = _run(masked, images), _run(pruned.model, images)
    pruned.model.save(f"{path}.keras")
    np.savez(f"{path}.npz", images=images, masked=expected, pruned=found)
    scale = _scale(expected)
    row |= {
        **_what_stays(pruned.report),
        "pruned": _difference(expected, found),
        "scale": float(np.abs(expected).max()),
        # How much the outputs say of the images, as a share of their scale.
        "spread": float(np.ptp(expected, axis=0).max()) / scale,
    }
    if row["spread"] < _TELLING and not settings.verify:
        # The outputs say too little of the images: all layers have to.
        prune(model, mask, verify=True)
        row["verified"] = True
    if not row["pruned"] <= TOLERANCE:
        images = images.astype("float64")
        expected = _run(in_float64(masked), images)
        found = _run(in_float64(pruned.model), images)
        row["pruned_float64"] = _difference(expected, found)
    return pruned


def _run(model: keras.Model, images: np.ndarray) -> np.ndarray:
    # Called once only, a network is faster untraced.
    return np.asarray(model(images, training=False))


def _difference(expected: np.ndarray, found: np.ndarray) -> float:
    return float(np.abs(expected - found).max()) / _scale(expected)


def _scale(expected: np.ndarray) -> float:
    return float(np.abs(expected).max()) or 1.0


def _what_stays(report: PruneReport) -> dict[str, Any]:
    """The figures of a report; reasons without the names of layers."""
    channels: collections.Counter[str] = collections.Counter()
    sites: dict[str, set[str]] = collections.defaultdict(set)
    for entry in report.kept_against_mask:
        reason = re.sub(r"'[^']*'", "…", entry.reason)
        channels[reason] += entry.channels
        sites[reason].add(entry.site)
    return {
        "parameters_before": report.parameters_before,
        "parameters_after": report.parameters_after,
        "masked": report.masked,
        "masked_removed": report.masked_removed / max(report.masked, 1),
        "kept": [
            {"reason": reason, "channels": count, "sites": len(sites[reason])}
            for reason, count in channels.most_common()
        ],
        "unknown": collections.Counter(x.kind for x in report.unknown),
        "silenced": sum(x.channels for x in report.silenced),
    }


def _convert(model: keras.Model, path: Path) -> dict[str, Any]:
    """Keras against LiteRT."""
    try:
        report = drnet_tflite.convert(model, path)
    except ValueError as error:
        return {"litert": None, "litert_error": " ".join(str(error).split())}
    path.unlink()
    return {"litert": report.max_difference}


def _reload(model: keras.Model, paths: Collection[str]) -> list[dict[str, Any]]:
    """Differences after loading in a process of its own, without drnet_tf."""
    if not paths:
        return []
    packages = {
        type(call.operation).__module__.partition(".")[0]
        for call in read_graph(model).calls
    } - {"keras"}
    done = subprocess.run(
        [sys.executable, "-c", _RELOAD, ",".join(sorted(packages)), *paths],
        stdout=subprocess.PIPE,
        text=True,
        check=True,
        cwd=Path(next(iter(paths))).parent,  # where drnet_tf cannot be found
    )
    return json.loads(done.stdout)
