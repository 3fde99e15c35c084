"""A few classes of a network of many: what is measured, written and printed."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import data_flags

if TYPE_CHECKING:
    import keras

    from drnet_tf.importance import ChannelImportance
    from drnet_tf.labeled_images import LabeledImages

_DISSECTED = 0.8  # of the training images


@dataclasses.dataclass(frozen=True)
class ManyClasses:
    """What is measured of sub-tasks, see `HeadStudy`.

    Attributes:
      civ: the CIVs of the classes; where there is no such file, the classes are
        dissected, with all other outputs cut off, and it is written.
      rows: which output each class is, in the order of the images' classes.
      budgets: shares of the MACs.
      rule: how classes are combined.
      images_per_class: training images of each class.
      seed: which images are dissected.
      allocations: how channels are chosen.
    """

    civ: Path
    rows: Sequence[int]
    budgets: Sequence[float]
    rule: str
    images_per_class: int
    seed: int
    allocations: Sequence[str] = ("threshold", "layers", "reconstruction")

    def study(
        self, model: keras.Model, train: LabeledImages, test: LabeledImages
    ) -> Callable[[tuple[str, ...]], dict[str, Any]]:
        """Classes -> their rows, those of one sub-task together."""
        from drnet_tf.head_study import HeadStudy

        importance = self._importance(model, train)
        study = HeadStudy(
            model,
            importance,
            self.rows,
            train,
            test,
            allocations=self.allocations,
            rule=self.rule,
        )
        return lambda classes: {
            "classes": list(classes),
            "rows": study.rows(classes, self.budgets),
        }

    def study_drawn(
        self, model: keras.Model, classes: Sequence[str], test_images: int
    ) -> Callable[[tuple[str, ...]], dict[str, Any]]:
        """`study` of images that are drawn of these classes alone."""
        train, test = (
            data_flags.draw_classes(model, split, count, self.seed, classes)
            for split, count in (
                ("train", self.images_per_class),
                (data_flags.test_split(), test_images),
            )
        )
        return self.study(model, train, test)

    def _importance(
        self, model: keras.Model, train: LabeledImages
    ) -> ChannelImportance:
        """The CIVs of the classes, whose outputs alone are kept."""
        from drnet_tf.dissection.dissect import dissect
        from drnet_tf.importance import ChannelImportance
        from drnet_tf.pruning import prune
        from drnet_tf.sites import gate_sites
        from drnet_tf.width_masks import full_mask

        if self.civ.exists():
            return ChannelImportance.load(self.civ)
        whole = full_mask({x.name: x.channels for x in gate_sites(model)})
        few = prune(model, whole, classes=list(self.rows)).model
        found = dissect(
            few,
            train,
            class_names=train.class_names,
            images_per_class=int(_DISSECTED * self.images_per_class),
            seed=self.seed,
        )
        # Its sites are those of the full network, whose masks it makes.
        importance = dataclasses.replace(found, fingerprint="")
        importance.save(self.civ)
        return importance


def outputs(
    path: str | None,
    model: keras.Model,
    names: Sequence[str],
    classes: Sequence[str],
) -> list[int]:
    """The output of each of some classes.

    Args:
      path: of `--rows`; None: the outputs are all classes, in their order.
      model: the network.
      names: all classes of the data.
      classes: those that are wanted.
    """
    if path is not None:
        return read_rows(path, classes)
    count = model.output_shape[-1]
    if count != len(names):
        raise ValueError(
            f"--rows: got none, but the network has {count} outputs and --data "
            f'{len(names)} classes; pass a JSON {{"name": row, ...}}.'
        )
    return [list(names).index(name) for name in classes]


def read_rows(path: str, names: Sequence[str]) -> list[int]:
    """The output of each class, out of the JSON of `--rows`."""
    by_name = json.loads(Path(path).read_text("utf-8"))
    missing = [name for name in names if name not in by_name]
    if missing:
        raise ValueError(
            f"--rows: '{path}' says nothing of {', '.join(missing)}, "
            'expected {"name": row, ...} with all classes of --data.'
        )
    return [int(by_name[name]) for name in names]


def write(
    output: Path,
    settings: dict[str, Any],
    parts: Sequence[dict[str, Any]],
    heading: Callable[[list[dict[str, Any]]], str],
) -> str:
    """Writes the JSON and the page beside it.

    Args:
      output: the JSON.
      settings: of the run.
      parts: of `ManyClasses.study`, by sub-task.
      heading: means -> what stands above their table.

    Returns:
      What is to be printed.
    """
    from drnet_tf.artifacts import write_json, write_text
    from drnet_tf.head_study import promotions

    rows = [row for part in parts for row in part["rows"]]
    means = promotions(rows)
    write_json(output, {"settings": settings, "means": means, "rows": rows})
    shown = f"{heading(means)}{_table(means)}"
    page = f"# {output.stem}\n\n{shown}\n"
    write_text(output.with_suffix(".md"), page)
    return shown


def parts_of(results: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The parts that `write` made results of."""
    found: dict[tuple[str, ...], list[dict[str, Any]]] = {}
    for row in results["rows"]:
        found.setdefault(tuple(row["classes"]), []).append(row)
    return [{"classes": list(x), "rows": rows} for x, rows in found.items()]


def _table(means: list[dict[str, Any]]) -> str:
    from drnet_tf.reporting.tables import Column, markdown

    columns = [
        Column("classes", "Classes"),
        Column("head", "Head"),
        Column("selection", "Channels by"),
        Column("budget", "Budget", ".0%"),
        Column("subtasks", "Sub-tasks"),
        Column("channels", "Channels", ".1%"),
        Column("macs", "MACs", ".1%"),
        Column("parameters", "Parameters", ".1%"),
        Column("full", "Full network", ".1%"),
    ]
    for name in ("hard", "repaired"):
        columns += [
            Column(name, name.capitalize(), ".1%"),
            Column(f"{name}_mean", "promotion", "+.1%"),
            Column(f"{name}_min", "min", "+.1%"),
            Column(f"{name}_max", "max", "+.1%"),
        ]
    return markdown(means, columns).rstrip()
