"""Joins components of trained networks, and measures what joining costs.

Reads: `.keras` classifiers (`--models`) with the preprocessing of each
(`--preprocessings`, once for each network), which classes are taken of each
(`--classes`, likewise) and, for components that are smaller than their
networks, CIVs (`--civs`, by build_civ.py) and `--max_macs`; images (`--data`):
training images for repair, scaling and fine-tuning, test images for the final
figures.
Writes: `--output`, the joined `.keras` network, which expects raw pixels, and
beside it `<name>.json`: accuracies on the test images of all classes, of each
whole network, of each component among its own classes, and of the joined
network as it is, scaled, and fine-tuned with labels; parameters and MACs; and
`<name>.md`, their table.

Reproduces the assembling of CNN LEGO (its tables fine-tune for one or ten
epochs). Example:
  python recipes/assemble_networks.py --data=cifar10 \
    --models=resnet20.keras,resnet56.keras \
    --preprocessings=imagenet_torch --preprocessings=imagenet_torch \
    --classes=airplane,automobile,bird,cat,deer \
    --classes=dog,frog,horse,ship,truck --output=joined.keras

Two ResNets of CIFAR-10 and one epoch: some minutes on 2 cores.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import data_flags
import running
from absl import flags

if TYPE_CHECKING:
    import keras
    import numpy as np

    from drnet_tf.assembly import Component
    from drnet_tf.labeled_images import LabeledImages

_MODELS = flags.DEFINE_list("models", None, "The .keras files.", required=True)
_CLASSES = flags.DEFINE_multi_string(
    "classes", None, "Of one network, in the order of --models.", required=True
)
_PREPROCESSINGS = flags.DEFINE_multi_string(
    "preprocessings",
    None,
    "As --preprocessing, of each network.",
    required=True,
)
_CIVS = flags.DEFINE_list("civs", [], "Of each network; for --max_macs.")
_MACS = flags.DEFINE_float(
    "max_macs", None, "Share of each network's MACs; by default only its "
    "classifier is cut.",
)  # fmt: skip
_REPAIR = flags.DEFINE_string(
    "repair", "least_squares", "Of the components, see DRNet.subtask."
)
_OUTPUT = flags.DEFINE_string(
    "output", None, "The .keras file to write.", required=True
)
_ALIGN = flags.DEFINE_bool(
    "align", False, "One wide chain, for networks of one architecture."
)
_EPOCHS = flags.DEFINE_integer("epochs", 1, "Of fine-tuning; 0: none.")
_RATE = flags.DEFINE_float("learning_rate", 0.01, "Of fine-tuning, at first.")
_TRAIN = flags.DEFINE_integer(
    "train_images", None, "Of each class, to fine-tune; by default all."
)
_FEW = flags.DEFINE_integer(
    "scale_images", 200, "Of each class, for repair and scaling."
)
_TEST = flags.DEFINE_integer(
    "test_images", None, "Of each class; by default all."
)
_SEED = flags.DEFINE_integer("seed", 0, "Decides whatever is random.")
_FLAGS = (
    _MODELS, _CLASSES, _PREPROCESSINGS, _CIVS, _MACS, _REPAIR, _OUTPUT, _ALIGN,
    _EPOCHS, _RATE, _TRAIN, _FEW, _TEST, _SEED,
)  # fmt: skip


def main() -> None:
    import keras

    from drnet_tf.artifacts import (
        check_writable,
        write_json,
        write_text,
        write_together,
    )
    from drnet_tf.assembly import assemble
    from drnet_tf.reporting.assembly_report import assembly_table

    output = Path(_OUTPUT.value)
    summary, page = output.with_suffix(".json"), output.with_suffix(".md")
    for path in (output, summary, page):
        check_writable(path)
    _check_flags()
    models = [keras.models.load_model(x, compile=False) for x in _MODELS.value]
    images = {
        "few": data_flags.load(models[0], "train", _FEW.value, _SEED.value),
        "test": data_flags.load(models[0], "test", _TEST.value, _SEED.value),
    }
    components = [
        _component(number, model, images["few"])
        for number, model in enumerate(models)
    ]
    joined = {
        "joined": assemble(components, align=_ALIGN.value),
        "scaled": assemble(components, align=_ALIGN.value, scale=images["few"]),
    }
    if _EPOCHS.value:
        joined["fine-tuned"] = _finetuned(joined["scaled"])
    report = _report(models, components, joined, images["test"])
    best = list(joined.values())[-1]
    write_together({output: best.model.save})
    table = assembly_table(report)
    write_json(summary, report)
    write_text(page, f"# {output.stem}\n\n{table}")
    print(table)


def _check_flags() -> None:
    count = len(_MODELS.value)
    lists = [_CLASSES, _PREPROCESSINGS] + [_CIVS] * (_MACS.value is not None)
    for flag in lists:
        if len(flag.value) != count:
            raise ValueError(
                f"--{flag.name}: got {len(flag.value)}, expected {count}, one "
                "for each network of --models."
            )


def _component(
    number: int, model: keras.Model, few: LabeledImages
) -> Component:
    """The part of a network that is joined, on raw pixels."""
    from drnet_tf.assembly import Component
    from drnet_tf.importance import ChannelImportance
    from drnet_tf.preprocessing import parse_preprocessing
    from drnet_tf.pruning import prune
    from drnet_tf.sites import gate_sites
    from drnet_tf.subtasks import DRNet
    from drnet_tf.width_masks import full_mask

    classes = tuple(_CLASSES.value[number].split(","))
    preprocessing = parse_preprocessing(_PREPROCESSINGS.value[number])
    if _MACS.value is None:
        channels = {site.name: site.channels for site in gate_sites(model)}
        small = prune(
            model,
            full_mask(channels),
            classes=classes,
            class_names=few.class_names,
        ).model
    else:
        importance = ChannelImportance.load(_CIVS.value[number])
        subtask = DRNet(model, importance).subtask(
            classes,
            max_macs=_MACS.value,
            rule="mean",
            repair=_REPAIR.value,
            images=preprocessing(few.of_classes(classes).images)
            if _REPAIR.value != "none"
            else None,
        )
        small = subtask.model
    return Component(small, classes, preprocessing).on_raw_pixels()


def _finetuned(joined: Component) -> Component:
    """Trained with labels by the fine-tuner of pruned networks."""
    from drnet_tf.assembly import Component
    from drnet_tf.finetuning import finetune
    from drnet_tf.pruning import prune
    from drnet_tf.sites import gate_sites
    from drnet_tf.width_masks import full_mask

    names = joined.class_names
    sites = gate_sites(joined.model)
    everything = full_mask({site.name: site.channels for site in sites})
    train = data_flags.load(joined.model, "train", _TRAIN.value, _SEED.value)
    tuned = finetune(
        prune(joined.model, everything, classes=names, class_names=names),
        joined.model,
        (train.images, _numbers(train, names)),
        epochs=_EPOCHS.value,
        learning_rate=_RATE.value,
        label_weight=1.0,
        seed=_SEED.value,
    )
    return Component(tuned.model, names, joined.preprocessing)


def _numbers(images: LabeledImages, names: tuple[str, ...]) -> np.ndarray:
    """`(N,)`: the outputs of the labels; past the last for other classes."""
    import numpy as np

    found = np.full(len(images.class_names), len(names))
    for row, name in enumerate(names):
        found[images.class_names.index(name)] = row
    return found[images.labels]


def _report(
    models: list[keras.Model],
    components: list[Component],
    joined: dict[str, Component],
    test: LabeledImages,
) -> dict[str, Any]:
    from drnet_tf.assembly.competition import competition

    names = joined["joined"].class_names
    test = test.of_classes(names)
    labels = _numbers(test, names)
    sizes = [len(part.class_names) for part in components]
    files = ("models", "civs", "output")
    return {
        "settings": data_flags.portable_settings(_FLAGS, files),
        "networks": [
            _network(number, model, components[number], names, test)
            for number, model in enumerate(models)
        ],
        "components": [_part(part, test) for part in components],
        "assembled": {
            name: competition(_outputs(x.model, test.images), labels, sizes)
            | _costs(x.model)
            for name, x in joined.items()
        },
    }


def _network(
    number: int,
    model: keras.Model,
    part: Component,
    names: tuple[str, ...],
    test: LabeledImages,
) -> dict[str, Any]:
    """A whole network on all classes of the joined one, and on its part's."""
    from drnet_tf.evaluation import subtask_accuracy
    from drnet_tf.preprocessing import parse_preprocessing

    preprocessing = parse_preprocessing(_PREPROCESSINGS.value[number])
    outputs = _outputs(model, preprocessing(test.images))
    found = {
        what: subtask_accuracy(
            outputs, test.labels, [test.class_names.index(x) for x in classes]
        )
        for what, classes in (
            ("accuracy", names),
            ("of_own_classes", part.class_names),
        )
    }
    return found | _costs(model)


def _part(part: Component, test: LabeledImages) -> dict[str, Any]:
    """A component among its own classes."""
    own = test.of_classes(part.class_names)
    found = _outputs(part.model, own.images).argmax(1)
    right = found == _numbers(own, part.class_names)
    return {
        "classes": list(part.class_names),
        "accuracy": float(right.mean()),
        **_costs(part.model),
    }


def _outputs(model: keras.Model, images: np.ndarray) -> np.ndarray:
    from drnet_tf.graph_building import run_untraced

    return run_untraced(model, images.astype("float32"), 250)


def _costs(model: keras.Model) -> dict[str, int]:
    from drnet_tf.costs import count_costs

    costs = count_costs(model)
    return {"parameters": costs.parameters, "macs": costs.macs}


if __name__ == "__main__":
    running.run(main)
