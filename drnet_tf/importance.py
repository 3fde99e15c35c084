"""How much every channel matters to every class: the CIVs, as plain arrays."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from drnet_tf.artifacts import load_arrays, refusing_damage, save_arrays
from drnet_tf.names import check_channels, check_class_names, class_rows

KIND = "channel_importance"
_IMAGES = "(images)"  # no site's name: those are layers' names
# A mean over images of gates that were clipped to zero is exactly zero; the
# bound only keeps rounding of other methods out.
NONZERO = 1e-8


@dataclasses.dataclass(frozen=True, eq=False)
class Cdrps:
    """The critical data routing paths λ_i of N images: all gates of each.

    Attributes:
      gates: `(N, C_l)` float32 for each site, finite.
      flipped: `(N,)` bool, whether the last state's top-1 class was another
        one than the network's.
      kl: `(N,)` float32, divergence in nats from the image's original output.
      iteration: `(N,)` int32, number of updates of the iterate that was kept.

    Raises:
      ValueError: shapes do not agree, or a gate is not finite.
    """

    gates: Mapping[str, np.ndarray]
    flipped: np.ndarray
    kl: np.ndarray
    iteration: np.ndarray

    def __post_init__(self) -> None:
        gates = {
            site: _matrix(f"Cdrps: gates of site '{site}'", values, "images")
            for site, values in self.gates.items()
        }
        if not gates:
            raise ValueError(
                "Cdrps: got no site, expected the gates of at least one."
            )
        object.__setattr__(self, "gates", gates)
        for name, dtype in (
            ("flipped", np.bool_),
            ("kl", np.float32),
            ("iteration", np.int32),
        ):
            value = _read_only(getattr(self, name), dtype)
            object.__setattr__(self, name, value)
            for site, matrix in gates.items():
                if value.shape != (len(matrix),):
                    raise ValueError(
                        f"Cdrps: {name} has shape {value.shape}, the gates of "
                        f"site '{site}' are of {len(matrix)} images; pass one "
                        "entry per image."
                    )

    def __len__(self) -> int:
        return len(self.flipped)


@dataclasses.dataclass(frozen=True, eq=False)
class ChannelImportance:
    """The importance λ^c of every channel to every class (CIV).

    For CDRP the row of class c is the mean of its images' gates,
    λ^c = 1/N_c Σ_i λ_i (DRNet section 3.2); other methods put their own score
    there, higher for channels that matter more.

    Attributes:
      scores: `(K, C_l)` float32 for each site, in graph order; finite.
      class_names: the K classes, one per row; unique.
      method: name of the method that made the scores.
      config: the method's settings.
      diagnostics: what the method tells about its run.
      fingerprint: of the model, see `drnet_tf.fingerprints`; "" if unknown.
      images: `(K, n, ...)` float16, float32 where that is too small, some
        images of each class as the network expects them, for a repair without
        other images; None: none were kept.

    Raises:
      ValueError: shapes do not agree, a score or an image is not finite, or
        class names are missing or not unique.

    Example:
      >>> importance = ChannelImportance(
      ...     {"relu": np.array([[0.9, 0.0, 0.1], [0.0, 0.0, 0.4]])},
      ...     class_names=("cat", "dog"),
      ...     method="by hand",
      ... )
      >>> importance
      ChannelImportance(2 classes, 1 site, 3 channels, method='by hand')
      >>> importance.similarity().tolist()
      [[1.0, 0.5], [0.5, 1.0]]
    """

    scores: Mapping[str, np.ndarray]
    class_names: tuple[str, ...]
    method: str
    config: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    diagnostics: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    fingerprint: str = ""
    images: np.ndarray | None = None

    def __post_init__(self) -> None:
        names = check_class_names("ChannelImportance", self.class_names)
        if not names:
            raise ValueError(
                "ChannelImportance: got no class names, expected one per row "
                "of the scores."
            )
        scores = {}
        for site, values in self.scores.items():
            where = f"ChannelImportance: scores of site '{site}'"
            scores[site] = _matrix(where, values, "classes")
            if len(scores[site]) != len(names):
                raise ValueError(
                    f"{where} have {len(scores[site])} rows, expected one for "
                    f"each of the {len(names)} class names."
                )
        if not scores:
            raise ValueError(
                "ChannelImportance: got no site, expected the scores of at "
                "least one."
            )
        object.__setattr__(self, "class_names", names)
        object.__setattr__(self, "scores", scores)
        object.__setattr__(self, "config", dict(self.config))
        object.__setattr__(self, "diagnostics", dict(self.diagnostics))
        if self.images is not None:
            images = _checked_images(self.images, len(names))
            object.__setattr__(self, "images", images)

    @property
    def channels(self) -> dict[str, int]:
        """The width C_l of every site."""
        return {site: x.shape[1] for site, x in self.scores.items()}

    def class_rows(self, classes: Sequence[str]) -> list[int]:
        """The rows of some classes, in the order asked for.

        Args:
          classes: names, at least one, each once.

        Raises:
          ValueError: a name is unknown or stands twice, or there is none.
        """
        return class_rows(classes, self.class_names)

    def similarity(self, share: float = 1.0) -> np.ndarray:
        """How alike the channels of two classes are, `(K, K)` float64.

        IoU_ab = |A and B| / |A or B|, where A and B are the channels over all
        sites whose score for class a and class b is above 1e-8 (Eq. 5 of
        DRNet): 0 for disjoint ones, 1 for equal ones and on the diagonal. Two
        classes without any such channel are equal.

        Over many images nearly every channel gets some gate from one of them,
        and Eq. 5 is 1 for all classes; their best channels still differ.

        Args:
          share: of all channels, in (0, 1]: only so many of the highest scores
            of each class count, of equal ones those that stand first.

        Raises:
          ValueError: another share.
        """
        if not 0 < share <= 1:
            raise ValueError(
                f"similarity: share: got {share!r}, expected a part of the "
                "channels, above 0 and at most 1."
            )
        scores = np.concatenate(list(self.scores.values()), axis=1)
        best = np.argsort(-scores, axis=1, kind="stable")
        best = best[:, : max(1, round(share * scores.shape[1]))]
        used = np.zeros(scores.shape)
        np.put_along_axis(used, best, 1.0, axis=1)
        used[scores <= NONZERO] = 0.0
        both = used @ used.T
        size = np.diag(both)
        either = size[:, None] + size[None, :] - both
        return np.divide(both, either, out=np.ones_like(both), where=either > 0)

    def images_of(self, classes: Sequence[str]) -> np.ndarray | None:
        """The images that were kept of some classes, `(N, ...)` float32.

        Returns:
          None if no images were kept.
        """
        if self.images is None:
            return None
        kept = self.images[self.class_rows(classes)]
        return kept.reshape(-1, *kept.shape[2:]).astype(np.float32)

    def check_sites(self, channels: Mapping[str, int], model_name: str) -> None:
        """Refuses a model with other sites; see `check_channels`."""
        check_channels("importance", self.channels, channels, model_name)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Saves as safetensors; the same content gives the same bytes.

        Raises:
          ValueError: `path` cannot be written.
        """
        header = {
            "sites": list(self.scores),
            "class_names": self.class_names,
            "method": self.method,
            "config": self.config,
            "diagnostics": self.diagnostics,
            "fingerprint": self.fingerprint,
        }
        arrays = dict(self.scores)
        if self.images is not None:
            header["images"] = _IMAGES
            arrays[_IMAGES] = self.images
        save_arrays(path, arrays, header, KIND)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> ChannelImportance:
        """Loads what `save` wrote.

        Raises:
          ValueError: the file is missing, damaged or holds something else.
        """
        arrays, header = load_arrays(path, KIND)
        with refusing_damage(path, KIND):
            return cls(
                {site: arrays[site] for site in header["sites"]},
                tuple(header["class_names"]),
                header["method"],
                header["config"],
                header["diagnostics"],
                header["fingerprint"],
                arrays[header["images"]] if "images" in header else None,
            )

    def __repr__(self) -> str:
        sites = len(self.scores)
        return (
            f"ChannelImportance({len(self.class_names)} classes, {sites} "
            f"site{'' if sites == 1 else 's'}, {sum(self.channels.values())} "
            f"channels, method={self.method!r})"
        )


def _matrix(where: str, values: np.ndarray, rows: str) -> np.ndarray:
    matrix = np.asarray(values)
    if (
        matrix.ndim != 2
        or matrix.shape[1] == 0
        or matrix.dtype.kind not in ("biuf")
    ):
        raise ValueError(
            f"{where} have shape {matrix.shape} and dtype {matrix.dtype}, "
            f"expected numbers of shape ({rows}, channels)."
        )
    matrix = _read_only(matrix, np.float32)
    if not np.isfinite(matrix).all():
        row, channel = np.argwhere(~np.isfinite(matrix))[0]
        raise ValueError(
            f"{where} hold {matrix[row, channel]} at row {row}, channel "
            f"{channel}, expected finite numbers."
        )
    return matrix


def _checked_images(values: Any, classes: int) -> np.ndarray:
    """As float16, or as float32 where float16 has no such numbers."""
    images = np.asarray(values)
    numeric = images.dtype.kind in "biuf"
    if not numeric or images.ndim < 3 or len(images) != classes:
        raise ValueError(
            f"ChannelImportance: images have shape {images.shape} and dtype "
            f"{images.dtype}, expected numbers, some images for each of the "
            f"{classes} classes: (classes, n, ...)."
        )
    if not np.isfinite(images).all():
        raise ValueError(
            "ChannelImportance: images hold NaN or infinite values (float16 "
            "ends at 65,504), expected finite numbers; scale or mend them."
        )
    fits = np.abs(images).max(initial=0) <= np.finfo(np.float16).max
    return _read_only(images, np.float16 if fits else np.float32)


def _read_only(values: Any, dtype: Any) -> np.ndarray:
    array = np.array(values, dtype)
    array.setflags(write=False)
    return array
