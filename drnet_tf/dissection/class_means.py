"""Means of gates over the images of a class, and what they were made of.

Sums are made batch by batch, and the batches are added up in their order: so a
mean is the same to the last bit wherever its batches were learned.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from drnet_tf.dissection.cdrp import CDRP
from drnet_tf.dissection.kept_images import PixelSums, pixel_sums
from drnet_tf.importance import Cdrps


@dataclasses.dataclass(frozen=True, eq=False)
class ClassSums:
    """Σ_i λ_i over some images of one class.

    Attributes:
      gates: `(C_l,)` float64 for each site.
      used: number of images in the sum.
    """

    gates: Mapping[str, np.ndarray]
    used: int

    def plus(self, later: ClassSums) -> ClassSums:
        """This sum and that of images behind these."""
        gates = {s: x + later.gates[s] for s, x in self.gates.items()}
        return ClassSums(gates, self.used + later.used)


@dataclasses.dataclass(frozen=True, eq=False)
class BatchNotes:
    """What is told of a batch beside its sums.

    Attributes:
      classes: `(batch,)` int64.
      flipped, kl, iteration: `(batch,)`, see `Cdrps`.
      zeros, gates: number of gates that are exactly 0, and of all.
      pixels: of its images.
    """

    classes: np.ndarray
    flipped: np.ndarray
    kl: np.ndarray
    iteration: np.ndarray
    zeros: int
    gates: int
    pixels: PixelSums


def sum_batch(
    classes: np.ndarray, images: np.ndarray, cdrps: Cdrps, method: CDRP
) -> tuple[dict[int, ClassSums], BatchNotes]:
    """Sums the gates of a batch by class, λ^c's numerator (section 3.2).

    Args:
      classes: `(batch,)` int64, the class of each image.
      images: `(batch, ...)`.
      cdrps: the gates of the images.
      method: with `on_flip="exclude"`, flipped images are left out.

    Returns:
      The sums of the classes that have images here, and the notes.
    """
    exclude = method.on_flip == "exclude"
    used = ~cdrps.flipped if exclude else np.ones(len(classes), bool)
    numbers, rows = np.unique(classes, return_inverse=True)
    sums = {}
    for site, gates in cdrps.gates.items():
        sums[site] = np.zeros((len(numbers), gates.shape[1]), np.float64)
        np.add.at(sums[site], rows[used], gates[used])
    counts = np.bincount(rows[used], minlength=len(numbers))
    by_class = {
        int(number): ClassSums(
            {site: x[row] for site, x in sums.items()}, int(counts[row])
        )
        for row, number in enumerate(numbers)
    }
    zeros = sum(int((x == 0).sum()) for x in cdrps.gates.values())
    size = sum(x.size for x in cdrps.gates.values())
    notes = BatchNotes(
        classes,
        cdrps.flipped,
        cdrps.kl,
        cdrps.iteration,
        zeros,
        size,
        pixel_sums(images),
    )
    return by_class, notes


class ClassMeans:
    """Running sums of CDRPs by class: λ^c = 1/N_c Σ_i λ_i (section 3.2).

    Args:
      iterations: T, of the method.
    """

    def __init__(self, iterations: int) -> None:
        self._iterations = iterations
        self._sums: dict[int, ClassSums] = {}
        self._notes: list[BatchNotes] = []

    @property
    def images(self) -> int:
        """Number of images added so far."""
        return sum(len(note.classes) for note in self._notes)

    def add(
        self, sums: Mapping[int, ClassSums], notes: Sequence[BatchNotes]
    ) -> None:
        """Adds batches: by class the sums of all of them, and their notes.

        Batches are added in their order.
        """
        for number, part in sums.items():
            before = self._sums.get(number)
            self._sums[number] = before.plus(part) if before else part
        self._notes.extend(notes)

    def scores(self, class_names: Sequence[str]) -> dict[str, np.ndarray]:
        """The CIVs: `(K, C_l)` float32 for each site.

        Raises:
          ValueError: every image of a class was excluded.
        """
        totals = [self._sums[number] for number in range(len(class_names))]
        for name, total in zip(class_names, totals, strict=True):
            if not total.used:
                raise ValueError(
                    f"Class '{name}': every image lost its class while its "
                    'gates were learned, and on_flip="exclude" leaves none; '
                    'pass balance="auto" or on_flip="best_iterate".'
                )
        return {
            site: np.stack([t.gates[site] / t.used for t in totals]).astype(
                np.float32
            )
            for site in totals[0].gates
        }

    def diagnostics(self, class_names: Sequence[str]) -> dict[str, Any]:
        """What the gates were made of, as JSON can hold it.

        Returns:
          "images_used" by class; "flipped_rate": images whose last state lost
          the class; "fallback_rate": images whose gates are all ones, by class
          in "fallback_rate_by_class"; "iterate_histogram": number of images by
          the number of updates (0..T) of the state that was kept; "kl": median,
          95 % quantile and maximum, in nats; "zero_gates": share of gates that
          are exactly 0; "pixels": mean and standard deviation of all pixels.
        """
        notes = self._notes
        classes = np.concatenate([x.classes for x in notes])
        iteration = np.concatenate([x.iteration for x in notes])
        fallback = iteration == 0
        kl = np.concatenate([x.kl for x in notes])
        pixels = PixelSums()
        for note in notes:
            pixels = pixels.plus(note.pixels)
        return {
            "images_used": {
                name: self._sums[number].used
                for number, name in enumerate(class_names)
            },
            "flipped_rate": float(
                np.concatenate([x.flipped for x in notes]).mean()
            ),
            "fallback_rate": float(fallback.mean()),
            "fallback_rate_by_class": {
                name: float(fallback[classes == number].mean())
                for number, name in enumerate(class_names)
            },
            "iterate_histogram": np.bincount(
                iteration, minlength=self._iterations + 1
            ).tolist(),
            "kl": {
                "median": float(np.median(kl)),
                "quantile_95": float(np.quantile(kl, 0.95)),
                "largest": float(kl.max()),
            },
            "zero_gates": sum(x.zeros for x in notes)
            / sum(x.gates for x in notes),
            "pixels": pixels.statistics(),
        }
