"""What `train.py` works on: an untrained network and its images."""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Callable
from typing import TYPE_CHECKING

from absl import flags

if TYPE_CHECKING:
    import keras

    from drnet_tf.labeled_images import LabeledImages

_DIGITS = "digits"
_NETWORK = flags.DEFINE_enum(
    "network", None, ["vgg16", "resnet18", "mobilenet_v2", "convnet"],
    "Which of drnet_tf.models.", required=True,
)  # fmt: skip
_SHAPE = flags.DEFINE_list(
    "image_shape", None, "height,width,channels; by default the network's own."
)
_DATA = flags.DEFINE_string(
    "data",
    None,
    "The images: a prepared TFDS name such as cifar10, a folder that holds "
    "<split>/<class>/*.jpg|png, or digits.",
    required=True,
)
_DATA_DIR = flags.DEFINE_string("data_dir", None, "Where TFDS keeps its data.")
_TRAIN = flags.DEFINE_string("train_split", "train", "Split to train on.")
_TEST = flags.DEFINE_string("test_split", "test", "Split of the final figure.")
_IMAGES = flags.DEFINE_integer(
    "images_per_class", None, "Of the train split; by default all."
)
_HELD_BACK = flags.DEFINE_integer(
    "validation_images", 100, "Of each class, held back to watch the training."
)
_FLAGS = (
    _NETWORK, _SHAPE, _DATA, _DATA_DIR, _TRAIN, _TEST, _IMAGES, _HELD_BACK,
)  # fmt: skip


@dataclasses.dataclass(frozen=True, eq=False)
class Inputs:
    """A network and its images, raw pixels 0..255.

    Attributes:
      network: untrained, with weights drawn by the seed.
      train: images to train on.
      held_back: of the same split, to watch the training; None: none.
      test: images of the final figure.
    """

    network: keras.Model
    train: LabeledImages
    held_back: LabeledImages | None
    test: LabeledImages


def settings() -> dict[str, object]:
    """The values of the flags, for a result's JSON."""
    return {flag.name: flag.value for flag in _FLAGS}


def load(seed: int) -> Inputs:
    """Reads the images, the test split as well, and builds the network.

    What is wrong with either is so said before the training.
    """
    import keras

    shape = _image_shape()
    train = _read(_TRAIN.value, shape)
    test = _read(_TEST.value, shape, train.class_names)
    if _IMAGES.value is not None:
        train = train.take(_IMAGES.value, seed=seed)
    held_back = None
    if _HELD_BACK.value:
        _check_held_back(train)
        held_back, train = train.split(_HELD_BACK.value, seed=seed)
    keras.utils.set_random_seed(seed)
    network = _builder()(len(train.class_names), shape)
    return Inputs(network, train, held_back, test)


def _read(
    split: str,
    shape: tuple[int, int, int],
    class_names: tuple[str, ...] | None = None,
) -> LabeledImages:
    from drnet_tf.datasets import load_split
    from drnet_tf.digits import load_digits

    if _DATA.value == _DIGITS and _DATA_DIR.value is None:
        return load_digits(split)
    return load_split(
        _DATA.value,
        split,
        image_shape=shape,
        data_dir=_DATA_DIR.value,
        class_names=class_names,
    )


def _check_held_back(train: LabeledImages) -> None:
    counts = {name: n for name, n in train.counts().items() if n}
    fewest = min(counts, key=lambda name: counts[name])
    if not 0 < _HELD_BACK.value < counts[fewest]:
        raise ValueError(
            f"--validation_images: got {_HELD_BACK.value}, expected 0 to "
            f"{counts[fewest] - 1}, as class '{fewest}' has {counts[fewest]} "
            "images and some must be left to train on."
        )


def _image_shape() -> tuple[int, int, int]:
    if _SHAPE.value is None:
        if _DATA.value == _DIGITS:
            return (28, 28, 1)
        default = inspect.signature(_builder()).parameters["input_shape"]
        shape: tuple[int, int, int] = default.default
        return shape
    try:
        height, width, channels = map(int, _SHAPE.value)
    except ValueError as error:
        raise ValueError(
            f"--image_shape: got '{','.join(_SHAPE.value)}', expected "
            "height,width,channels such as 32,32,3."
        ) from error
    return height, width, channels


def _builder() -> Callable[..., keras.Model]:
    from drnet_tf import models

    builder: Callable[..., keras.Model] = getattr(models, _NETWORK.value)
    return builder
