"""The journal of a long repair: a stopped run goes on where it was."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import keras
import numpy as np

from drnet_tf.artifacts import load_arrays, save_arrays
from drnet_tf.repair.plan import Refit
from drnet_tf.repair.report import LayerRepair
from drnet_tf.work_folders import open_work_folder

_KIND = "repaired_layer"


class Journal:
    """Keeps the weights of every layer that is refitted.

    Args:
      folder: made if it does not exist.
      plan: what decides the results: networks, images, settings.

    Raises:
      ValueError: the folder holds another run, or cannot be written.
    """

    def __init__(
        self, folder: str | os.PathLike[str], plan: Mapping[str, Any]
    ) -> None:
        self._folder = open_work_folder(folder, plan)

    def load(self, number: int, refit: Refit) -> LayerRepair | None:
        """Gives a layer, and the norm that took its bias, their weights.

        Args:
          number: of the layer.
          refit: its place in the network, whose layers change.

        Returns:
          What was done then; None if the layer is not done yet.
        """
        path = self._path(number)
        if not path.exists():
            return None
        arrays, header = load_arrays(path, _KIND)
        for name, variable in _variables(refit).items():
            variable.assign(arrays[name])
        return LayerRepair(**header["layer"])

    def save(self, number: int, refit: Refit, done: LayerRepair) -> None:
        """Keeps a layer that was refitted."""
        arrays = {
            name: np.asarray(keras.ops.convert_to_numpy(x), "float32")
            for name, x in _variables(refit).items()
        }
        header = {"layer": dataclasses.asdict(done)}
        save_arrays(self._path(number), arrays, header, _KIND)

    def _path(self, number: int) -> Path:
        return self._folder / f"layer_{number:05d}.safetensors"


def _variables(refit: Refit) -> dict[str, keras.Variable]:
    found = {
        f"weight_{number}": x
        for number, x in enumerate(refit.call.operation.weights)
    }
    if refit.norm is not None:
        found["norm"] = refit.norm.operation.moving_mean
    return found
