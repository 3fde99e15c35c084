"""DRNet's figures 5 to 9, drawn of a dissected network.

5: accuracy against running channels and parameters as the union threshold
grows, for sub-tasks of 2, 3, 5 and all classes. 6: pairs under union masks
(Eq. 3) and xor masks (Eq. 4). 7: kept channels of every layer. 8: how similar
the channels of classes are (Eq. 5), and their clusters. 9: what the full and
the sub-network look at in test images (Grad-CAM), with figures over many. What
5, 6 and 9 show is our reading: the paper was not at hand.

Reads: CIVs (`--civ`, by build_civ.py); for 5, 6 and 9 also the `.keras`
classifier (`--model`) and its images (`--data`, `--preprocessing`).
Writes into the folder `--output`, for each of `--figure`: SVG pictures and
`figure_<n>.json`, the data drawn. Prints what the paper says beside ours.

Thresholds for 7 and 9 keep `--share` of the channels of a pair on average, the
same threshold for all sub-tasks, as the paper has. Examples:
  python recipes/paper_figures.py --figure=7,8 --civ=vgg16_civ.safetensors \
    --output=figures
  python recipes/paper_figures.py --model=vgg16.keras --data=cifar10 \
    --preprocessing=cifar10 --civ=vgg16_civ.safetensors --output=figures

VGG16 on CIFAR-10, all five: a quarter of an hour on 2 cores; 7 and 8 seconds.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import data_flags
import running
from absl import flags
from figure_inputs import FigureInputs, Subtasks

_FIGURE = flags.DEFINE_list("figure", ["5", "6", "7", "8", "9"], "Which ones.")
_MODEL = flags.DEFINE_string(
    "model", None, "The .keras file; by default the digits' network."
)
_CIV = flags.DEFINE_string("civ", None, "Its CIVs.", required=True)
_OUTPUT = flags.DEFINE_string("output", None, "Folder to write.", required=True)
_NAMED = flags.DEFINE_list(
    "named", None, "Sub-tasks of 7 and 9, a+b; by default three pairs drawn."
)
_SUBTASKS = flags.DEFINE_integer(
    "subtasks", 10, "Sub-tasks of each size, drawn by seed, for means.", 1
)
_KEPT = flags.DEFINE_list(
    "kept",
    ["0.1", "0.2", "0.33", "0.45", "0.6", "0.75", "0.9"],
    "Of 5 and 6: shares of channels that thresholds keep of pairs.",
)
_SHARE = flags.DEFINE_float(
    "share", 0.33, "Of 7 and 9: the same; a third is the paper's.", 0.0, 1.0
)
_TEST = flags.DEFINE_integer("test_images", 100, "Of each class, drawn.", 1)
_SHOWN = flags.DEFINE_integer("shown", 3, "Images of a class in figure 9.", 1)
_SITE = flags.DEFINE_string(
    "site", None, "Figure 9: layer; by default the last with 4 x 4 places."
)
_REPAIR = flags.DEFINE_enum(
    "repair", "none", ["none", "norms", "least_squares"], "Of figure 9."
)
_REPAIR_IMAGES = flags.DEFINE_integer(
    "repair_images", 100, "Training images of each class for --repair.", 1
)
_SEED = flags.DEFINE_integer("seed", 0, "Decides what is drawn.")
_FLAGS = (
    _FIGURE, _MODEL, _CIV, _OUTPUT, _NAMED, _SUBTASKS, _KEPT, _SHARE, _TEST,
    _SHOWN, _SITE, _REPAIR, _REPAIR_IMAGES, _SEED,
)  # fmt: skip
# 7 and 8 need no images.
flags.FLAGS.set_default("data", "")
_SIZES = (2, 3, 5)
_SHOWN_PAIRS = 3
_NEED_IMAGES = ("5", "6", "9")


@dataclasses.dataclass(frozen=True)
class Drawn:
    """A figure: SVG documents by name, the data drawn, and a text of ours."""

    pictures: dict[str, str]
    data: dict[str, Any]
    ours: str


def main() -> None:
    from drnet_tf.artifacts import write_json, write_text
    from drnet_tf.importance import ChannelImportance
    from drnet_tf.published_results import FIGURES
    from drnet_tf.reporting.output_folder import check_folder, staged
    from drnet_tf.reporting.paper_pictures import heading
    from drnet_tf.reporting.svg import check_matplotlib, with_dark_mode

    check_matplotlib()
    check_folder(_OUTPUT.value)
    needing = _needing_images()
    of = FigureInputs(
        ChannelImportance.load(_CIV.value),
        _MODEL.value,
        _SUBTASKS.value,
        _TEST.value,
        _SHARE.value,
        _SEED.value,
    )
    _named(of)  # refuses unknown classes
    if needing:
        _ = of.model  # refuses other CIVs
    settings = data_flags.portable_settings(
        _FLAGS, ("model", "civ", "output", "data")
    )
    for number in _FIGURE.value:
        drawn = _DRAW[number](of)
        name = f"figure_{number}"
        known = dataclasses.asdict(FIGURES[int(number)])
        with staged(_OUTPUT.value) as draft:
            for suffix, picture in drawn.pictures.items():
                path = draft / f"{name}{suffix}.svg"
                write_text(path, with_dark_mode(picture))
            write_json(
                draft / f"{name}.json",
                {"settings": settings, "paper": known, **drawn.data},
            )
        print(f"{heading(int(number), FIGURES[int(number)])}\n{drawn.ours}\n")


def _needing_images() -> list[str]:
    """Figures that need the network and its images, which must be named."""
    for number in _FIGURE.value:
        if number not in _DRAW:
            raise ValueError(
                f"--figure: got '{number}', expected some of "
                f"{', '.join(_DRAW)}."
            )
    needing = [x for x in _FIGURE.value if x in _NEED_IMAGES]
    if needing and not flags.FLAGS.data:
        raise ValueError(
            f"--figure: {', '.join(needing)} needs the network and its images; "
            "pass --model and --data, or --figure=7,8."
        )
    return needing


def _sizes(of: FigureInputs) -> Drawn:
    """Figure 5."""
    curves = {}
    count = len(of.importance.class_names)
    for size in (*(x for x in _SIZES if x < count), count):
        subtasks = of.drawn(size)
        name = f"{len(subtasks)} sub-tasks of {size} classes"
        if size == count:
            name = f"all {count} classes"
        curves[name] = _sweep(of, subtasks, "union")
    return _curves(curves)


def _rules(of: FigureInputs) -> Drawn:
    """Figure 6."""
    pairs = of.drawn(2)
    return _curves(
        {
            f"{rule} of {len(pairs)} pairs": _sweep(of, pairs, rule)
            for rule in ("union", "xor")
        }
    )


def _kept_channels(of: FigureInputs) -> Drawn:
    """Figure 7."""
    from drnet_tf.reporting.figures import kept_channels

    masks = {", ".join(x): of.mask(x) for x in _named(of)}
    shown = "; ".join(
        f"{name} {mask.kept_fraction:.1%}" for name, mask in masks.items()
    )
    return Drawn(
        {"": kept_channels(masks)},
        {
            "threshold": of.threshold,
            "channels": next(iter(masks.values())).channels,
            "kept": {name: mask.widths for name, mask in masks.items()},
        },
        f"  ours: threshold {of.threshold:.3g}, which keeps {of.share:.0%} of "
        "the channels of pairs on average (set by --share; figure 5 tells what "
        f"that costs): {shown}",
    )


def _similarity(of: FigureInputs) -> Drawn:
    """Figure 8."""
    from drnet_tf.reporting.figures import class_similarity
    from drnet_tf.reporting.sections import class_clusters, shown_similarity

    names = of.importance.class_names
    shown, which = shown_similarity(of.importance)
    clusters = class_clusters(of.importance)
    groups = "; ".join(", ".join(x["classes"]) for x in clusters)
    return Drawn(
        {"": class_similarity(shown, names)},
        {
            "classes": names,
            "shown": shown.tolist(),
            "equation_5": of.importance.similarity().tolist(),
            "clusters": clusters,
        },
        f"  ours: {which}\n  clusters: {groups}",
    )


def _attention(of: FigureInputs) -> Drawn:
    """Figure 9."""
    from drnet_tf.attention_study import AttentionStudy
    from drnet_tf.reporting.attention_report import attention_report

    study = AttentionStudy(
        of.model,
        of.importance,
        of.test,
        site=_SITE.value,
        repair_images=None
        if _REPAIR.value == "none"
        else of.images("train", _REPAIR_IMAGES.value),
        repair=_REPAIR.value,
        seed=_SEED.value,
    )
    named = _named(of)
    report = attention_report(
        study,
        of.test,
        {x: of.mask(x) for x in (*named, *of.drawn(2))},
        named,
        data_flags.pixels,
        images_shown=_SHOWN.value,
    )
    return Drawn(
        {"": report.picture},
        {
            "description": report.description,
            "site": study.site,
            "threshold": of.threshold,
            "means": report.means,
            "rows": report.rows,
        },
        f"  ours: maps of '{study.site}', {len(report.rows)} sub-tasks\n"
        f"{report.table}",
    )


_DRAW = {
    "5": _sizes,
    "6": _rules,
    "7": _kept_channels,
    "8": _similarity,
    "9": _attention,
}


def _named(of: FigureInputs) -> Subtasks:
    """The sub-tasks shown."""
    from drnet_tf.subtask_draws import draw_subtasks

    if _NAMED.value is None:
        names = of.importance.class_names
        return draw_subtasks(names, 2, _SHOWN_PAIRS, of.seed)
    named = tuple(tuple(x.split("+")) for x in _NAMED.value)
    for classes in named:
        of.importance.class_rows(classes)
    return named


def _sweep(
    of: FigureInputs, subtasks: Subtasks, rule: str
) -> list[dict[str, Any]]:
    """The same thresholds for all sizes: those that pairs are kept by."""
    from drnet_tf.survey import sweep

    thresholds = of.thresholds([float(x) for x in _KEPT.value], rule)
    return sweep(of.survey, of.importance, subtasks, thresholds, rule)


def _curves(curves: dict[str, list[dict[str, Any]]]) -> Drawn:
    from drnet_tf.reporting.paper_pictures import (
        threshold_curves,
        threshold_table,
    )

    pictures = threshold_curves(curves)
    return Drawn(
        {f"_{share}": picture for share, picture in pictures.items()},
        {"curves": curves},
        f"  ours, test images:\n{threshold_table(curves)}",
    )


if __name__ == "__main__":
    running.run(main)
