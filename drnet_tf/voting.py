"""Global voting: one threshold for all layers, low enough for a cost to fall.

White-Box (Zhang et al., arXiv 2104.11883, section "global voting"; the details
are those of its authors' code).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import keras
import numpy as np

from drnet_tf.costs import CostModel
from drnet_tf.fingerprints import fingerprint
from drnet_tf.masks import ChannelMask
from drnet_tf.sites import gate_sites

_FIRST_PERCENT = 90  # of all channels stay at first, then 1 % fewer each time


def class_sums(
    masks: Mapping[str, np.ndarray], rows: Sequence[int] | None = None
) -> dict[str, np.ndarray]:
    """The paper's score of every channel, s[c] = |Σ_k M[k, c]|.

    Args:
      masks: `(K, C_l)` by site; of signed class-wise masks, or an importance's
        scores.
      rows: of the classes that are summed; by default all.

    Returns:
      `(C_l,)` by site.

    Example:
      >>> class_sums({"relu": np.array([[1.0, 2.0], [-3.0, 0.5]])})["relu"]
      array([2. , 2.5])
    """
    chosen = slice(None) if rows is None else list(rows)
    return {site: np.abs(x[chosen].sum(0)) for site, x in masks.items()}


def vote(
    model: keras.Model,
    scores: Mapping[str, np.ndarray],
    macs_cut: float,
    *,
    floor: float = 0.3,
    class_names: Sequence[str] = (),
    coupling: str = "free",
) -> ChannelMask:
    """The mask of all classes that takes a share off the computation.

    The best r N of the N channels that vote stay, r = 0.90, 0.89, ..., and of
    every site at least `int(floor C_l)`, its best; the first r that reaches the
    cut is taken.

    Departures: ties go to the earlier site and channel, where the paper keeps
    all that tie; every site keeps one channel at least; MACs are those of
    `costs`, as a sub-network runs them. What its code does by architecture,
    such as the random channels of the last layer, is left to who calls: sites
    without scores keep all their channels.

    Args:
      model: the network that is to be pruned.
      scores: `(C_l,)` by site, higher for channels that matter more; of all
        sites or some.
      macs_cut: share of the multiply-accumulates to be saved, in (0, 1).
      floor: share of a site's channels that stay in any case, in [0, 1].
      class_names: of all outputs, for the mask.
      coupling: which sites there are, see `gate_sites`.

    Returns:
      A mask of all sites; its provenance has the "rate" r and the "macs_cut"
      that was reached.

    Raises:
      ValueError: scores of other sites or not finite, shares out of range, or
        a cut that the floor does not allow.

    Example:
      >>> model = keras.Sequential([
      ...     keras.Input((8, 8, 3)),
      ...     keras.layers.Conv2D(4, 3, activation="relu", name="conv"),
      ...     keras.layers.GlobalAveragePooling2D(),
      ...     keras.layers.Dense(10),
      ... ])
      >>> scores = {"conv": np.array([0.1, 0.4, 0.2, 0.3])}
      >>> vote(model, scores, 0.5)["conv"].tolist()
      [False, True, False, True]
    """
    sites = {s.name: s.channels for s in gate_sites(model, coupling)}
    _check(model, scores, sites, macs_cut, floor)
    costs = CostModel(model)
    voting = {site: scores[site] for site in sites if site in scores}
    pooled = np.concatenate(list(voting.values()))
    order = np.argsort(-pooled, kind="stable")
    edges = np.cumsum([x.size for x in voting.values()])[:-1]
    for percent in range(_FIRST_PERCENT, -1, -1):
        chosen = np.zeros(len(pooled), bool)
        chosen[order[: len(pooled) * percent // 100]] = True
        keep = {site: np.ones(width, bool) for site, width in sites.items()}
        for site, own in zip(voting, np.split(chosen, edges), strict=True):
            keep[site] = _with_floor(voting[site], own, floor)
        mask = ChannelMask(keep)
        reached = 1 - costs.masked(mask).macs_fraction
        if reached >= macs_cut:
            provenance = {
                "rule": "voting",
                "fingerprint": fingerprint(model),
                "rate": percent / 100,
                "macs_cut": reached,
                "floor": floor,
            }
            return ChannelMask(keep, tuple(class_names), provenance)
    raise ValueError(
        f"vote: macs_cut is {macs_cut:g}, but with a floor of {floor:g} of "
        f"every site no more than {reached:.3g} of the MACs can go; pass a "
        "lower macs_cut or floor, or scores of more sites."
    )


def _with_floor(
    scores: np.ndarray, chosen: np.ndarray, floor: float
) -> np.ndarray:
    """`(C_l,)` bool: what was chosen, or the site's best if that is too few."""
    least = max(int(floor * scores.size), 1)
    if chosen.sum() >= least:
        return chosen
    keep = np.zeros(scores.size, bool)
    keep[np.argsort(-scores, kind="stable")[:least]] = True
    return keep


def _check(
    model: keras.Model,
    scores: Mapping[str, np.ndarray],
    sites: Mapping[str, int],
    macs_cut: float,
    floor: float,
) -> None:
    if not 0 < macs_cut < 1:
        raise ValueError(
            f"vote: macs_cut is {macs_cut}, expected a share above 0 and below "
            "1, e.g. 0.5."
        )
    if not 0 <= floor <= 1:
        raise ValueError(
            f"vote: floor is {floor}, expected a share from 0 to 1, e.g. 0.3."
        )
    if not scores:
        raise ValueError("vote: got no scores, expected those of some sites.")
    for site, values in scores.items():
        shape = np.shape(values)
        if site not in sites or shape != (sites[site],):
            raise ValueError(
                f"vote: Model '{model.name}': got scores of shape {shape} for "
                f"site '{site}', expected one per channel of its sites "
                f"{dict(sites)}; see gate_sites."
            )
        if not np.isfinite(values).all():
            raise ValueError(
                f"vote: the scores of site '{site}' hold NaN or infinite "
                "values, expected finite ones; check how they were made."
            )
