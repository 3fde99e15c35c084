"""The small network of a sub-task, with its mask, its figures and its files."""

from __future__ import annotations

import functools
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import keras

from drnet_tf.artifacts import check_writable, write_json, write_together
from drnet_tf.cost_records import MaskedCosts
from drnet_tf.costs import count_costs
from drnet_tf.criteria import RECONSTRUCTION
from drnet_tf.deployment import load_drnet_tflite
from drnet_tf.evaluation import Evaluation, evaluate
from drnet_tf.masks import ChannelMask
from drnet_tf.pruning import PrunedModel, PruneReport
from drnet_tf.repair.cutting import Repair
from drnet_tf.repair.report import RepairedModel, RepairReport
from drnet_tf.version import VERSION


class SubTask:
    """The small network of some classes, cut from a full one.

    Made by `DRNet.subtask`. The network itself is built, and repaired, when
    `model`, `report`, `evaluate`, `save` or `to_tflite` is used first, and
    kept.

    Attributes:
      mask: the channels that it keeps.
      classes: its classes, in the order of its outputs.
      class_names: all classes of the full network.
      criterion: what was asked for, e.g. {"max_drop": 0.5}, and what the search
        measured: "full_accuracy" and "accuracy" on the validation data.
      costs: what it runs of the full network, counted the paper's way.
      repair: how the network is repaired once it is cut.
    """

    def __init__(
        self,
        full_model: keras.Model,
        mask: ChannelMask,
        class_names: tuple[str, ...],
        criterion: Mapping[str, Any],
        costs: MaskedCosts,
        repair: Repair | None = None,
    ) -> None:
        self._full_model = full_model
        self.mask = mask
        self.classes = mask.class_names
        self.class_names = class_names
        self.criterion = dict(criterion)
        self.costs = costs
        self.repair = repair or Repair()

    @property
    def model(self) -> keras.Model:
        """The sub-network: plain Keras layers, one output per class."""
        return self.pruned.model

    @property
    def report(self) -> PruneReport:
        """What was removed, and what stayed and why."""
        return self.pruned.report

    @property
    def repair_report(self) -> RepairReport | None:
        """What repair did to every layer; None without one."""
        pruned = self.pruned
        return pruned.repair if isinstance(pruned, RepairedModel) else None

    @functools.cached_property
    def pruned(self) -> PrunedModel:
        """The sub-network as `prune` and `repair` give it: for `finetune`."""
        return self.repair.cut(
            self._full_model, self.mask, self.classes, self.class_names
        )

    def evaluate(self, dataset: Any) -> Evaluation:
        """Evaluates the sub-network on its classes.

        Args:
          dataset: labels numbered in the full network's `class_names`; see
            `evaluation.evaluate`. Images of other classes are skipped.
        """
        return evaluate(
            self.model,
            dataset,
            self.classes,
            self.class_names,
            output_classes=self.classes,
        )

    def as_dict(self) -> dict[str, Any]:
        """Settings and figures, as `save` writes them to `subtask.json`."""
        small, done = count_costs(self.model), self.repair_report
        return {
            "package_version": VERSION,
            "model": self._full_model.name,
            "classes": list(self.classes),
            "class_names": list(self.class_names),
            "criterion": self.criterion,
            "mask": self.mask.provenance,
            "running": {
                "channels": self.costs.channels,
                "channels_fraction": self.costs.channels_fraction,
                "parameters": self.costs.parameters,
                "parameters_fraction": self.costs.parameters_fraction,
                "macs": self.costs.macs,
                "macs_fraction": self.costs.macs_fraction,
            },
            "sub_network": {
                "parameters": small.parameters,
                "macs": small.macs,
                "bytes": small.bytes,
            },
            "report": self.report.as_dict(),
            "repair": done.as_dict() if done else None,
        }

    def summary(self) -> str:
        """The sub-task in a few lines of text.

        "Running" counts are the paper's (see `costs.count_masked_costs`);
        "sub-network" counts are those of the Keras model, which can be larger
        where a channel could not be removed and is silenced.
        """
        origin, costs = self.mask.provenance, self.costs
        small = count_costs(self.model)
        asked = ", ".join(f"{k} {v:g}" for k, v in self.criterion.items())
        how = "channels allocated to layers"
        if origin.get("method") == RECONSTRUCTION:
            how = "channels chosen by reconstruction"
        if "threshold" in origin:
            how = f"threshold {origin['threshold']:g}"
            how += f", round_to {origin['round_to']}"
        lines = [
            f"Sub-task {', '.join(self.classes)} of '{self._full_model.name}'",
            f"  asked for    {asked}",
            f"  mask         {origin['rule']} of {origin['method']}, {how}",
            _line("channels", costs.channels, costs.channels_full),
            _line("parameters", costs.parameters, costs.parameters_full),
            _line("MACs", costs.macs, costs.macs_full),
            f"  sub-network  {small.parameters:,} parameters, {small.macs:,} "
            f"MACs, {small.bytes:,} bytes as float32",
        ]
        for site, channel in origin.get("rescued", {}).items():
            lines.append(
                f"  kept         channel {channel} of '{site}', below the "
                "threshold: the best of a layer that would be empty"
            )
        done = self.repair_report
        if done:
            lines.append(
                f"  repaired     by {done.method} with {done.images:,} images: "
                f"{len(done.layers)} layers, {len(done.norms)} norms"
            )
        stay = self.report.masked - self.report.masked_removed
        if stay:
            lines.append(
                f"  silenced     {stay:,} of {self.report.masked:,} masked "
                "channels cannot be removed and are made zero: see report"
            )
        return "\n".join(lines)

    def save(self, folder: str | os.PathLike[str]) -> None:
        """Writes `model.keras`, `mask.safetensors` and `subtask.json`.

        Args:
          folder: made if it is missing (its parent must exist). If anything
            cannot be made, files of the same names stay as they are.

        Raises:
          ValueError: the folder cannot be made or written.
        """
        folder = Path(folder)
        is_new = not folder.exists()
        check_writable(folder if is_new else folder / "subtask.json")
        figures = self.as_dict()
        folder.mkdir(exist_ok=True)
        try:
            write_together(
                {
                    folder / "model.keras": self.model.save,
                    folder / "mask.safetensors": self.mask.save,
                    folder / "subtask.json": lambda file: write_json(
                        file, figures
                    ),
                }
            )
        except BaseException:
            if is_new:
                folder.rmdir()
            raise

    def to_tflite(self, path: str | os.PathLike[str], **options: Any) -> Any:
        """Converts the sub-network to TFLite; its classes are the labels.

        The labels lie in the file itself: `drnet_tflite.read_labels(path)`.

        Args:
          path: the `.tflite` file to write.
          **options: as of `drnet_tflite.convert`, such as `quantization`.

        Returns:
          What `drnet_tflite.convert` returns.

        Raises:
          ImportError: the converter is not installed.
        """
        drnet_tflite = load_drnet_tflite("SubTask.to_tflite")
        return drnet_tflite.convert(
            self.model, path, **{"labels": self.classes, **options}
        )

    def __repr__(self) -> str:
        return (
            f"SubTask({', '.join(self.classes)}: "
            f"{100 * self.costs.channels_fraction:.1f} % of the channels, "
            f"{100 * self.costs.parameters_fraction:.1f} % of the parameters)"
        )


def _line(what: str, count: int, full: int) -> str:
    share = f"({100 * count / full:.1f} %)"
    return f"  {what:<12} {count:,} of {full:,} running {share}"
