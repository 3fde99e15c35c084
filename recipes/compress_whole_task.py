"""Compresses a network for all of its classes, as White-Box or CAR does.

Learns class-wise masks (`--method=class_masks`, White-Box), lets all layers
vote which channels stay until the asked share of the MACs is saved, hands the
masks over to the weights, prunes, and trains on with the labels. Or ranks the
channels of each layer by the accuracy that is lost without them
(`--method=accuracy_reduction`, CAR), of the same layers, and goes on alike.

Reads: a `.keras` classifier (`--model`), images with labels (`--data`,
`--preprocessing`): its splits train and test.
Writes: `--output`, the small `.keras` network; beside it
`<name>.mask.safetensors` and `<name>.json` with settings, costs and accuracies
on the test split.

Example:
  python recipes/compress_whole_task.py --model=vgg16.keras --data=cifar10 \
    --preprocessing=cifar10 --macs_cut=0.75 --output=small.keras

The defaults are a short run from a trained network. The paper's recipe for
VGG16 on CIFAR-10, which takes 330 epochs:
  --from_scratch --mask_epochs=30 --sparsity=0.01 --batch_size=256 \
    --epochs=300 --learning_rate=0.1 --macs_cut=0.75
Departures from it: the last layer votes like the others (the paper: keeps
random channels), the learning rate falls along a cosine (the paper: in steps),
without weight decay, and the weights after the last epoch are kept (the paper:
the best on the test images). CAR's paper compresses one layer at a time and
trains after each step; here all layers vote, and training comes once.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import data_flags
import running
from absl import flags

if TYPE_CHECKING:
    import keras
    import numpy as np

    from drnet_tf.masks import ChannelMask

_MODEL = flags.DEFINE_string("model", None, "The .keras file.", required=True)
_OUTPUT = flags.DEFINE_string("output", None, "The small one.", required=True)
_METHOD = flags.DEFINE_enum(
    "method", "class_masks", ["class_masks", "accuracy_reduction"],
    "What ranks the channels.",
)  # fmt: skip
_CUT = flags.DEFINE_float("macs_cut", 0.5, "Share of the MACs to be saved.")
_FLOOR = flags.DEFINE_float("floor", 0.3, "Of a layer's channels, that stay.")
_FROZEN = flags.DEFINE_bool(
    "frozen", False, "Train the masks only, not the weights with them."
)
_SCRATCH = flags.DEFINE_bool(
    "from_scratch", False, "Forget what the network has learned before."
)
_MASK_EPOCHS = flags.DEFINE_integer("mask_epochs", 3, "With masks.")
_MASK_RATE = flags.DEFINE_float("mask_learning_rate", 0.1, "With masks.")
_SPARSITY = flags.DEFINE_float("sparsity", 1e-4, "Weight λ of the masks' norm.")
_REMOVAL_IMAGES = flags.DEFINE_integer(
    "removal_images", 20, "Of each class, for accuracy_reduction."
)
_REMOVAL_STEP = flags.DEFINE_integer(
    "removal_step", 1, "Channels that accuracy_reduction takes at a time."
)
_EPOCHS = flags.DEFINE_integer("epochs", 3, "Of the small network.")
_RATE = flags.DEFINE_float("learning_rate", 0.02, "Of the small network.")
_BATCH_SIZE = flags.DEFINE_integer("batch_size", 128, "Images of an update.")
_IMAGES = flags.DEFINE_integer(
    "images_per_class", None, "To train with; by default all."
)
_SEED = flags.DEFINE_integer("seed", 0, "Decides whatever is random.")
_FLAGS = (
    _MODEL, _OUTPUT, _METHOD, _CUT, _FLOOR, _FROZEN, _SCRATCH, _MASK_EPOCHS,
    _MASK_RATE, _SPARSITY, _REMOVAL_IMAGES, _REMOVAL_STEP, _EPOCHS, _RATE,
    _BATCH_SIZE, _IMAGES, _SEED,
)  # fmt: skip


def main() -> None:
    import keras

    from drnet_tf.artifacts import check_writable, write_json, write_together
    from drnet_tf.finetuning import Distillation, finetune
    from drnet_tf.pruning import prune
    from drnet_tf.voting import vote

    output = Path(_OUTPUT.value)
    mask_path = output.with_suffix(".mask.safetensors")
    summary = output.with_suffix(".json")
    for path in (output, mask_path, summary):
        check_writable(path)
    _check_flags()
    training = Distillation(
        epochs=_EPOCHS.value,
        batch_size=_BATCH_SIZE.value,
        learning_rate=_RATE.value,
        label_weight=1.0,
        seed=_SEED.value,
    )
    model = keras.models.load_model(_MODEL.value, compile=False)
    data, names = _training_images(model)
    start, scores = _scored(model, data, names)
    mask = vote(
        start, scores, _CUT.value, floor=_FLOOR.value, class_names=names
    )
    pruned = prune(start, mask, classes=names, class_names=names)
    trained = finetune(pruned, start, data, training).model
    networks = {"full": model, "pruned": pruned.model, "trained": trained}
    report = _report(networks, mask, names)
    write_together({output: trained.save, mask_path: mask.save})
    write_json(summary, report)
    _print(report)


def _check_flags() -> None:
    if _METHOD.value == "accuracy_reduction" and (
        _FROZEN.value or _SCRATCH.value
    ):
        raise ValueError(
            "--method=accuracy_reduction: got --frozen or --from_scratch, "
            "expected neither; they are for class_masks."
        )
    if _FROZEN.value and _SCRATCH.value:
        raise ValueError(
            "--frozen and --from_scratch: got both, expected one at most; "
            "masks alone tell nothing about a network that was never trained."
        )


def _report(
    networks: dict[str, keras.Model], mask: ChannelMask, names: Sequence[str]
) -> dict[str, Any]:
    from drnet_tf.costs import count_costs
    from drnet_tf.evaluation import evaluate

    test, _ = data_flags.open_split(networks["full"], "test")
    costs = {name: count_costs(x) for name, x in networks.items()}
    return {
        "settings": {f.name: f.value for f in _FLAGS} | data_flags.settings(),
        "rate": mask.provenance["rate"],
        "widths": mask.widths,
        "macs": {name: x.macs for name, x in costs.items()},
        "parameters": {name: x.parameters for name, x in costs.items()},
        "accuracy": {
            name: evaluate(x, test, names, names).accuracy
            for name, x in networks.items()
        },
    }


def _print(report: dict[str, Any]) -> None:
    for what in ("macs", "parameters"):
        share = report[what]["trained"] / report[what]["full"]
        print(f"{1 - share:.1%} of the {what} saved")
    for name, accuracy in report["accuracy"].items():
        print(f"{name:8} {accuracy:.2%}")


def _training_images(model: keras.Model) -> tuple[Any, tuple[str, ...]]:
    from drnet_tf.reporting.samples import sample

    stream, names = data_flags.open_split(model, "train")
    if _IMAGES.value is None:
        return stream, names
    return sample(stream, names, names, _IMAGES.value, seed=_SEED.value), names


def _scored(
    model: keras.Model, data: Any, names: Sequence[str]
) -> tuple[keras.Model, dict[str, np.ndarray]]:
    """The network that is pruned, and the score of every channel."""
    import keras

    from drnet_tf.class_mask_training import train_with_class_masks
    from drnet_tf.dissection.accuracy_reduction import AccuracyReduction
    from drnet_tf.dissection.class_masks import ClassMasks
    from drnet_tf.scale_folding import fold_scales
    from drnet_tf.voting import class_sums

    if _METHOD.value == "accuracy_reduction":
        ranking = AccuracyReduction(step=_REMOVAL_STEP.value, class_wise=False)
        scores = _dissected(model, data, ranking, names, _REMOVAL_IMAGES.value)
        # All classes share the one order that all images gave.
        return model, {site: x[0] for site, x in scores.items()}
    method = ClassMasks(
        epochs=_MASK_EPOCHS.value,
        learning_rate=_MASK_RATE.value,
        sparsity=_SPARSITY.value,
    )
    if _FROZEN.value:
        images = _IMAGES.value or 100
        masks = _dissected(model, data, method, names, images)
        return model, class_sums(masks)
    if _SCRATCH.value:
        keras.utils.set_random_seed(_SEED.value)
        model = keras.models.clone_model(model)
    trained = train_with_class_masks(
        model, data, method, batch_size=_BATCH_SIZE.value, seed=_SEED.value
    )
    # As in the paper, also in front of a ReLU6: the training mends it.
    folded = fold_scales(trained.model, trained.scales(), strict=False)
    return folded, class_sums(trained.masks)


def _dissected(
    model: keras.Model,
    data: Any,
    method: Any,
    names: Sequence[str],
    images_per_class: int,
) -> dict[str, np.ndarray]:
    """`(K, C_l)` by site: those that White-Box prunes, inside of blocks."""
    from drnet_tf.dissection.dissect import dissect
    from drnet_tf.scale_folding import foldable_sites

    found = dissect(
        model,
        data,
        method,
        class_names=names,
        images_per_class=images_per_class,
        seed=_SEED.value,
    )
    return {site: found.scores[site] for site in foldable_sites(model)}


if __name__ == "__main__":
    running.run(main)
