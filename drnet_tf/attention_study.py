"""What a network looks at, full and cut for a sub-task: many Grad-CAMs."""

from __future__ import annotations

import dataclasses
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import keras
import numpy as np

from drnet_tf.classifier import find_classifier, log_probabilities
from drnet_tf.dissection.baselines import random_importance
from drnet_tf.grad_cam import grad_cam, last_map_site, overlap, spread
from drnet_tf.graph_building import run_untraced
from drnet_tf.importance import ChannelImportance
from drnet_tf.labeled_images import LabeledImages
from drnet_tf.masks import ChannelMask
from drnet_tf.pruning import PrunedModel, prune
from drnet_tf.repair.repair import repair_all
from drnet_tf.width_masks import mask_of_widths

FULL, SUB, RANDOM = "full", "sub-network", "random channels"
FIGURES = ("accuracy", "probability", "spread", "overlap", "empty")
_READ = 100  # images run at a time


@dataclasses.dataclass(frozen=True, eq=False)
class Attention:
    """What one network looks at in the images of a sub-task.

    Attributes:
      maps: `(N, rows, columns)`, the Grad-CAM of each image's own class.
      probabilities: `(N,)` of that class under the masked softmax.
      right: `(N,)` bool, whether it is the most probable one.
    """

    maps: np.ndarray
    probabilities: np.ndarray
    right: np.ndarray


class AttentionStudy:
    """Compares what sub-networks look at with what the full network does.

    Beside the network of a mask stands one of random channels, as many at
    every site: what both have in common is no work of the choice of channels.

    Args:
      model: the full network; it is not changed.
      importance: its CIVs.
      images: test images, labels numbered in `importance.class_names`.
      site: whose maps are read; None: `grad_cam.last_map_site`.
      repair_images: training images, for `repair`.
      repair: "none", or a method of `repair.repair`.
      seed: of the random channels, and of a repair.
    """

    def __init__(
        self,
        model: keras.Model,
        importance: ChannelImportance,
        images: LabeledImages,
        *,
        site: str | None = None,
        repair_images: LabeledImages | None = None,
        repair: str = "none",
        seed: int = 0,
    ) -> None:
        self._model, self._importance = model, importance
        self._images, self._repair_images = images, repair_images
        self._repair, self._seed = repair, seed
        self._random = random_importance(importance, seed)
        self.site = last_map_site(model).name if site is None else site

    def attentions(
        self, classes: Sequence[str], mask: ChannelMask
    ) -> dict[str, Attention]:
        """What three networks look at, FULL, SUB and RANDOM.

        The images are those of `images.of_classes(classes)`, in their order.

        Args:
          classes: the sub-task.
          mask: of its sub-network.
        """
        rows = self._importance.class_rows(classes)
        own = self._images.of_classes(classes)
        labels = np.array([rows.index(x) for x in own.labels.tolist()])
        by_lot = mask_of_widths(self._random, classes, mask.widths)
        pruned = [prune(self._model, x, classes=rows) for x in (mask, by_lot)]
        sub, random = (x.model for x in self._mended(classes, pruned))
        return {
            name: self._attention(network, own.images, labels, columns)
            for name, network, columns in (
                (FULL, self._model, rows),
                (SUB, sub, range(len(rows))),
                (RANDOM, random, range(len(rows))),
            )
        }

    def _mended(
        self, classes: Sequence[str], networks: Sequence[PrunedModel]
    ) -> Sequence[PrunedModel]:
        if self._repair == "none" or self._repair_images is None:
            return networks
        with warnings.catch_warnings():
            # Late layers of small images have few places: known, and held.
            warnings.simplefilter("ignore", UserWarning)
            return repair_all(
                [(network, self._repair) for network in networks],
                self._model,
                self._repair_images.of_classes(classes).images,
                seed=self._seed,
                progress=False,
            )

    def _attention(
        self,
        network: keras.Model,
        images: np.ndarray,
        labels: np.ndarray,
        columns: Sequence[int],
    ) -> Attention:
        outputs = run_untraced(network, images, _READ)
        logs = keras.ops.convert_to_numpy(
            log_probabilities(outputs, find_classifier(network).probabilities)
        )[:, list(columns)]
        logs = logs - np.logaddexp.reduce(logs, axis=1, keepdims=True)
        return Attention(
            grad_cam(network, images, np.asarray(columns)[labels], self.site),
            np.exp(logs[np.arange(len(labels)), labels]),
            logs.argmax(axis=1) == labels,
        )


def measure(
    attentions: Mapping[str, Attention],
) -> dict[str, dict[str, float | None]]:
    """The figures of a sub-task.

    Args:
      attentions: of `AttentionStudy.attentions`.

    Returns:
      By network: the "accuracy" and the mean "probability" of the right class;
      the mean "spread" of its maps and their mean "overlap" with the full
      network's, see `grad_cam`, each over the images where both have a map;
      "empty", the share of images where the network has none, as nothing
      speaks for their class. None where no image is left.
    """
    full = attentions[FULL].maps
    found = {}
    for name, own in attentions.items():
        common = overlap(full, own.maps)
        both = ~np.isnan(common)
        found[name] = {
            "accuracy": float(own.right.mean()),
            "probability": float(own.probabilities.mean()),
            "spread": _mean(spread(own.maps[both])),
            "overlap": _mean(common[both]),
            "empty": float((own.maps.max(axis=(1, 2)) <= 0).mean()),
        }
    return found


def mean_figures(
    rows: Sequence[Mapping[str, Mapping[str, float | None]]],
) -> list[dict[str, Any]]:
    """Means over sub-tasks.

    Args:
      rows: of `measure`, at least one.

    Returns:
      For each "network" one row of `FIGURES`; None is left out.
    """
    return [
        {
            "network": name,
            **{
                figure: _mean(
                    np.array(
                        [
                            value
                            for row in rows
                            if (value := row[name][figure]) is not None
                        ]
                    )
                )
                for figure in FIGURES
            },
        }
        for name in rows[0]
    ]


def _mean(values: np.ndarray) -> float | None:
    return float(values.mean()) if values.size else None
