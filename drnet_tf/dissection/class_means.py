"""Means of gates over the images of a class, and what they were made of."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from drnet_tf.dissection.cdrp import CDRP
from drnet_tf.importance import Cdrps


class ClassMeans:
    """Running sums of CDRPs by class: λ^c = 1/N_c Σ_i λ_i (section 3.2).

    Args:
      num_classes: K.
      method: with `on_flip="exclude"`, flipped images are left out of N_c.
    """

    def __init__(self, num_classes: int, method: CDRP) -> None:
        self._excludes = method.on_flip == "exclude"
        self._sums: dict[str, np.ndarray] = {}
        self._zeros = 0
        self._gates = 0
        self._used = np.zeros(num_classes, np.int64)
        self._histogram = np.zeros(method.iterations + 1, np.int64)
        self._classes: list[np.ndarray] = []
        self._flipped: list[np.ndarray] = []
        self._fallback: list[np.ndarray] = []
        self._kl: list[np.ndarray] = []

    @property
    def images(self) -> int:
        """Number of images added so far."""
        return int(self._histogram.sum())

    def add(self, classes: np.ndarray, cdrps: Cdrps) -> None:
        """Adds the gates of a batch.

        Args:
          classes: `(batch,)` int64, the class of each image.
          cdrps: its gates.
        """
        used = ~cdrps.flipped if self._excludes else np.ones(len(classes), bool)
        np.add.at(self._used, classes[used], 1)
        for site, gates in cdrps.gates.items():
            if site not in self._sums:
                shape = (len(self._used), gates.shape[1])
                self._sums[site] = np.zeros(shape, np.float64)
            np.add.at(self._sums[site], classes[used], gates[used])
            self._zeros += int((gates == 0).sum())
            self._gates += gates.size
        np.add.at(self._histogram, cdrps.iteration, 1)
        self._classes.append(classes)
        self._flipped.append(cdrps.flipped)
        self._fallback.append(cdrps.iteration == 0)
        self._kl.append(cdrps.kl)

    def scores(self, class_names: Sequence[str]) -> dict[str, np.ndarray]:
        """The CIVs: `(K, C_l)` float32 for each site.

        Raises:
          ValueError: every image of a class was excluded.
        """
        empty = np.flatnonzero(self._used == 0)
        if len(empty):
            raise ValueError(
                f"Class '{class_names[empty[0]]}': every image lost its class "
                'while its gates were learned, and on_flip="exclude" leaves '
                'none; pass balance="auto" or on_flip="best_iterate".'
            )
        return {
            site: (sums / self._used[:, None]).astype(np.float32)
            for site, sums in self._sums.items()
        }

    def diagnostics(self, class_names: Sequence[str]) -> dict[str, Any]:
        """What the gates were made of, as JSON can hold it.

        Returns:
          "images_used" by class; "flipped_rate": images whose last state lost
          the class; "fallback_rate": images whose gates are all ones, by class
          in "fallback_rate_by_class"; "iterate_histogram": number of images by
          the number of updates (0..T) of the state that was kept; "kl": median,
          95 % quantile and maximum, in nats; "zero_gates": share of gates that
          are exactly 0.
        """
        classes = np.concatenate(self._classes)
        fallback = np.concatenate(self._fallback)
        kl = np.concatenate(self._kl)
        return {
            "images_used": dict(
                zip(class_names, self._used.tolist(), strict=True)
            ),
            "flipped_rate": float(np.concatenate(self._flipped).mean()),
            "fallback_rate": float(fallback.mean()),
            "fallback_rate_by_class": {
                name: float(fallback[classes == number].mean())
                for number, name in enumerate(class_names)
            },
            "iterate_histogram": self._histogram.tolist(),
            "kl": {
                "median": float(np.median(kl)),
                "quantile_95": float(np.quantile(kl, 0.95)),
                "largest": float(kl.max()),
            },
            "zero_gates": self._zeros / self._gates,
        }
