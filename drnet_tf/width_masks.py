"""Masks with a given number of channels at every site."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from drnet_tf.importance import ChannelImportance
from drnet_tf.masks import ChannelMask
from drnet_tf.names import check_channels
from drnet_tf.rules import subtask_scores


def mask_of_widths(
    importance: ChannelImportance,
    classes: Sequence[str],
    widths: Mapping[str, int],
    rule: str = "mean",
) -> ChannelMask:
    """Keeps the best channels of every site, as many as asked for.

    Args:
      importance: scores by class.
      classes: the sub-task.
      widths: channels to keep by site, from 0 to the site's own.
      rule: how classes are combined, see `rules.subtask_scores`.

    Returns:
      A mask; ties go to the lower index.

    Raises:
      ValueError: an unknown class or rule, other sites, or a width that a site
        does not have.

    Example:
      >>> importance = ChannelImportance(
      ...     {"relu": np.array([[0.9, 0.0, 0.1]])}, ("cat",), "by hand"
      ... )
      >>> mask_of_widths(importance, ("cat",), {"relu": 2})["relu"].tolist()
      [True, False, True]
    """
    return masks_of_widths(importance, classes, rule)(widths)


def masks_of_widths(
    importance: ChannelImportance, classes: Sequence[str], rule: str = "mean"
) -> Callable[[Mapping[str, int]], ChannelMask]:
    """`mask_of_widths` for many widths of one sub-task, ranked once.

    Args:
      importance, classes, rule: see there.
    """
    scores = subtask_scores(importance, classes, rule)
    # The place of every channel in its site, 0 for the best.
    places = {
        site: np.argsort(np.argsort(-own, kind="stable"))
        for site, own in scores.items()
    }

    def mask_of(widths: Mapping[str, int]) -> ChannelMask:
        check_channels(
            "widths",
            dict.fromkeys(widths, 0),
            dict.fromkeys(places, 0),
            "given",
        )
        for site, own in places.items():
            if not 0 <= widths[site] <= own.size:
                raise ValueError(
                    f"widths, site '{site}': got {widths[site]} channels, "
                    f"expected 0 to {own.size}."
                )
        return ChannelMask(
            {site: own < widths[site] for site, own in places.items()},
            tuple(classes),
            {
                "method": importance.method,
                "fingerprint": importance.fingerprint,
                "rule": rule,
                "widths": dict(widths),
            },
        )

    return mask_of


def full_mask(channels: Mapping[str, int]) -> ChannelMask:
    """Keeps everything: for networks of which only the classifier is cut.

    Args:
      channels: number of every site.

    Example:
      >>> full_mask({"relu": 4})
      ChannelMask(4 of 4 channels kept (100.0 %), 1 site)
    """
    return ChannelMask({site: np.ones(n, bool) for site, n in channels.items()})
