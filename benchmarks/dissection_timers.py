"""Times a network, the learning of its gates, and plain loops that do so."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable
from typing import Any

import numpy as np

_KEPT_FRACTIONS = (0.25, 0.5, 0.75)


class Timers:
    """Everything that is timed, compiled and warmed up.

    Attributes:
      loops: what learns the gates of one image, by framework.
      skipped: why a framework has no loop.
      differences: greatest difference of a loop's gates to the library's; None
        if every image lost its class, for which the library gives ones.
    """

    def __init__(
        self,
        model: Any,
        images: np.ndarray,
        *,
        iterations: int,
        forwards: int,
        loop_images: int,
    ) -> None:
        from drnet_tf.dissection import autodiff
        from drnet_tf.dissection.cdrp import CDRP, GateLearner

        self._model, self._images = model, images
        self._forwards, self._loop_images = forwards, loop_images
        self._forward = autodiff.compiled(
            lambda x: model(x, training=False), [(None, *images.shape[1:])]
        )
        self._learn = GateLearner(model, CDRP(iterations, balance=1.0))
        self._learn_bfloat16 = GateLearner(
            model,
            CDRP(iterations, balance=1.0, dtype_policy="mixed_bfloat16"),
        )
        for learn in (self._learn, self._learn_bfloat16):
            learn(images[:2])
        self.loops: dict[str, Any] = {}
        self.skipped: dict[str, str] = {}
        self.differences: dict[str, float | None] = {}
        if loop_images:
            self._prepare_loops(iterations)

    def _prepare_loops(self, iterations: int) -> None:
        from one_image_loops import Settings, tensorflow_loop, torch_loop

        from drnet_tf.dissection.cdrp import CDRP, GateLearner

        settings = Settings(iterations)
        last = CDRP(iterations, balance=1.0, on_flip="ones")
        few = self._images[: self._loop_images]
        expected = GateLearner(self._model, last)(few)
        gates = np.concatenate(list(expected.gates.values()), axis=1)
        for name, make in (
            ("tensorflow", tensorflow_loop),
            ("torch", torch_loop),
        ):
            try:
                loop = make(self._model, settings)
            except (ImportError, ValueError) as error:
                self.skipped[name] = str(error)
                continue
            self.loops[name] = loop
            found = np.stack([loop(few[i : i + 1]) for i in range(len(few))])
            kept = ~expected.flipped  # of the others the library gives ones
            self.differences[name] = (
                float(np.abs(found - gates)[kept].max()) if kept.any() else None
            )

    def run(self, sizes: list[int]) -> dict[str, Any]:
        """Images a second of everything, once."""
        found: dict[str, Any] = {"forward": {}, "learning": {}, "loops": {}}
        for size in sizes:
            batch = self._images[:size]
            before = self._forward_rate(batch)
            found["learning"][size] = _rate(
                functools.partial(self._learn, batch), size
            )
            after = self._forward_rate(batch)
            found["forward"][size] = 2 / (1 / before + 1 / after)
        best = max(sizes, key=lambda size: found["learning"][size])
        found["best"] = best
        batch = self._images[:best]
        found["bfloat16"] = _rate(lambda: self._learn_bfloat16(batch), best)
        count = min(self._loop_images, len(self._images))
        for name, loop in self.loops.items():
            found["loops"][name] = _rate(
                functools.partial(_one_at_a_time, loop, self._images[:count]),
                count,
            )
        return found

    def _forward_rate(self, batch: np.ndarray) -> float:
        from keras import ops

        tensor = ops.convert_to_tensor(batch)

        def forward(times: int) -> None:
            for _ in range(times):
                ops.convert_to_numpy(self._forward(tensor))

        forward(1)  # what is made at the first batch of a size is not timed
        times = self._forwards
        return _rate(functools.partial(forward, times), times * len(batch))

    def agreement(self, images: np.ndarray) -> dict[str, Any]:
        """How far gates and masks of bfloat16 are those of float32."""
        exact, rough = (
            np.concatenate(list(learn(images).gates.values()), axis=1)
            for learn in (self._learn, self._learn_bfloat16)
        )
        classes = np.argmax(self._model.predict_on_batch(images), axis=1)
        return {
            "images": len(images),
            "classes": len(np.unique(classes)),
            "zero_gates_agree": float(((exact == 0) == (rough == 0)).mean()),
            "masks_agree": {
                f"{kept:g} kept": float(
                    (
                        _union_mask(exact, classes, kept)
                        == _union_mask(rough, classes, kept)
                    ).mean()
                )
                for kept in _KEPT_FRACTIONS
            },
        }


def _union_mask(
    gates: np.ndarray, classes: np.ndarray, kept: float
) -> np.ndarray:
    """The union of all classes' CIVs at the threshold that keeps `kept`."""
    rows = [gates[classes == c].mean(axis=0) for c in np.unique(classes)]
    scores = np.max(rows, axis=0)
    mask = np.zeros(scores.size, bool)
    mask[np.argsort(-scores, kind="stable")[: round(kept * scores.size)]] = True
    return mask


def _one_at_a_time(loop: Callable[[np.ndarray], Any], images: Any) -> None:
    for i in range(len(images)):
        loop(images[i : i + 1])


def _rate(work: Callable[[], Any], images: int) -> float:
    start = time.perf_counter()
    work()
    return images / (time.perf_counter() - start)
