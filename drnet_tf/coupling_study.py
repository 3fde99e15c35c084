"""Free against tied sites: accuracy over the parameters that really go."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import keras
import numpy as np

from drnet_tf.evaluation import subtask_accuracy
from drnet_tf.importance import ChannelImportance
from drnet_tf.labeled_images import LabeledImages
from drnet_tf.masked_network import MaskedNetwork
from drnet_tf.masks import build_mask
from drnet_tf.progress import DelayedBar
from drnet_tf.pruning import prune
from drnet_tf.survey import all_subtasks, thresholds_for

FIGURES = ("full_accuracy", "accuracy", "parameters", "macs", "removed")


def compare_couplings(
    model: keras.Model,
    importances: Mapping[str, ChannelImportance],
    test: LabeledImages,
    kept_fractions: Sequence[float],
    rule: str,
) -> dict[str, Any]:
    """Prunes a network for all pairs of classes, by its free and tied sites.

    Args:
      model: the network; it is not changed.
      importances: its CIVs by coupling, "free" and "tied".
      test: test images, as the network expects them, labels numbered in the
        importances' `class_names`.
      kept_fractions: of the gates, in (0, 1), that thresholds keep.
      rule: see `rules.subtask_scores`.

    Returns:
      By coupling: "rows", one for each pair and fraction, and "curve", their
      means by fraction. Of a row: the classes, "full_accuracy" and "accuracy"
      under the masked softmax, "parameters" and "macs" of the pruned network,
      its head cut to the pair, as fractions of the full network's, and
      "removed", the share of the masked channels that is really gone.
    """
    results: dict[str, Any] = {}
    network = MaskedNetwork(model)
    for coupling, importance in importances.items():
        rows = list(
            _rows(model, network, importance, test, kept_fractions, rule)
        )
        results[coupling] = {
            "rows": rows,
            "curve": [_means(kept, rows) for kept in kept_fractions],
        }
    return results


def _rows(
    model: keras.Model,
    network: MaskedNetwork,
    importance: ChannelImportance,
    test: LabeledImages,
    kept_fractions: Sequence[float],
    rule: str,
) -> Iterator[dict[str, Any]]:
    pairs = all_subtasks(importance.class_names, 2)
    full = network(test.images)
    bar = DelayedBar(len(pairs) * len(kept_fractions), "network")
    done = 0
    for kept in kept_fractions:
        thresholds = thresholds_for(importance, pairs, kept, rule, shared=False)
        for classes, threshold in thresholds.items():
            mask = build_mask(importance, classes, threshold, rule=rule)
            numbers = importance.class_rows(classes)
            own = np.isin(test.labels, numbers)
            scores = network(test.images[own], mask)
            report = prune(model, mask, classes=numbers, dry_run=True).report
            macs = report.macs_after or 0, report.macs_before or 1
            done += 1
            bar.update(done)
            yield {
                "kept_fraction": kept,
                "classes": list(classes),
                "full_accuracy": subtask_accuracy(full, test.labels, numbers),
                "accuracy": subtask_accuracy(scores, test.labels[own], numbers),
                "parameters": report.parameters_after
                / report.parameters_before,
                "macs": macs[0] / macs[1],
                "removed": report.masked_removed / max(report.masked, 1),
            }


def _means(kept: float, rows: Sequence[dict[str, Any]]) -> dict[str, float]:
    own = [row for row in rows if row["kept_fraction"] == kept]
    means = {
        name: float(np.mean([row[name] for row in own])) for name in FIGURES
    }
    return {"kept_fraction": kept, **means}
