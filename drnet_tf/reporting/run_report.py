"""Measures the sub-networks of a run and writes its folder: page and files."""

from __future__ import annotations

import importlib.metadata
import platform
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from drnet_tf.artifacts import write_json
from drnet_tf.costs import count_costs
from drnet_tf.fingerprints import fingerprint
from drnet_tf.fronts import FrontPoint
from drnet_tf.labeled_images import LabeledImages
from drnet_tf.pruning import prune
from drnet_tf.reporting.comparison import compare
from drnet_tf.reporting.output_folder import folder_names
from drnet_tf.reporting.run_page import run_page
from drnet_tf.reporting.sections import class_clusters, shown_similarity
from drnet_tf.subtasks import DRNet, SubTask
from drnet_tf.version import VERSION

_PACKAGES = ("tensorflow", "keras", "numpy", "matplotlib")


class RunReport:
    """What is known of a run, and its folder in the end.

    Args:
      drnet: the dissected network.
      test: images of the sub-tasks that chose nothing, labels numbered in the
        importance's `class_names`.
      data: what these are, in words: "100 test images a class of 'pets'".
      settings: of the run, by name.
      asked: those of them that say what was asked of every sub-network.

    Example: see `recipes/write_report.py`.
    """

    def __init__(
        self,
        drnet: DRNet,
        test: LabeledImages,
        data: str,
        settings: Mapping[str, Any],
        asked: Mapping[str, Any],
    ) -> None:
        self._drnet = drnet
        self._test = test
        self._words = {
            "data": data,
            "settings": dict(settings),
            "asked": dict(asked),
        }
        self._subtasks: list[SubTask] = []
        self._rows: list[dict[str, Any]] = []
        self._unreached: list[str] = []
        self._fronts: dict[str, Sequence[FrontPoint]] = {}

    def add(self, subtask: SubTask) -> dict[str, Any]:
        """Measures a sub-network beside the full one.

        Returns:
          Its row: `Comparison.as_dict`, with "criterion", "mask" (its
          provenance), "kept" (channels of each site) and "repair".
        """
        model, classes = self._drnet.model, subtask.classes
        repaired = subtask.repair_report
        names = subtask.class_names
        pruned = (
            prune(model, subtask.mask, classes=classes, class_names=names).model
            if repaired
            else None
        )
        compared = compare(
            model,
            subtask.model,
            self._test,
            classes,
            names,
            mask=subtask.mask,
            pruned=pruned,
        )
        row = {
            **compared.as_dict(),
            "criterion": subtask.criterion,
            "mask": subtask.mask.provenance,
            "kept": {k: int(x.sum()) for k, x in subtask.mask.keep.items()},
            "repair": repaired.as_dict() if repaired else None,
        }
        self._subtasks.append(subtask)
        self._rows.append(row)
        return row

    def add_unreached(self, reason: str) -> None:
        """Tells why a sub-task has no small network."""
        self._unreached.append(reason)

    def add_front(
        self, classes: Sequence[str], points: Sequence[FrontPoint]
    ) -> None:
        """Adds the front of a sub-task that was added."""
        self._fronts[", ".join(classes)] = points

    def results(self) -> dict[str, Any]:
        """All settings and figures, ready for JSON.

        Raises:
          ValueError: no sub-task has a small network.
        """
        if not self._rows:
            raise ValueError(
                " ".join(self._unreached)
                or "RunReport: got no sub-task, expected one at least."
            )
        model, importance = self._drnet.model, self._drnet.importance
        full = count_costs(model)
        return {
            "network": model.name,
            "fingerprint": fingerprint(model),
            **self._words,
            "versions": versions(),
            "class_names": importance.class_names,
            "full": {
                "parameters": full.parameters,
                "macs": full.macs,
                "channels": importance.channels,
            },
            "rows": self._rows,
            "unreached": self._unreached,
            "fronts": {
                name: [point.as_dict() for point in points]
                for name, points in self._fronts.items()
            },
            "similarity": importance.similarity(),
            "shown_similarity": shown_similarity(importance)[0],
            "clusters": class_clusters(importance),
            "method": importance.config,
            "diagnostics": importance.diagnostics,
        }

    def write(self, folder: Path) -> None:
        """Writes `index.html` and all that it links to.

        These are `report.json`, `civ.safetensors` and a folder for each
        sub-task, by `SubTask.save`.

        Args:
          folder: an empty one, as of `output_folder.staged`.
        """
        results, importance = self.results(), self._drnet.importance
        files = {
            "report.json": "all settings and figures of this page",
            "civ.safetensors": "the importances (CIVs)",
        }
        names = folder_names([subtask.classes for subtask in self._subtasks])
        for subtask, name in zip(self._subtasks, names, strict=True):
            subtask.save(folder / name)
            of = ", ".join(subtask.classes)
            files |= {
                f"{name}/model.keras": f"the small network of {of}",
                f"{name}/mask.safetensors": "its mask (CCIV)",
                f"{name}/subtask.json": "what was removed, and what stayed",
            }
        importance.save(folder / "civ.safetensors")
        write_json(folder / "report.json", results)
        masks = {", ".join(x.classes): x.mask for x in self._subtasks}
        page = run_page(results, importance, masks, self._fronts, files)
        page.write(folder / "index.html")


def versions() -> dict[str, str]:
    """Versions of Python and of the packages that decide the figures.

    Example:
      >>> list(versions())[:2]
      ['drnet_tf', 'Python']
    """
    found = {"drnet_tf": VERSION, "Python": platform.python_version()}
    for name in _PACKAGES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:  # e.g. tensorflow-cpu
            continue
    return found
