"""Accuracy of sub-tasks over the share of channels that they keep."""

from __future__ import annotations

from collections.abc import Sequence

import keras

from drnet_tf.costs import CostModel
from drnet_tf.importance import ChannelImportance
from drnet_tf.labeled_images import LabeledImages
from drnet_tf.masked_network import MaskedNetwork
from drnet_tf.reporting.figures import CurveSeries
from drnet_tf.survey import Survey, thresholds_for

_FRACTIONS = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95)


def accuracy_curves(
    model: keras.Model,
    importance: ChannelImportance,
    data: LabeledImages,
    subtasks: Sequence[tuple[str, ...]],
    *,
    rule: str = "union",
    fractions: Sequence[float] = _FRACTIONS,
) -> tuple[CurveSeries, ...]:
    """Evaluates some sub-tasks at thresholds that keep more and more channels.

    Args:
      model: the network; it is not changed.
      importance: its CIVs.
      data: images as the network expects them, labels numbered in the
        importance's `class_names`.
      subtasks: one line each.
      rule: see `rules.subtask_scores`.
      fractions: of the channels, in (0, 1); about so many are kept.

    Returns:
      One series a sub-task, ready for `figures.accuracy_curve`; its last point
      is the full network.

    Example:
      >>> import numpy as np
      >>> model = keras.Sequential([
      ...     keras.Input((8, 8, 1)),
      ...     keras.layers.Conv2D(2, 3, activation="relu", name="conv"),
      ...     keras.layers.GlobalAveragePooling2D(),
      ...     keras.layers.Dense(2),
      ... ])
      >>> importance = ChannelImportance(
      ...     {"conv": np.array([[1.0, 0.5], [0.5, 1.0]])},
      ...     ("a", "b"),
      ...     "by hand",
      ... )
      >>> data = LabeledImages(
      ...     np.zeros((2, 8, 8, 1), np.uint8), np.array([0, 1]), ("a", "b")
      ... )
      >>> line, = accuracy_curves(
      ...     model, importance, data, [("a", "b")], fractions=[0.5]
      ... )
      >>> line.name, line.fraction_kept[-1]
      ('a, b', 1.0)
    """
    survey = Survey(MaskedNetwork(model), CostModel(model), importance, data)
    surveys = [
        survey.run(
            thresholds_for(importance, subtasks, fraction, rule, shared=False),
            rule,
        )
        for fraction in fractions
    ]
    return tuple(
        CurveSeries(
            ", ".join(classes),
            [rows[number].channels for rows in surveys] + [1.0],
            [rows[number].accuracy for rows in surveys]
            + [surveys[0][number].full_accuracy],
        )
        for number, classes in enumerate(subtasks)
    )
