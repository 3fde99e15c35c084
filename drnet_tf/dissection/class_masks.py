"""Class-wise masks: the dissection of White-Box channel pruning.

Every site l has a matrix M_l, `(K, C_l)`, of ones at first. An image of class y
is gated by

    g = d^T M_l,   d[y] = 1,   d[k] ~ Uniform[0, 1) for k != y,

drawn anew for every image, site and update, and SGD with momentum minimises

    CE + λ Σ_l ‖Σ_k M_l[k]‖₂ + w/2 Σ θ²

(Zhang et al., "Carrying out CNN channel pruning in a white box", arXiv
2104.11883, sections "class-wise mask" and "class-wise regularisation"; the
details are those of its authors' code).
"""

from __future__ import annotations

import dataclasses
from typing import Any, ClassVar

import numpy as np

from drnet_tf.dissection.class_mask_epochs import KeptEpoch, run_epochs
from drnet_tf.dissection.class_mask_network import ClassMaskNetwork
from drnet_tf.dissection.method import Problem
from drnet_tf.fingerprints import fingerprint
from drnet_tf.scale_folding import foldable_sites
from drnet_tf.work_folders import digest_of


@dataclasses.dataclass(frozen=True)
class ClassMasks:
    """Settings of class-wise masks; the defaults are those of VGG16 there.

    As a method of `dissect` only the masks are trained, on the network as it
    is; `class_mask_training.train_with_class_masks` trains weights and masks
    together, as the paper does.

    The importance of channel c for class k is |M_l[k, c]|: for one class that
    is the paper's score |Σ_k M_l[k, c]|, which `voting.class_sums` takes over
    all of them.

    Departures:
      * Weights are frozen and norms run as at inference, so the draws are
        divided by their mean sum, (K + 1) / 2: gates start at 1 on average,
        where the paper leaves the factor to the next norm.
      * An update takes the `batch_size` images of `dissect` (the paper: 256),
        and an epoch goes through the images that were drawn, which are held in
        memory, float32.
      * λ is 1e-4, the default of the authors' code; their script for VGG16 has
        0.01, with which layers may empty.
      * Masks stand after the activation; the paper's residual networks have
        them before the first norm of a block. As there, sums have none
        (`scale_folding.foldable_sites`): drawn anew at each of them, gates
        would multiply along the stream. Channels of such sites score 1, like a
        mask at the start.

    Attributes:
      epochs: passes over the images.
      learning_rate: of SGD, constant.
      momentum: of SGD.
      sparsity: λ, weight of the norm of the masks' class sums.
      weight_decay: w, on all that is trained.

    Example:
      >>> ClassMasks(epochs=5).sparsity
      0.0001
    """

    name: ClassVar[str] = "class_masks"

    epochs: int = 30
    learning_rate: float = 0.1
    momentum: float = 0.9
    sparsity: float = 1e-4
    weight_decay: float = 5e-4

    def __post_init__(self) -> None:
        _require(self.epochs >= 1, "epochs", self.epochs, "1 or more")
        _require(
            self.learning_rate > 0, "learning_rate", self.learning_rate, "> 0"
        )
        _require(0 <= self.momentum < 1, "momentum", self.momentum, "in [0, 1)")
        _require(self.sparsity >= 0, "sparsity", self.sparsity, ">= 0")
        _require(
            self.weight_decay >= 0, "weight_decay", self.weight_decay, ">= 0"
        )

    def optimiser(self) -> dict[str, Any]:
        """The settings of the updates, as `ClassMaskNetwork` takes them."""
        names = ("learning_rate", "momentum", "sparsity", "weight_decay")
        return {name: getattr(self, name) for name in names}

    def scores(
        self, problem: Problem
    ) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
        """Trains the masks on the drawn images.

        Returns:
          |M_l| by site, ones where no mask stands; and "loss", the mean of
          every epoch, and "negative", the share of the masks' entries below 0.
          There is no accuracy: gates need the label, and give it away.

        Raises:
          ValueError: the network reads more than images, no site can have a
            mask, or the masks are not finite any more.
        """
        network = ClassMaskNetwork(
            problem.model,
            masked=_masked(problem),
            coupling=problem.coupling,
            train_weights=False,
            seed=problem.seed,
            # By name: classes in another order are drawn for alike.
            columns=np.argsort(np.argsort(problem.class_names)).tolist(),
            **self.optimiser(),
        )
        images, labels = map(np.concatenate, zip(*problem.images, strict=True))
        losses = run_epochs(
            network,
            images,
            labels,
            epochs=self.epochs,
            batch_size=problem.batch_size,
            seed=problem.seed,
            kept=self._kept(problem, images),
            progress=problem.progress,
        )
        masks = network.masks()
        entries = np.concatenate([mask.ravel() for mask in masks.values()])
        open_sites = {
            site.name: np.ones((network.num_classes, site.channels), "float32")
            for site in problem.sites
        }
        scores = {site: np.abs(mask) for site, mask in masks.items()}
        return (
            open_sites | scores,
            {"loss": losses, "negative": float((entries < 0).mean())},
        )

    def _kept(self, problem: Problem, images: np.ndarray) -> KeptEpoch | None:
        if problem.work_dir is None:
            return None
        plan = {
            "method": {"name": self.name, **dataclasses.asdict(self)},
            "model": fingerprint(problem.model),
            "coupling": problem.coupling,
            "class_names": list(problem.class_names),
            "seed": problem.seed,
            "images": digest_of(images),
            "batch_size": problem.batch_size,
        }
        return KeptEpoch(problem.work_dir, plan)


def _masked(problem: Problem) -> tuple[str, ...]:
    names = foldable_sites(problem.model, problem.coupling)
    if not names:
        raise ValueError(
            f"ClassMasks: model '{problem.model.name}' has no channels that "
            "one norm or convolution makes, expected some, where masks stand; "
            "take another method."
        )
    return names


def _require(holds: bool, name: str, got: Any, expected: str) -> None:
    if not holds:
        raise ValueError(
            f"ClassMasks: {name}: got {got!r}, expected {expected}."
        )
