"""A bundle in the making: planned, written, proved."""

from __future__ import annotations

from pathlib import Path

import keras
import numpy as np

from drnet_tf.fingerprints import fingerprint
from drnet_tf.free_sites import GateSite
from drnet_tf.graph import read_graph
from drnet_tf.importance import ChannelImportance
from drnet_tf.sites import sites_for
from drnet_tf.version import VERSION
from drnet_tflite.bundle_report import BundleReport
from drnet_tflite.bundles.bundle import Bundle
from drnet_tflite.parity import random_images
from drnet_tflite.planning.bundle_check import check_bundle
from drnet_tflite.planning.channel_labels import ChannelLabels
from drnet_tflite.planning.file_model import FileModel
from drnet_tflite.planning.groups import SitePlace
from drnet_tflite.planning.planner import BundlePlanner, Classes, PlaceSites
from drnet_tflite.planning.scores import Scores, store_scores
from drnet_tflite.planning.site_tensors import find_sites, place_sites, steps

_PIXELS = 128  # random bytes below it: images of no great contrast


class Draft:
    """A bundle of a network and its importance.

    Args:
      model: the Keras model; it is not changed.
      importance: of its free or tied sites.
      content: of its `.tflite` file.
      float_content: of its float32 file; the same if that is the format.

    Raises:
      ValueError: what cannot be sliced exactly, by name.
    """

    def __init__(
        self,
        model: keras.Model,
        importance: ChannelImportance,
        content: bytes,
        float_content: bytes,
    ) -> None:
        sites = sites_for(read_graph(model), importance.channels)
        channels = {site.name: site.channels for site in sites}
        importance.check_sites(channels, model.name)
        self._model, self._importance = model, importance
        self._content, self._images = content, _images(model, content)
        self._planner = BundlePlanner(
            content,
            _places_of(model, sites, float_content),
            [self._images[:1], self._images[1:]],
        )
        self._scores: Scores

    def bundle(self, encoding: str, classes: Classes) -> bytes:
        """The bundle's bytes; can be asked for once.

        Args:
          encoding: of the scores.
          classes: see there.
        """
        groups = self._planner.groups
        self._scores = store_scores(
            self._importance, groups.entries, groups.widths, encoding
        )
        provenance = {
            "package": VERSION,
            "model": self._model.name,
            "fingerprint": fingerprint(self._model),
            "method": self._importance.method,
            "config": dict(self._importance.config),
            "score_loss": self._scores.loss,
            "sites": groups.entries,
        }
        return self._planner.write(self._scores, encoding, classes, provenance)

    def report(self, path: Path, file: Path, quantization: str) -> BundleReport:
        """Compares sub-networks with the masked file, and tells all.

        Args:
          path: that the bundle will have.
          file: that holds it.
          quantization: of the file.
        """
        groups = self._planner.groups
        return BundleReport(
            path=str(path),
            bytes=file.stat().st_size,
            quantization=quantization,
            channels=sum(groups.widths),
            frozen={
                site: gates.count(None)
                for site, gates in groups.entries.items()
                if None in gates
            },
            folds=tuple(self._planner.constants),
            score_loss=self._scores.loss,
            max_difference=check_bundle(
                Bundle(file),
                self._content,
                groups,
                self._images,
                plain=quantization == "float16",
            ),
        )


def _images(model: keras.Model, content: bytes) -> np.ndarray:
    """Two random images of the file's input type."""
    images = random_images(model, 2)
    file = FileModel(content)
    if file.dtype(file.inputs[0]).kind == "f":
        return images
    return np.random.default_rng(0).integers(0, _PIXELS, images.shape)


def _places_of(
    model: keras.Model, sites: tuple[GateSite, ...], float_content: bytes
) -> PlaceSites:
    """Finds the sites in the float32 file, to place them in another."""
    file = FileModel(float_content)
    made = find_sites(model, sites, file)
    shapes = [file.shape(x) for x in steps(file)]

    def place(other: FileModel, labels: ChannelLabels) -> list[SitePlace]:
        return place_sites(sites, made, shapes, other, labels)

    return place
