"""Which channels a sub-task keeps: one boolean per channel (CCIV)."""

from __future__ import annotations

import dataclasses
import math
import os
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from drnet_tf.artifacts import load_arrays, refusing_damage, save_arrays
from drnet_tf.importance import ChannelImportance
from drnet_tf.names import check_channels, check_class_names
from drnet_tf.rules import subtask_scores

KIND = "channel_mask"


@dataclasses.dataclass(frozen=True, eq=False)
class ChannelMask:
    """One boolean per channel of every site: keep it, or silence it (CCIV).

    Attributes:
      keep: `(C_l,)` bool for each site, in graph order. A site may be all
        False: then the whole layer is silent.
      class_names: classes of the sub-task, in the order of its outputs.
      provenance: how the mask was made, as far as known: "method",
        "fingerprint", "rule", "threshold", "round_to", and "rescued", the
        channel by site that was kept so that a layer is not empty.

    Raises:
      ValueError: no site, or an array that is not boolean `(C_l,)`.

    Example:
      >>> mask = ChannelMask({"relu": np.array([True, False, True, False])})
      >>> mask
      ChannelMask(2 of 4 channels kept (50.0 %), 1 site)
      >>> mask["relu"].tolist()
      [True, False, True, False]
    """

    keep: Mapping[str, np.ndarray]
    class_names: tuple[str, ...] = ()
    provenance: Mapping[str, Any] = dataclasses.field(default_factory=dict)

    def __post_init__(self) -> None:
        keep = {}
        for site, values in self.keep.items():
            array = np.array(values)
            if array.dtype != np.bool_ or array.ndim != 1 or array.size == 0:
                raise ValueError(
                    f"ChannelMask, site '{site}': got shape {array.shape} and "
                    f"dtype {array.dtype}, expected booleans of shape "
                    "(channels,); convert with astype(bool)."
                )
            array.setflags(write=False)
            keep[site] = array
        if not keep:
            raise ValueError(
                "ChannelMask: got no site, expected the booleans of at least "
                "one."
            )
        object.__setattr__(self, "keep", keep)
        object.__setattr__(
            self,
            "class_names",
            check_class_names("ChannelMask", self.class_names),
        )
        object.__setattr__(self, "provenance", dict(self.provenance))

    def __getitem__(self, site: str) -> np.ndarray:
        return self.keep[site]

    @property
    def sites(self) -> tuple[str, ...]:
        """Names of the sites, in graph order."""
        return tuple(self.keep)

    @property
    def channels(self) -> dict[str, int]:
        """The full width C_l of every site."""
        return {site: x.size for site, x in self.keep.items()}

    @property
    def widths(self) -> dict[str, int]:
        """The number of channels kept at every site."""
        return {site: int(x.sum()) for site, x in self.keep.items()}

    @property
    def kept(self) -> int:
        """Number of channels kept at all sites."""
        return sum(self.widths.values())

    @property
    def total(self) -> int:
        """Number of channels of all sites."""
        return sum(self.channels.values())

    @property
    def kept_fraction(self) -> float:
        """Kept channels of all sites as a fraction of all, in [0, 1]."""
        return self.kept / self.total

    def same_channels(self, other: ChannelMask) -> bool:
        """Whether both keep the same channels, whatever their provenance."""
        return self.keep.keys() == other.keep.keys() and all(
            np.array_equal(self[site], other[site]) for site in self.keep
        )

    def check_sites(self, channels: Mapping[str, int], model_name: str) -> None:
        """Refuses a model with other sites; see `check_channels`."""
        check_channels("mask", self.channels, channels, model_name)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Saves as safetensors; the same content gives the same bytes.

        Raises:
          ValueError: `path` cannot be written.
        """
        header = {
            "sites": self.sites,
            "class_names": self.class_names,
            "provenance": self.provenance,
        }
        save_arrays(path, self.keep, header, KIND)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> ChannelMask:
        """Loads what `save` wrote.

        Raises:
          ValueError: the file is missing, damaged or holds something else.
        """
        arrays, header = load_arrays(path, KIND)
        with refusing_damage(path, KIND):
            keep = {site: arrays[site] for site in header["sites"]}
            names = tuple(header["class_names"])
            return cls(keep, names, header["provenance"])

    def __repr__(self) -> str:
        classes = f", classes {self.class_names}" if self.class_names else ""
        return (
            f"ChannelMask({self.kept} of {self.total} channels kept "
            f"({100 * self.kept_fraction:.1f} %), {len(self.keep)} "
            f"site{'' if len(self.keep) == 1 else 's'}{classes})"
        )


def union(
    importance: ChannelImportance,
    classes: Sequence[str],
    threshold: float,
    *,
    round_to: int = 1,
) -> ChannelMask:
    """Keeps the channels that matter to any class of the sub-task.

    Λ^C[j] = 1 if max over c in C of λ^c[j] >= threshold (Eq. 3 of DRNet).

    Args:
      importance: the CIVs λ^c.
      classes: the sub-task C, any number of known classes.
      threshold: > 0, in the unit of the scores; compared in float32.
      round_to: every site keeps a multiple of this many channels, rounded up
        with the next best ones (never above its width); 1 leaves all as is.

    Returns:
      A mask without empty sites: one that would lose its last channel keeps
      its best (`provenance["rescued"]`). Ties go to the lower index.

    Raises:
      ValueError: an unknown class, a threshold that is not above 0 or keeps
        nothing at any site, or `round_to` below 1.

    Example:
      >>> importance = ChannelImportance(
      ...     {"relu": np.array([[0.9, 0.0, 0.1], [0.0, 0.0, 0.4]])},
      ...     class_names=("cat", "dog"),
      ...     method="by hand",
      ... )
      >>> union(importance, ("cat", "dog"), 0.2)["relu"].tolist()
      [True, False, True]
      >>> union(importance, ("cat",), 0.2)["relu"].tolist()
      [True, False, False]
    """
    return build_mask(
        importance, classes, threshold, rule="union", round_to=round_to
    )


def xor(
    importance: ChannelImportance,
    classes: Sequence[str],
    threshold: float,
    *,
    round_to: int = 1,
) -> ChannelMask:
    """Keeps the channels that tell two classes apart.

    Λ^C[j] = 1 if |λ^a[j] - λ^b[j]| >= threshold (Eq. 4 of DRNet).

    Args:
      importance: the CIVs λ^c.
      classes: the sub-task (a, b), two known classes.
      threshold, round_to: as for `union`.

    Returns:
      A mask as from `union`.

    Raises:
      ValueError: not two classes, or as for `union`.

    Example:
      >>> importance = ChannelImportance(
      ...     {"relu": np.array([[0.9, 0.5, 0.1], [0.0, 0.5, 0.4]])},
      ...     class_names=("cat", "dog"),
      ...     method="by hand",
      ... )
      >>> xor(importance, ("cat", "dog"), 0.2)["relu"].tolist()
      [True, False, True]
    """
    return build_mask(
        importance, classes, threshold, rule="xor", round_to=round_to
    )


def build_mask(
    importance: ChannelImportance,
    classes: Sequence[str],
    threshold: float,
    *,
    rule: str = "union",
    round_to: int = 1,
) -> ChannelMask:
    """The mask of a sub-task by the rule of that name: `union` or `xor`."""
    scores = subtask_scores(importance, classes, rule)
    round_to = check_round_to(round_to)
    limit = _check_threshold(threshold)
    keep = {site: x >= limit for site, x in scores.items()}
    if not any(x.any() for x in keep.values()):
        largest = max(x.max() for x in scores.values())
        raise ValueError(
            f"Sub-task {tuple(classes)}: the threshold {threshold:g} keeps no "
            f"channel at any site, the largest {rule} score is {largest:.6g}; "
            "pass a lower threshold."
        )
    empty = [site for site, x in keep.items() if not x.any()]
    rescued = {site: int(scores[site].argmax()) for site in empty}
    return ChannelMask(
        {
            site: _keep_best(scores[site], max(int(x.sum()), 1), round_to)
            for site, x in keep.items()
        },
        tuple(classes),
        {
            "method": importance.method,
            "fingerprint": importance.fingerprint,
            "rule": rule,
            "threshold": float(threshold),
            "round_to": round_to,
            "rescued": rescued,
        },
    )


def _keep_best(scores: np.ndarray, count: int, round_to: int) -> np.ndarray:
    count = min(math.ceil(count / round_to) * round_to, scores.size)
    keep = np.zeros(scores.size, bool)
    keep[np.argsort(-scores, kind="stable")[:count]] = True
    return keep


def _check_threshold(threshold: float) -> np.float32:
    with np.errstate(over="ignore", under="ignore"):
        limit = np.float32(threshold if is_number(threshold) else np.nan)
    if not limit > 0 or not np.isfinite(limit):
        raise ValueError(
            f"threshold: got {threshold!r}, expected a finite number above 0 "
            "(at 0 every channel would be kept, also those of importance 0)."
        )
    return limit


def check_round_to(round_to: float) -> int:
    """Refuses what is no whole number of channels, 1 or more; 2.0 is 2."""
    if not is_number(round_to) or not round_to >= 1 or round_to % 1 != 0:
        raise ValueError(
            f"round_to: got {round_to!r}, expected a whole number of channels, "
            "1 or more."
        )
    return int(round_to)


def is_number(value: Any) -> bool:
    """Whether it is a real number, Python's, NumPy's or an array without axes;
    no text and no truth value.
    """
    return np.ndim(value) == 0 and np.asarray(value).dtype.kind in "uif"
