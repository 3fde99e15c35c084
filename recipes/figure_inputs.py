"""What the paper's figures are drawn of: made when it is first asked for."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Sequence
from typing import TYPE_CHECKING

import data_flags

if TYPE_CHECKING:
    import keras

    from drnet_tf.importance import ChannelImportance
    from drnet_tf.labeled_images import LabeledImages
    from drnet_tf.masks import ChannelMask
    from drnet_tf.survey import Survey

Subtasks = tuple[tuple[str, ...], ...]


@dataclasses.dataclass(frozen=True)
class FigureInputs:
    """A dissected network, its images and its sub-tasks.

    Attributes:
      importance: the CIVs.
      model_path: of the network; None: that of the digits.
      subtasks: drawn of each size at most.
      test_images: drawn of each class.
      share: of the channels of pairs that a mask keeps on average.
      seed: of all draws.
    """

    importance: ChannelImportance
    model_path: str | None
    subtasks: int
    test_images: int
    share: float
    seed: int

    @functools.cached_property
    def model(self) -> keras.Model:
        """The network; CIVs of another one are refused."""
        from drnet_tf.subtasks import DRNet

        model = data_flags.network(self.model_path)
        return DRNet(model, self.importance).model

    @functools.cached_property
    def test(self) -> LabeledImages:
        """Test images."""
        return self.images(data_flags.test_split(), self.test_images)

    @functools.cached_property
    def survey(self) -> Survey:
        """Evaluates masks on the test images."""
        from drnet_tf.costs import CostModel
        from drnet_tf.masked_network import MaskedNetwork
        from drnet_tf.survey import Survey

        return Survey(
            MaskedNetwork(self.model),
            CostModel(self.model),
            self.importance,
            self.test,
        )

    @functools.cached_property
    def threshold(self) -> float:
        """That of the union rule, one for all sub-tasks."""
        return self.thresholds([self.share], "union")[0]

    def thresholds(self, shares: Sequence[float], rule: str) -> list[float]:
        """Those that keep shares of the channels of pairs on average."""
        from drnet_tf.survey import common_thresholds

        return common_thresholds(self.importance, self.drawn(2), shares, rule)

    def mask(self, classes: tuple[str, ...]) -> ChannelMask:
        """The union mask of a sub-task."""
        from drnet_tf.masks import union

        return union(self.importance, classes, self.threshold)

    def drawn(self, size: int) -> Subtasks:
        """Sub-tasks of a size."""
        from drnet_tf.subtask_draws import draw_subtasks

        names = self.importance.class_names
        return draw_subtasks(names, size, self.subtasks, self.seed)

    def images(self, split: str, count: int) -> LabeledImages:
        """Images of a split, as many of each class."""
        names = self.importance.class_names
        return data_flags.load(self.model, split, count, self.seed, names)
