"""From a dissected network to the small network of a sub-task, in one call."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

from drnet_tf.classifier import find_classifier
from drnet_tf.criteria import Criterion
from drnet_tf.fingerprints import fingerprint
from drnet_tf.graph import read_graph
from drnet_tf.importance import ChannelImportance
from drnet_tf.repair.choice import NONE
from drnet_tf.repair.cutting import Repair, check_scale
from drnet_tf.selection import MaskSelection
from drnet_tf.sites import gate_sites, sites_for
from drnet_tf.subnetworks import SubTask

__all__ = ["DRNet", "SubTask"]


class DRNet:
    """A network and its importances: gives the sub-network of any sub-task.

    Args:
      model: a Functional or Sequential classifier; it is not changed.
      importance: of this very model. If it has no fingerprint, only the sites
        are compared.

    Raises:
      TypeError: the model is subclassed, or no Keras model.
      ValueError: the importance was made from another model, or the model has
        another number of classes.

    Example:
      >>> model = keras.Sequential([
      ...     keras.Input((8, 8, 3)),
      ...     keras.layers.Conv2D(4, 3, activation="relu", name="conv"),
      ...     keras.layers.GlobalAveragePooling2D(),
      ...     keras.layers.Dense(3),
      ... ])
      >>> importance = ChannelImportance(
      ...     {"conv": np.array([[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0]])},
      ...     ("cat", "cow", "dog"),
      ...     "by hand",
      ... )
      >>> drnet = DRNet(model, importance)
      >>> subtask = drnet.subtask(("dog", "cat"), threshold=1.0)
      >>> subtask.mask["conv"].tolist(), subtask.model.output_shape
      ([True, False, True, False], (None, 2))
    """

    def __init__(
        self, model: keras.Model, importance: ChannelImportance
    ) -> None:
        gate_sites(model)  # refuses what has none
        sites = sites_for(read_graph(model), importance.channels)
        channels = {site.name: site.channels for site in sites}
        importance.check_sites(channels, model.name)
        outputs = find_classifier(model).num_classes
        if outputs != len(importance.class_names):
            raise ValueError(
                f"Model '{model.name}' has {outputs} classes, the importance "
                f"{len(importance.class_names)}; pass the model that was "
                "dissected."
            )
        if importance.fingerprint not in ("", fingerprint(model)):
            raise ValueError(
                f"Model '{model.name}': its weights or structure are not those "
                "of the model that was dissected (the fingerprints differ); "
                "pass that model, or dissect this one."
            )
        self.model = model
        self.importance = importance
        self._selection = MaskSelection(model, importance)
        self._made: dict[Any, tuple[Any, Any, SubTask]] = {}

    def subtask(
        self,
        classes: Sequence[str],
        *,
        threshold: float | None = None,
        max_parameters: int | float | None = None,
        max_macs: int | float | None = None,
        max_bytes: int | float | None = None,
        max_milliseconds: float | None = None,
        max_drop: float | None = None,
        validation_data: Any = None,
        rule: str = "union",
        round_to: int = 1,
        allocation: str = "threshold",
        repair: str = NONE,
        images: np.ndarray | None = None,
    ) -> SubTask:
        """The sub-network of some classes, by exactly one criterion.

        The lowest threshold is searched whose running parameters or MACs are
        within the limit; they are counted the paper's way
        (`costs.count_masked_costs`), as fast as a search needs. The Keras model
        can be larger where channels cannot be removed, and smaller around
        depthwise convolutions, which go with what is silent on either side: see
        `SubTask.summary`.

        Args:
          classes: names, in the order of the outputs wanted.
          threshold: on the importance, > 0.
          max_parameters, max_macs: an int is a number, a float in (0, 1] a
            fraction of the full network.
          max_bytes: of the float32 `.tflite` file, as these.
          max_milliseconds: of one image in LiteRT on this machine's CPU, with
            one thread. These two convert some ten networks.
          max_drop: of the accuracy, in percentage points; the smallest
            sub-network found within it on the validation data (see
            `budgets.smallest_mask_within_drop` for what is guaranteed).
          validation_data: for `max_drop`; not the data of the final figures.
          rule: "union" (Eq. 3) or "xor" (Eq. 4, two classes).
          round_to: every site keeps a multiple of this many channels.
          allocation: "threshold": one for the whole network, as in the paper;
            "layers": channels are taken where the layers that read them lose
            least for the parameters (or MACs) saved; "reconstruction": and of
            each site those that can be missed best, whatever the importance
            says. The last two go well with a repair.
          repair: "none", "norms", "least_squares", or "best" of these on images
            held back: how the network is made to reproduce the full one once it
            is cut, see `repair`; with `max_drop` every network that is tried is
            repaired.
          images: for the repair and these allocations, without labels,
            of these classes; by default those that the importance holds
            (`dissect(..., keep_images=100)`).

        Returns:
          The same object for the same arguments.

        Raises:
          ValueError: not exactly one criterion, a bad value of it, an unknown
            class, no sub-network that meets it, or no images where they are
            needed.
        """
        criterion = Criterion(
            threshold,
            max_parameters,
            max_macs,
            max_bytes,
            max_milliseconds,
            max_drop,
            rule,
            round_to,
            allocation,
        )
        rows = self.importance.class_rows(classes)
        # 1 and 1.0 are equal keys, but a count and a fraction.
        key = (tuple(rows), criterion, type(criterion.value), repair)
        made = self._made.get(key)
        if made and made[0] is validation_data and made[1] is images:
            return made[2]
        if images is not None and (repair, allocation) == (NONE, "threshold"):
            raise ValueError(
                "images: got some, but neither a repair nor an allocation that "
                "they are for; pass repair='least_squares', too."
            )
        own = self.importance.images_of(classes) if images is None else images
        cutter = Repair(repair, None if repair == NONE else own)
        check_scale(images, self.importance.diagnostics.get("pixels"))
        mask, measured = self._selection.find(
            classes, criterion, cutter, own, validation_data
        )
        subtask = SubTask(
            self.model,
            mask,
            self.importance.class_names,
            {criterion.name: criterion.value, **measured},
            self._selection.costs.masked(mask, len(rows)),
            cutter,
        )
        self._made[key] = (validation_data, images, subtask)
        return subtask

    def __repr__(self) -> str:
        channels = self.importance.channels
        made = len(self._made)
        return (
            f"DRNet('{self.model.name}': {len(self.importance.class_names)} "
            f"classes, {sum(channels.values())} channels at {len(channels)} "
            f"sites, {made} sub-task{'' if made == 1 else 's'} made)"
        )
