"""The epochs of class-wise masks: order, draws, and where a run goes on."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from drnet_tf.artifacts import load_arrays, save_arrays
from drnet_tf.dissection.class_mask_network import ClassMaskNetwork
from drnet_tf.progress import DelayedBar
from drnet_tf.work_folders import open_work_folder

_KIND = "class_mask_epoch"
Augment = Callable[[np.ndarray, np.random.Generator], np.ndarray]


def run_epochs(
    network: ClassMaskNetwork,
    images: np.ndarray,
    labels: np.ndarray,
    *,
    epochs: int,
    batch_size: int,
    seed: int,
    augment: Augment | None = None,
    kept: KeptEpoch | None = None,
    progress: bool = True,
) -> list[float]:
    """Trains for some epochs, each image once an epoch, in random order.

    Every epoch has random numbers of its own, so a run that goes on where it
    was stopped gives the same bytes as one that was not.

    Args:
      network: what is trained.
      images: `(N, ...)` as it expects them.
      labels: `(N,)` int.
      epochs: 1 or more.
      batch_size: images of an update; the last ones of an epoch may be fewer.
      seed: of order, draws and augmentation.
      augment: images, generator -> images of the same shape.
      kept: where the state after each epoch is kept.
      progress: whether to show a bar if it takes long.

    Returns:
      The mean loss of each epoch.

    Raises:
      ValueError: the masks are not finite after an epoch.
    """
    losses = kept.restore(network) if kept else []
    bar = DelayedBar(epochs * len(images), "image") if progress else None
    for epoch in range(len(losses), epochs):
        generator = np.random.default_rng([seed, epoch])
        order = generator.permutation(len(images))
        total = 0.0
        for start in range(0, len(order), batch_size):
            rows = order[start : start + batch_size]
            x, y = images[rows], labels[rows]
            if augment is not None:
                x = augment(x, generator)
            loss = network.step(x, y, network.draw(y, generator))
            total += loss * len(rows)
            if bar:
                bar.update(epoch * len(images) + start + len(rows))
        _check_finite(network, epoch)
        losses.append(total / len(images))
        if kept:
            kept.save(network, losses)
    if bar:
        bar.close()
    return losses


class KeptEpoch:
    """Keeps the state after the last epoch in a folder.

    Args:
      folder: made if it does not exist.
      plan: what decides the results, as JSON can hold it.

    Raises:
      ValueError: the folder holds another run, or cannot be written.
    """

    def __init__(
        self, folder: str | os.PathLike[str], plan: Mapping[str, Any]
    ) -> None:
        self._path: Path = open_work_folder(folder, plan) / "epoch.safetensors"

    def restore(self, network: ClassMaskNetwork) -> list[float]:
        """Brings the network to the state kept; gives the losses so far."""
        if not self._path.exists():
            return []
        arrays, header = load_arrays(self._path, _KIND)
        network.restore([arrays[name] for name in sorted(arrays)])
        return list(header["losses"])

    def save(self, network: ClassMaskNetwork, losses: list[float]) -> None:
        """Replaces what was kept."""
        arrays = {f"{i:06d}": x for i, x in enumerate(network.state())}
        save_arrays(self._path, arrays, {"losses": losses}, _KIND)


def _check_finite(network: ClassMaskNetwork, epoch: int) -> None:
    for site, mask in network.masks().items():
        if not np.isfinite(mask).all():
            raise ValueError(
                f"ClassMasks, site '{site}': got masks that are not finite "
                f"after epoch {epoch + 1}, expected finite ones; pass a lower "
                "learning_rate."
            )
