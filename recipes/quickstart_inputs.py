"""What the quickstart works on: the embedded digits, or a user's network."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import data_flags
from absl import flags

if TYPE_CHECKING:
    import keras

    from drnet_tf.datasets import LabeledImages

_MODEL = flags.DEFINE_string(
    "model", None, "The .keras file; by default the ConvNet of the package."
)
_CLASSES = flags.DEFINE_multi_string(
    "classes",
    None,
    "Classes of one small network, e.g. cat,dog; may be given several times.",
)
_TRAIN = flags.DEFINE_string("train_split", "train", "Split that decides.")
_TEST = flags.DEFINE_string("test_split", "test", "Split of the figures.")
_VALIDATION_IMAGES = flags.DEFINE_integer(
    "validation_images", 150, "Training images a class that choose, at most."
)
_TEST_IMAGES = flags.DEFINE_integer(
    "test_images", 500, "Test images a class, at most, drawn by seed."
)
_FLAGS = (
    _MODEL, _CLASSES, _TRAIN, _TEST, _VALIDATION_IMAGES, _TEST_IMAGES,
)  # fmt: skip
# Here `--data` has a default, and so need not be given.
flags.FLAGS.set_default("data", data_flags.DIGITS)

_DIGIT_SUBTASKS = (
    "1,7", "3,8", "4,9", "0,1,2", "3,5,8", "0,2,4,6,8",
)  # fmt: skip

COMMANDS = """\
# All in one: --data is a folder DIR/<split>/<class>/*.jpg or a TFDS name.
python recipes/quickstart.py --model=my.keras --data=DIR \\
  --preprocessing=unit --classes=cat,dog --output=my_small_networks

# Step by step: dissect once, ...
python recipes/build_civ.py --model=my.keras --data=DIR \\
  --preprocessing=unit --output=my_civ.safetensors
# ... then any sub-task in seconds, by accuracy or by size, ...
python recipes/build_cciv.py --model=my.keras --civ=my_civ.safetensors \\
  --classes=cat,dog --max_parameters=0.3 --output=pets
# ... judged on test images, and made ready for a device.
python recipes/evaluate.py --model=my.keras --mask=pets/mask.safetensors \\
  --data=DIR --preprocessing=unit --output=pets_accuracy.json
python recipes/convert_tflite.py --model=pets/model.keras \\
  --labels=cat,dog --output=pets.tflite"""


@dataclasses.dataclass(frozen=True, eq=False)
class Inputs:
    """A network, its images, and what is wanted of it.

    Attributes:
      model: the full network.
      data: where the images came from, in words.
      class_names: all classes, in the order of the network's outputs.
      subtasks: the classes of each small network.
      train: training images as the network expects them, to dissect.
      validation: a few of them, to choose thresholds.
      test: images of the test split, for the figures.
    """

    model: keras.Model
    data: str
    class_names: tuple[str, ...]
    subtasks: tuple[tuple[str, ...], ...]
    train: Any
    validation: LabeledImages
    test: LabeledImages


def settings() -> dict[str, Any]:
    """The values of the flags, for the result's JSON."""
    return {f.name: f.value for f in _FLAGS}


def load(rule: str, max_drop: float, seed: int) -> Inputs:
    """Reads the network and its images; refuses what would fail later."""
    from drnet_tf.budgets import check_max_drop
    from drnet_tf.names import class_rows
    from drnet_tf.reporting.samples import sample
    from drnet_tf.rules import check_rule
    from drnet_tf.sites import gate_sites

    check_max_drop(max_drop)
    subtasks = _subtasks()
    model = data_flags.network(_MODEL.value)
    gate_sites(model)
    train, class_names = data_flags.open_split(model, _TRAIN.value)
    test, test_names = data_flags.open_split(model, _TEST.value)
    if test_names != class_names:
        raise ValueError(
            f"--test_split={_TEST.value}: its classes {', '.join(test_names)} "
            f"are not those of '{_TRAIN.value}', {', '.join(class_names)}; "
            "give both splits the same class folders."
        )
    for classes in subtasks:
        class_rows(classes, class_names)
        check_rule(rule, classes)
    wanted = sorted({name for classes in subtasks for name in classes})
    return Inputs(
        model,
        data_flags.describe(),
        class_names,
        subtasks,
        train,
        sample(train, wanted, class_names, _VALIDATION_IMAGES.value, seed=seed),
        sample(test, wanted, class_names, _TEST_IMAGES.value, seed=seed),
    )


def _subtasks() -> tuple[tuple[str, ...], ...]:
    texts: Sequence[str] | None = _CLASSES.value
    if texts is None:
        if flags.FLAGS.data != data_flags.DIGITS:
            raise ValueError(
                "--classes: got none, expected the classes of each small "
                "network, e.g. --classes=cat,dog; they are not known for "
                "images of yours."
            )
        texts = _DIGIT_SUBTASKS
    parts = (tuple(x.strip() for x in text.split(",")) for text in texts)
    return tuple(dict.fromkeys(parts))
