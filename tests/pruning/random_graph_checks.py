"""Holds `prune` against `apply_mask` on one random network after the other."""

from __future__ import annotations

import dataclasses
import tempfile
from pathlib import Path

import keras
import numpy as np

from drnet_tf.classifier import find_classifier
from drnet_tf.gates import apply_mask
from drnet_tf.masks import ChannelMask
from drnet_tf.pruning import PrunedModel, prune
from tests.pruning.random_graphs import (
    draw_mask,
    draw_with_families,
    full_mask,
    images,
    run,
)

TOLERANCE = 1e-5  # of the largest absolute value of an output
RELOADED_TOLERANCE = 1e-6
RELOAD_EVERY, VERIFY_EVERY, FULL_EVERY, CLASSES_EVERY = 10, 9, 11, 7
# With these a network has channels that are constant, or that nobody reads.
_IDLE_CHANNELS = {
    "nested_functional",
    "of_one_value",
    "rescaling",
    "slice_of_channels",
    "split",
    "with_a_number",
    "with_a_number_for_each_channel",
}
_NOISE = 1e-9  # an output below it is zero but for rounding


class Mismatch(Exception):
    """A pruned network is not the masked one."""


@dataclasses.dataclass(frozen=True)
class Result:
    """What became of one seed.

    Attributes:
      seed: of network, mask and images.
      families: how often each family stands in the network.
      difference: largest one, as a share of the output's scale.
      masked, removed: channels that the mask silences; that are gone.
      failure: one line, or None.
    """

    seed: int
    families: dict[str, int]
    difference: float = 0.0
    masked: int = 0
    removed: int = 0
    failure: str | None = None


def examine(seed: int) -> Result:
    """Draws a network and a mask, prunes, and compares.

    Whatever is raised becomes the result's failure.
    """
    families: dict[str, int] = {}
    try:
        model, families = draw_with_families(seed)
        return _examine(seed, model, families)
    except Exception as error:  # noqa: BLE001  (a crash is what is looked for)
        line = " ".join(str(error).split())[:300]
        reason = f"{type(error).__name__}: {line}"
        return Result(seed, dict(families), failure=reason)


def _examine(seed: int, model: keras.Model, families: dict[str, int]) -> Result:
    mask = draw_mask(model, seed)
    before = model.get_weights()
    pruned = prune(model, mask, verify=not seed % VERIFY_EVERY)
    found = compare(model, mask, pruned.model, seed)
    if found > TOLERANCE:
        _confirm(model, mask, found)
    if not seed % RELOAD_EVERY:
        _compare_reloaded(pruned.model, seed)
    if not seed % CLASSES_EVERY:
        _compare_classes(model, mask, seed)
    if not seed % FULL_EVERY and _IDLE_CHANNELS.isdisjoint(families):
        _compare_full(model)
    if not all(map(np.array_equal, before, model.get_weights())):
        raise Mismatch("the caller's weights changed")
    return Result(
        seed,
        dict(families),
        found if _is_float64(model) else 0.0,
        pruned.report.masked,
        pruned.report.masked_removed,
    )


def difference(model: keras.Model, mask: ChannelMask, seed: int) -> float:
    """Pruned against masked network, as a share of the output's scale."""
    return compare(model, mask, prune(model, mask).model, seed)


def compare(
    model: keras.Model, mask: ChannelMask, small: keras.Model, seed: int
) -> float:
    """A pruned network against the masked one; see `difference`."""
    arrays = images(model, seed)
    expected = run(apply_mask(model, mask), arrays)
    return _difference(run(small, arrays), expected)


def _difference(found: list[np.ndarray], expected: list[np.ndarray]) -> float:
    """The largest one of all outputs, each as a share of its own scale."""
    shapes = [x.shape for x in found], [x.shape for x in expected]
    if shapes[0] != shapes[1]:
        raise Mismatch(f"shapes: got {shapes[0]}, expected {shapes[1]}")
    differences = [0.0]
    for got, wanted in zip(found, expected, strict=True):
        if not np.isfinite(wanted).all():
            raise Mismatch("the masked network's outputs are not finite")
        scale = max(np.abs(wanted).max(initial=0), _NOISE)
        differences.append(np.abs(got - wanted).max(initial=0) / scale)
    largest = max(map(float, differences))
    return float("inf") if np.isnan(differences).any() else largest


def _is_float64(model: keras.Model) -> bool:
    return model.outputs[0].dtype == "float64"


def _confirm(model: keras.Model, mask: ChannelMask, found: float) -> None:
    """In float32 rounding may be all of it: float64 decides then."""
    if _is_float64(model):
        raise Mismatch(f"differs by {found:.1e} of the output's scale")
    prune(model, mask, verify=True)


def _compare_reloaded(small: keras.Model, seed: int) -> None:
    arrays = images(small, seed)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "small.keras"
        small.save(path)
        reloaded = keras.models.load_model(path, compile=False)
    found = _difference(run(reloaded, arrays), run(small, arrays))
    if found > RELOADED_TOLERANCE:
        raise Mismatch(f"differs by {found:.1e} after saving and loading")


def _compare_full(model: keras.Model) -> None:
    small = prune(model, full_mask(model)).model
    counts = small.count_params(), model.count_params()
    if counts[0] != counts[1]:
        raise Mismatch(
            f"all kept: {counts[0]} parameters, expected {counts[1]}"
        )


def _compare_classes(model: keras.Model, mask: ChannelMask, seed: int) -> None:
    """Rows that are cut against rows that are chosen afterwards."""
    generator = np.random.default_rng([seed, 3])
    pruned = _prune_classes(model, mask, generator)
    if pruned is None:
        return
    small, rows = pruned
    arrays = images(model, seed)
    expected = run(apply_mask(model, mask), arrays)
    if len(expected) != 1:
        raise Mismatch("class rows were cut of a model with several outputs")
    wanted = expected[0][..., list(rows)]
    found = run(small.model, arrays)[0]
    if find_classifier(model).probabilities:
        wanted = wanted / wanted.sum(-1, keepdims=True)
    error = _difference([found], [wanted])
    if error > (TOLERANCE if _is_float64(model) else 1e-3):
        raise Mismatch(f"classes={rows}: differs by {error:.1e}")


def _prune_classes(
    model: keras.Model, mask: ChannelMask, generator: np.random.Generator
) -> tuple[PrunedModel, tuple[int, ...]] | None:
    """None where the model has no class rows that could be cut."""
    try:
        number = find_classifier(model).num_classes
        order = generator.permutation(number)
        rows = tuple(order[: generator.integers(1, number + 1)].tolist())
        return prune(model, mask, classes=rows), rows
    except ValueError as error:
        # What it refuses it says; anything else is a failure.
        if str(error).startswith(("classes:", "Model")):
            return None
        raise
