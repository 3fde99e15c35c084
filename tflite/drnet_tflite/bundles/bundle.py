"""`Bundle`: one full network, out of which any sub-task is cut."""

from __future__ import annotations

import json
import mmap
import os
import zipfile
import zlib
from collections.abc import Sequence
from typing import Any

import numpy as np

from drnet_tflite.bundles.decoding import read_plan
from drnet_tflite.bundles.errors import BundleError
from drnet_tflite.bundles.plan import PROVENANCE_NAME, Plan
from drnet_tflite.bundles.selection import Limit, Selection, select
from drnet_tflite.bundles.slicing import cut


class Bundle:
    """A bundle that `write_bundle` wrote, open for reading.

    Its checksums of the network and of the plan are checked; `verify` checks
    that of the weights, too. The file is mapped: what is not asked for is not
    read.

    Args:
      path: the file.

    Raises:
      BundleError: it is missing, damaged, no bundle, or of a newer version.

    Example:
      >>> bundle = Bundle("pets.tflite")  # doctest: +SKIP
      >>> small = bundle.extract(["cat", "dog"], kept_fraction=0.3)
      ... # doctest: +SKIP
      >>> Interpreter(model_content=small)  # doctest: +SKIP
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = os.fspath(path)
        try:
            with open(self.path, "rb") as file:
                self.data = memoryview(
                    mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
                )
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or "it is empty"
            raise BundleError(
                f"Bundle '{self.path}': cannot be read ({reason}); check the "
                "path."
            ) from error
        try:
            self.plan: Plan = read_plan(self.data)
        except BundleError as error:
            raise BundleError(
                f"Bundle '{self.path}': {error}; write or copy it again."
            ) from error

    @property
    def class_names(self) -> tuple[str, ...]:
        """The classes that may be asked for."""
        return self.plan.class_names

    @property
    def size(self) -> int:
        """Bytes of the file."""
        return len(self.data)

    @property
    def identity(self) -> str:
        """Tells bundles apart: hex digits of all that cutting reads."""
        plan = self.plan
        checksums = plan.skeleton_crc, plan.vectors_crc, self._footer_crc()
        return "".join(f"{x:08x}" for x in checksums)

    @property
    def provenance(self) -> dict[str, Any]:
        """What is known of the network and of its importances.

        Raises:
          BundleError: that part is damaged.
        """
        try:
            with zipfile.ZipFile(self.path) as archive:
                return json.loads(archive.read(PROVENANCE_NAME))
        except (OSError, KeyError, ValueError, zipfile.BadZipFile) as error:
            raise BundleError(
                f"Bundle '{self.path}': its provenance is damaged ({error}); "
                "write or copy it again."
            ) from error

    def verify(self) -> None:
        """Checks the weights, too.

        Raises:
          BundleError: they are damaged.
        """
        plan = self.plan
        weights = self.data[plan.skeleton_bytes : plan.vectors_end]
        if zlib.crc32(weights) != plan.vectors_crc:
            raise BundleError(
                f"Bundle '{self.path}': its weights are damaged (wrong "
                "checksum); copy it again."
            )

    def select(
        self,
        classes: Sequence[str],
        *,
        threshold: float | None = None,
        kept_fraction: float | None = None,
        max_parameters: int | None = None,
        rule: str = "union",
        round_to: int = 8,
    ) -> Selection:
        """The channels that `extract` with the same arguments keeps."""
        limit = Limit(threshold, kept_fraction, max_parameters)
        return select(self.plan, classes, rule, limit, round_to)

    def extract(
        self,
        classes: Sequence[str],
        *,
        threshold: float | None = None,
        kept_fraction: float | None = None,
        max_parameters: int | None = None,
        rule: str = "union",
        round_to: int = 8,
    ) -> bytes:
        """The bytes of a sub-task's `.tflite` file, its labels included.

        Args:
          classes: the sub-task, in the order of its outputs.
          threshold: keeps channels with this score or a higher one; or
          kept_fraction: at most this share of the channels; or
          max_parameters: as many channels as fit.
          rule: how the classes' scores are combined: "union", "xor", "mean".
          round_to: channels of a group are rounded up to a multiple of it with
            the next best ones, as kernels are fast on multiples of 8.

        Raises:
          BundleError: the request does not fit the bundle.
        """
        selection = self.select(
            classes,
            threshold=threshold,
            kept_fraction=kept_fraction,
            max_parameters=max_parameters,
            rule=rule,
            round_to=round_to,
        )
        return cut(self.data, self.plan, selection)

    def mask(self, selection: Selection) -> dict[str, np.ndarray]:
        """By site of the Keras model the channels that are kept, bool."""
        kept = [np.zeros(width, bool) for width in self.plan.widths]
        for keep, channels in zip(kept, selection.kept, strict=True):
            keep[channels] = True
        sites = self.provenance["sites"]
        return {
            site: np.array([x is None or kept[x[0]][x[1]] for x in entries])
            for site, entries in sites.items()
        }

    def _footer_crc(self) -> int:
        return int.from_bytes(self.data[-4:], "little")
