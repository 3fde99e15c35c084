"""White-Box as the paper has it: weights and class-wise masks trained together.

From masks and trained network on: `voting.vote(model, class_sums(masks), ...)`
says which channels stay, `scale_folding.fold_scales` hands the masks over to
the weights, `prune` makes the small network, and training goes on without
masks.
"""

from __future__ import annotations

import dataclasses
import functools
import os
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

from drnet_tf.augmentation import shift_and_flip
from drnet_tf.classifier import find_classifier
from drnet_tf.datasets import batches
from drnet_tf.dissection.class_mask_epochs import KeptEpoch, run_epochs
from drnet_tf.dissection.class_mask_network import ClassMaskNetwork
from drnet_tf.dissection.class_masks import ClassMasks
from drnet_tf.fingerprints import fingerprint
from drnet_tf.image_axes import channel_axis
from drnet_tf.scale_folding import foldable_sites
from drnet_tf.work_folders import digest_of

_READ = 256  # images read at a time


@dataclasses.dataclass(frozen=True, eq=False)
class ClassMaskTraining:
    """A network that was trained with class-wise masks.

    Attributes:
      model: a trained copy, without masks. Its answers mean little before the
        masks are handed over, as its channels were trained with gates.
      masks: M_l by site, `(K, C_l)` float32, signed.
      losses: the mean loss of each epoch.
    """

    model: keras.Model
    masks: dict[str, np.ndarray]
    losses: list[float]

    def scales(self) -> dict[str, np.ndarray]:
        """`(C_l,)` by site: 1/2 Σ_k M[k, c], which the weights take over.

        About the mean gate of an image of class y, M[y, c] + 1/2 Σ_{k != y}
        M[k, c].
        """
        return {site: x.sum(0) / 2 for site, x in self.masks.items()}


def train_with_class_masks(
    model: keras.Model,
    dataset: Any,
    settings: ClassMasks | None = None,
    *,
    sites: Sequence[str] | None = None,
    coupling: str = "free",
    batch_size: int = 256,
    augment: bool = True,
    seed: int = 0,
    work_dir: str | os.PathLike[str] | None = None,
    progress: bool = True,
) -> ClassMaskTraining:
    """Trains a network's weights and class-wise masks together.

    The loss is that of `ClassMaskNetwork`. Norms and dropout are in training.
    The paper starts from a network that was never trained; so does this, if
    `model` is one.

    Departures: masks stand after the activation, where the paper's residual
    networks have them in front of the block's first norm; images are shifted by
    an eighth with mirrored borders (the paper: zeros). They are held in memory.

    Args:
      model: where training starts; it is not changed.
      dataset: images as the network expects them, and labels numbered as its
        outputs; see `datasets.batches`.
      settings: see `ClassMasks`.
      sites: names of those that get masks; by default all whose masks can be
        handed over to weights (`scale_folding.foldable_sites`): in residual
        networks the inner ones, as in the paper.
      coupling: which sites there are, see `gate_sites`.
      batch_size: images of an update.
      augment: whether images are shifted and mirrored.
      seed: of order, draws, augmentation and dropout; same seed, same bytes.
      work_dir: folder where the state after each epoch is kept; a stopped run
        that is started again with the same arguments goes on there.
      progress: whether to show a bar if it takes long.

    Raises:
      TypeError, ValueError: a model without sites or class scores, unknown
        sites, images or labels that are not valid, masks that do not stay
        finite, a work_dir of another run.
    """
    settings = settings or ClassMasks()
    _check_batch_size(batch_size)
    masked = foldable_sites(model, coupling) if sites is None else tuple(sites)
    network = ClassMaskNetwork(
        model,
        masked=masked,
        coupling=coupling,
        train_weights=True,
        seed=seed,
        **settings.optimiser(),
    )
    classes = find_classifier(model).num_classes
    pairs = batches(dataset, _READ, num_classes=classes)
    images, labels = map(np.concatenate, zip(*pairs, strict=True))
    plan = {
        "method": {"name": settings.name, **dataclasses.asdict(settings)},
        "model": fingerprint(model),
        "sites": list(masked),
        "coupling": coupling,
        "seed": seed,
        "images": digest_of(images),
        "labels": digest_of(labels),
        "batch_size": batch_size,
        "augment": augment,
    }
    moves = functools.partial(shift_and_flip, axis=channel_axis(model))
    losses = run_epochs(
        network,
        images,
        labels,
        epochs=settings.epochs,
        batch_size=batch_size,
        seed=seed,
        augment=moves if augment and images.ndim == 4 else None,
        kept=None if work_dir is None else KeptEpoch(work_dir, plan),
        progress=progress,
    )
    return ClassMaskTraining(network.model, network.masks(), losses)


def _check_batch_size(batch_size: int) -> None:
    if batch_size < 1:
        raise ValueError(
            f"train_with_class_masks: batch_size is {batch_size}, expected 1 "
            "or more."
        )
