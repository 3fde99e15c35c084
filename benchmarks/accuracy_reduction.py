"""How fast CAR orders the filters of a layer, held against evaluating them all.

CAR removes the filters of a layer one by one, each time the one that is missed
least: n (n + 1) / 2 networks have to be evaluated on all images. `greedy_order`
runs what lies before the layer once and many removals in one batch. The plain
way evaluates the whole network for each removal; here that is `MaskedNetwork`,
which is built and traced once, so that only running is compared. All of those
evaluations would take long: a sample of them is timed and SCALED UP by their
number, and the report says so.

That both remove the same is checked where the plain way can be run to its end,
on fewer images.

Reads: with `--model` and `--images` a .keras file and a .npz file of `images`
and `labels` (default: the digits' ConvNet and its training images). Writes:
with `--output` a JSON file. Prints both times and their ratio.

Example: python benchmarks/accuracy_reduction.py --site=relu3 \
--output=results/accuracy_reduction.json

A quick look: --count=50 --sampled=3 --checked_images=5.
"""

from __future__ import annotations

import os
import platform
import statistics
import sys
import time
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
from absl import app, flags

_ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(_ROOT))  # runs uninstalled, too

_MODEL = flags.DEFINE_string("model", None, "A .keras file; default: digits.")
_IMAGES = flags.DEFINE_string("images", None, "A .npz file; default: digits.")
_SITE = flags.DEFINE_string("site", "relu3", "Whose filters are ordered.")
_COUNT = flags.DEFINE_integer("count", 1000, "Images.", 1)
_SAMPLED = flags.DEFINE_integer("sampled", 30, "Plain evaluations timed.", 1)
_BATCH_SIZE = flags.DEFINE_integer("batch_size", 250, "Of plain ones.", 1)
_CHECKED = flags.DEFINE_integer(
    "checked_images", 25, "Images of the check of the order; 0: no check.", 0
)
_SEED = flags.DEFINE_integer("seed", 0, "Draws images and sampled removals.")
_OUTPUT = flags.DEFINE_string("output", None, "The .json file to write.")


def main(_: list[str]) -> None:
    from drnet_tf.artifacts import check_writable, write_json
    from drnet_tf.sites import gate_sites

    if _OUTPUT.value:
        check_writable(_OUTPUT.value)
    model = _load_model()
    sites = {site.name: site for site in gate_sites(model)}
    if _SITE.value not in sites:
        raise app.UsageError(f"--site: expected one of {', '.join(sites)}.")
    report = _measure(model, sites[_SITE.value], *_load_images())
    _print(report)
    if _OUTPUT.value:
        write_json(_OUTPUT.value, report)


def _measure(
    model: Any, site: Any, images: np.ndarray, labels: np.ndarray
) -> dict[str, Any]:
    from drnet_tf.dissection.accuracy_reduction import greedy_order

    start = time.perf_counter()
    found = greedy_order(model, site, images, labels)
    seconds = time.perf_counter() - start
    plain = Plain(model, site, _BATCH_SIZE.value)
    sample = plain.sample(images, labels, _SAMPLED.value)
    evaluations = site.channels * (site.channels + 1) // 2
    scaled = statistics.median(sample) * evaluations
    half = found.correct[(site.channels + 1) // 2 - 1]
    return {
        "model": model.name,
        "site": site.name,
        "filters": site.channels,
        "images": len(images),
        "evaluations": evaluations,
        "seconds": seconds,
        "plain_sampled": len(sample),
        "plain_sample_seconds": sample,
        "plain_seconds_scaled_up": scaled,
        "times_faster": scaled / seconds,
        "accuracy": found.full / found.images,
        "accuracy_of_half": int(half) / found.images,
        "check": _check(plain, model, site, images, labels),
        "seed": _SEED.value,
        "machine": _machine(),
    }


class Plain:
    """Evaluates a whole network for each set of filters."""

    def __init__(self, model: Any, site: Any, batch_size: int) -> None:
        from drnet_tf.classifier import find_classifier
        from drnet_tf.masked_network import MaskedNetwork
        from drnet_tf.sites import gate_sites

        self._site, self._sites = site, gate_sites(model)
        self._probabilities = find_classifier(model).probabilities
        self._masked = MaskedNetwork(model, batch_size)

    def __call__(
        self, images: np.ndarray, labels: np.ndarray, keep: np.ndarray
    ) -> tuple[int, float]:
        """Images classified rightly, and the mean cross-entropy in nats."""
        from drnet_tf.classifier import log_probabilities
        from drnet_tf.masks import ChannelMask

        masks = {x.name: np.ones(x.channels, bool) for x in self._sites}
        mask = ChannelMask(masks | {self._site.name: keep})
        outputs = self._masked(images, mask)
        logs = np.asarray(log_probabilities(outputs, self._probabilities))
        right = int((outputs.argmax(1) == labels).sum())
        return right, float(-logs[np.arange(len(labels)), labels].mean())

    def sample(
        self, images: np.ndarray, labels: np.ndarray, count: int
    ) -> list[float]:
        """Seconds of some evaluations, the first and its tracing left out."""
        random = np.random.default_rng(_SEED.value)
        found = []
        for _ in range(1 + count):
            keep = random.random(self._site.channels) < 0.5
            start = time.perf_counter()
            self(images, labels, keep)
            found.append(time.perf_counter() - start)
        return found[1:]

    def order(self, images: np.ndarray, labels: np.ndarray) -> list[int]:
        """The greedy order, all of its evaluations run one by one."""
        keep = np.ones(self._site.channels, bool)
        order: list[int] = []
        while keep.any():
            missed = []
            for channel in np.flatnonzero(keep):
                tried = keep.copy()
                tried[channel] = False
                right, loss = self(images, labels, tried)
                missed.append((-right, round(loss, 6), int(channel)))
            order.append(min(missed)[2])
            keep[order[-1]] = False
        return order


def _check(
    plain: Plain, model: Any, site: Any, images: np.ndarray, labels: np.ndarray
) -> dict[str, Any] | None:
    from drnet_tf.dissection.accuracy_reduction import greedy_order

    count = min(_CHECKED.value, len(images))
    if not count:
        return None
    images, labels = images[:count], labels[:count]
    start = time.perf_counter()
    expected = plain.order(images, labels)
    plain_seconds = time.perf_counter() - start
    start = time.perf_counter()
    found = greedy_order(model, site, images, labels).order.tolist()
    seconds = time.perf_counter() - start
    same = [a == b for a, b in zip(expected, found, strict=True)]
    return {
        "images": count,
        "same_order": all(same),
        "same_places": sum(same),
        "plain_seconds": plain_seconds,
        "seconds": seconds,
    }


def _load_model() -> Any:
    import keras

    from drnet_tf.digits import digits_convnet

    if _MODEL.value is None:
        return digits_convnet()
    return keras.models.load_model(_MODEL.value, compile=False)


def _load_images() -> tuple[np.ndarray, np.ndarray]:
    from drnet_tf.digits import load_digits

    if _IMAGES.value is None:
        data = load_digits("train")
        images, labels = data.images, data.labels
    else:
        with np.load(_IMAGES.value, allow_pickle=False) as file:
            images, labels = file["images"], file["labels"]
    order = np.random.default_rng(_SEED.value).permutation(len(images))
    chosen = order[: _COUNT.value]
    return images[chosen].astype(np.float32), labels[chosen]


def _print(report: dict[str, Any]) -> None:
    print(
        "{model}, {site}: {filters} filters, {images} images, {evaluations} "
        "evaluations\n"
        "greedy_order        {seconds:9.1f} s\n"
        "plain, scaled up    {plain_seconds_scaled_up:9.1f} s  from "
        "{plain_sampled} evaluations timed\n"
        "times faster        {times_faster:9.1f}\n"
        "accuracy {accuracy:.3f}, with half of the filters "
        "{accuracy_of_half:.3f}".format(**report)
    )
    check = report["check"]
    if check:
        print(
            "on {images} images, both run to the end: {plain_seconds:.1f} s "
            "against {seconds:.1f} s, ".format(**check)
            + (
                "the same order"
                if check["same_order"]
                else f"the same filter at {check['same_places']} places only"
            )
        )


def _machine() -> dict[str, Any]:
    return {
        "cpus": os.cpu_count(),
        "system": platform.platform(),
        "python": platform.python_version(),
        **{name: metadata.version(name) for name in ("keras", "tensorflow")},
    }


if __name__ == "__main__":
    app.run(main)
