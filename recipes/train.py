"""Trains one of the paper's networks from its first weights.

Reads: images with labels (`--data`), its splits train and test: the name of a
prepared TFDS dataset, a folder DIR/<split>/<class>/*.jpg|png, or `digits`,
which come with the package. They are held in memory.
Writes: `--output`, the `.keras` network, raw pixels in and logits out (for the
other recipes: without --preprocessing); beside it `<name>.json` with settings,
versions, history and the accuracy on the test split, which is measured once, at
the end. While it runs, checkpoints lie in `<name>.work` (or `--work_dir`;
empty: none): after a stop, even by SIGKILL, the same command goes on there and
comes to the same weights, bit by bit.

The networks of DRNet, which reports 93.98, 95.90 and 93.38 % on CIFAR-10:
  python recipes/train.py --network=vgg16 --data=cifar10 --output=vgg16.keras
and the same with --network=resnet18 and --network=mobilenet_v2. The defaults
are the paper's: SGD of 0.1 with momentum 0.9 and a weight decay of 1e-5,
batches of 256, 550 epochs, images padded by 4 pixels, cropped and mirrored.
Departures: how its rate falls is not known to us, here along half a cosine; 100
training images of each class are held back (--validation_images=0: none).
It takes a GPU (on two busy CPU cores VGG16 takes 11 seconds an update, of
which there are 105,600), and was not run to its end yet.
Faster, 30 epochs of one cycle with a decay of 5e-4:
  python recipes/train.py --network=vgg16 --schedule=one_cycle --data=cifar10 \
    --dtype_policy=mixed_bfloat16 --output=vgg16.keras
In a minute and a half on two CPU cores, with 98.3 % of the test images right:
  python recipes/train.py --network=convnet --schedule=one_cycle --data=digits \
    --padding=2 --noflip --batch_size=64 --validation_images=20 \
    --output=digits.keras

The last bits are those of a machine and its number of threads; on a GPU only if
TensorFlow is told so by TF_DETERMINISTIC_OPS=1.
"""

from __future__ import annotations

import dataclasses
import importlib.metadata
import platform
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import running
import train_inputs
from absl import flags

if TYPE_CHECKING:
    from drnet_tf.training import TrainedModel, Training

_OUTPUT = flags.DEFINE_string("output", None, "The .keras file.", required=True)
_WORK_DIR = flags.DEFINE_string(
    "work_dir", None, "Of checkpoints; by default <name>.work; empty: none."
)
_SAVE_EVERY = flags.DEFINE_float(
    "save_every", 60, "Seconds between checkpoints."
)
_TRAINING = (
    flags.DEFINE_enum(
        "schedule", "paper", ["paper", "one_cycle"], "Of the learning rate."
    ),
    flags.DEFINE_integer("epochs", None, "By default 550, of one_cycle 30."),
    flags.DEFINE_integer("batch_size", 256, "Images of an update."),
    flags.DEFINE_float("learning_rate", 0.1, "The highest of the schedule."),
    flags.DEFINE_float("momentum", 0.9, "Of SGD."),
    flags.DEFINE_float(
        "weight_decay", None, "By default 1e-5, of one_cycle 5e-4."
    ),
    flags.DEFINE_integer("padding", 4, "Pixels around, before cropping."),
    flags.DEFINE_bool("flip", True, "Mirror half of the images."),
    flags.DEFINE_string(
        "dtype_policy", "float32", "Or mixed_bfloat16, mixed_float16."
    ),
    flags.DEFINE_bool("jit", False, "Compile by XLA: slow on CPUs."),
    flags.DEFINE_integer("seed", 0, "Decides whatever is random."),
)


def main() -> None:
    from drnet_tf.artifacts import check_writable, write_json, write_together
    from drnet_tf.top_class import top_class_accuracy
    from drnet_tf.training import train

    output = Path(_OUTPUT.value)
    if output.suffix != ".keras":
        raise ValueError(
            f"--output: got '{output}', expected a name that ends in .keras."
        )
    summary = output.with_suffix(".json")
    for path in (output, summary):
        check_writable(path)
    settings = _settings()
    inputs = train_inputs.load(settings.seed)
    work_dir = _work_dir(output)
    if work_dir:
        print(_about(work_dir), flush=True)
    trained = train(
        inputs.network,
        inputs.train,
        settings,
        validation_data=inputs.held_back,
        work_dir=work_dir,
        save_every=_SAVE_EVERY.value,
        report=lambda epoch: print(epoch, flush=True),
        progress=sys.stdout.isatty(),
    )
    test = inputs.test
    accuracy = top_class_accuracy(trained.model, test.images, test.labels)
    write_together({output: trained.model.save})
    write_json(summary, _report(inputs, settings, trained, accuracy))
    print(f"{accuracy:.2%} of {len(test)} test images right")


def _settings() -> Training:
    from drnet_tf.training import Training

    given = {f.name: f.value for f in _TRAINING if f.value is not None}
    if given["schedule"] == "one_cycle":
        return Training.one_cycle(**given)
    return Training(**given)


def _work_dir(output: Path) -> Path | None:
    if _WORK_DIR.value is None:
        return output.with_suffix(".work")
    return Path(_WORK_DIR.value) if _WORK_DIR.value else None


def _about(work_dir: Path) -> str:
    if any(work_dir.glob("checkpoint_*")):
        return (
            f"Checkpoints are in '{work_dir}': the same run goes on from there."
        )
    return (
        f"Checkpoints go to '{work_dir}'; after a stop, the same command goes "
        "on from there."
    )


def _report(
    inputs: train_inputs.Inputs,
    settings: Training,
    trained: TrainedModel,
    accuracy: float,
) -> dict[str, Any]:
    import keras

    from drnet_tf.fingerprints import fingerprint
    from drnet_tf.version import VERSION

    backend = keras.backend.backend()
    return {
        "settings": train_inputs.settings() | dataclasses.asdict(settings),
        "backend": backend,
        "versions": {"python": platform.python_version(), "drnet_tf": VERSION}
        | {x: importlib.metadata.version(x) for x in ("keras", "numpy")}
        | {backend: importlib.metadata.version(backend)},
        "class_names": inputs.train.class_names,
        "images": {
            "train": len(inputs.train),
            "validation": len(inputs.held_back or ()),
            "test": len(inputs.test),
        },
        "fingerprint": fingerprint(trained.model),
        "parameters": trained.model.count_params(),
        "accuracy": accuracy,
        "history": trained.history,
    }


if __name__ == "__main__":
    running.run(main)
