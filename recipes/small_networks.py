"""Makes the small networks of sub-tasks, with their files, proof and times."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Any

from quickstart_inputs import COMMANDS, Inputs

if TYPE_CHECKING:
    from drnet_tf.datasets import LabeledImages
    from drnet_tf.masks import ChannelMask
    from drnet_tf.subtasks import DRNet, SubTask

_FULL = "full.tflite"
_SMALL = "model.tflite"
_CURVES = 3  # lines in the picture of accuracy


def write_all(
    drnet: DRNet,
    inputs: Inputs,
    results: dict[str, Any],
    folder: Path,
    **settings: Any,
) -> None:
    """Makes and measures every small network, and writes files and the page.

    Args:
      drnet: the dissected network.
      inputs: its images and the sub-tasks.
      results: what is known so far; `subtask_page` says what it needs.
      folder: gets all files.
      **settings: of `DRNet.subtask`: `max_drop` and `rule`.

    Raises:
      ValueError: no sub-task has a small network within the drop.
    """
    from drnet_tf.artifacts import write_json
    from drnet_tf.reporting.curves import accuracy_curves
    from drnet_tf.reporting.subtask_page import overview, subtask_page

    made, masks = _make_all(drnet, inputs, folder, settings)
    curves = accuracy_curves(
        drnet.model,
        drnet.importance,
        inputs.test,
        [tuple(row["classes"]) for row in made["rows"]][:_CURVES],
        rule=settings["rule"],
    )
    results = {
        **results,
        **made,
        "curves": [dataclasses.asdict(line) for line in curves],
    }
    page = subtask_page(results, drnet.importance, masks, curves, COMMANDS)
    page.write(folder / "index.html")
    drnet.importance.save(folder / "civ.safetensors")
    write_json(folder / "quickstart.json", results)
    print(f"\n{overview(results)}\n")


def _make_all(
    drnet: DRNet, inputs: Inputs, folder: Path, settings: dict[str, Any]
) -> tuple[dict[str, Any], dict[str, ChannelMask]]:
    """Gives "full", "rows" and "unreached" of the results, and the masks."""
    from drnet_tf.reporting.output_folder import folder_names

    full = _full_figures(drnet, inputs.test, folder / _FULL)
    rows: list[dict[str, Any]] = []
    masks: dict[str, ChannelMask] = {}
    unreached: list[str] = []
    names = folder_names(inputs.subtasks)
    for classes, name in zip(inputs.subtasks, names, strict=True):
        data = inputs.validation.of_classes(classes)
        try:
            subtask = drnet.subtask(classes, validation_data=data, **settings)
        except ValueError as error:
            # The others may have one.
            unreached.append(str(error))
            print(f"\n  {', '.join(classes)}: none; {error}", flush=True)
            continue
        masks[", ".join(classes)] = subtask.mask
        rows.append(_make(drnet, subtask, inputs.test, folder / name))
        print(f"  {subtask}", flush=True)
    if not rows:
        raise ValueError(unreached[0])
    _add_times(full, rows, folder)
    return {"full": full, "rows": rows, "unreached": unreached}, masks


def _full_figures(
    drnet: DRNet, test: LabeledImages, path: Path
) -> dict[str, Any]:
    import drnet_tflite

    from drnet_tf.costs import count_costs
    from drnet_tf.evaluation import evaluate

    model, names = drnet.model, drnet.importance.class_names
    report = drnet_tflite.convert(model, path, labels=names)
    costs = count_costs(model)
    accuracy = None
    if all(test.counts().values()):
        accuracy = evaluate(
            model, test, names, names, output_classes=names
        ).accuracy
    return {
        "full_accuracy": accuracy,
        "parameters_count": costs.parameters,
        "macs_count": costs.macs,
        "tflite_bytes": report.bytes,
        "tflite_difference": report.max_difference,
    }


def _make(
    drnet: DRNet, subtask: SubTask, test: LabeledImages, folder: Path
) -> dict[str, Any]:
    from drnet_tf.reporting.comparison import compare

    subtask.save(folder)
    report = subtask.to_tflite(folder / _SMALL)
    compared = compare(
        drnet.model,
        subtask.model,
        test,
        subtask.classes,
        subtask.class_names,
        mask=subtask.mask,
    )
    return {
        **compared.as_dict(),
        "folder": folder.name,
        "criterion": subtask.criterion,
        "mask": subtask.mask.provenance,
        "tflite_bytes": report.bytes,
        "tflite_difference": report.max_difference,
    }


def _add_times(
    full: dict[str, Any], rows: list[dict[str, Any]], folder: Path
) -> None:
    import drnet_tflite

    paths = [folder / _FULL] + [folder / row["folder"] / _SMALL for row in rows]
    times = drnet_tflite.compare_latency(paths)
    for row, time in zip([full, *rows], times, strict=True):
        row["milliseconds"] = time.median_ms
