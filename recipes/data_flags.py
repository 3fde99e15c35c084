"""The flags by which recipes name their images, and what opens them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from absl import flags

if TYPE_CHECKING:
    import keras
    import numpy as np

    from drnet_tf.datasets import LabeledImages
    from drnet_tf.split_images import SplitImages

DIGITS = "digits"
# ImageNet's split of that name has no labels.
_TEST_SPLITS = {"imagenet2012": "validation"}
_DATA = flags.DEFINE_string(
    "data",
    None,
    "The images: a prepared TFDS name such as cifar10, a folder that holds "
    "<split>/<class>/*.jpg|png, or digits, which come with the package.",
    required=True,
)
_DATA_DIR = flags.DEFINE_string(
    "data_dir", None, "Where TFDS keeps its data; by default its own folder."
)
_PREPROCESSING = flags.DEFINE_string(
    "preprocessing",
    "none",
    "What the network expects of pixels 0..255: a name (none, unit, zero_one, "
    "cifar10, imagenet_torch, efficientnet_lite) or mean/std, e.g. 127/128.",
)


def settings() -> dict[str, str | None]:
    """The values of the flags, for a result's JSON."""
    return {f.name: f.value for f in (_DATA, _DATA_DIR, _PREPROCESSING)}


def portable_settings(
    own: Iterable[flags.FlagHolder[Any]], files: Sequence[str]
) -> dict[str, Any]:
    """The values of flags as results that are shared tell them.

    Args:
      own: the recipe's flags; those of the images are added.
      files: names of flags that name files: where these lie is a matter of this
        machine, so the last parts of their paths alone are told.
    """
    found = {f.name: f.value for f in own} | settings()
    found.pop("data_dir")
    for name in files:
        value = found[name]
        if isinstance(value, list):
            found[name] = [Path(x).name for x in value]
        elif value is not None:
            found[name] = Path(value).name
    return found


def normalisation() -> dict[str, Any]:
    """What a `.tflite` file tells of its preprocessing: what was said of it."""
    from drnet_tf.preprocessing import parse_preprocessing

    if not flags.FLAGS["preprocessing"].present:
        return {}
    preprocessing = parse_preprocessing(flags.FLAGS.preprocessing)
    return {"mean": preprocessing.mean, "std": preprocessing.std}


def network(path: str | None) -> keras.Model:
    """The classifier of a `.keras` file; without one, that of the digits."""
    import keras

    from drnet_tf.classifier import find_classifier
    from drnet_tf.digits import digits_convnet

    if path is None and _DATA.value != DIGITS:
        raise ValueError(
            "--model: got none, but --data names images of yours; pass the "
            ".keras file of the network that was trained on them."
        )
    model = (
        digits_convnet()
        if path is None
        else keras.models.load_model(path, compile=False)
    )
    find_classifier(model)
    return model


def check_names(names: Sequence[str], expected: Sequence[str]) -> None:
    """Refuses images of other classes than those that were dissected."""
    if tuple(names) != tuple(expected):
        raise ValueError(
            f"--data: its classes are {', '.join(names)}, those of the CIVs "
            f"{', '.join(expected)}; pass the data that was dissected."
        )


def load(
    model: keras.Model,
    split: str,
    images_per_class: int | None,
    seed: int,
    class_names: Sequence[str] | None = None,
) -> LabeledImages:
    """Draws images of a split by seed, in the size and scale expected.

    None of `images_per_class` takes all of them.
    """
    from drnet_tf.datasets import LabeledImages, load_split
    from drnet_tf.digits import load_digits
    from drnet_tf.preprocessing import parse_preprocessing

    if _DATA.value == DIGITS:
        raw = load_digits(split)
    else:
        raw = load_split(
            _DATA.value,
            split,
            image_shape=model.input_shape[1:],
            data_dir=_DATA_DIR.value,
            class_names=class_names,
        )
    if images_per_class is not None:
        raw = raw.take(images_per_class, seed=seed)
    images = parse_preprocessing(_PREPROCESSING.value)(raw.images)
    return LabeledImages(images, raw.labels, raw.class_names)


def draw_classes(
    model: keras.Model,
    split: str,
    images_per_class: int,
    seed: int,
    classes: Sequence[str],
) -> LabeledImages:
    """Draws images of some classes by seed; no others are held in memory.

    Returns:
      The images, as `load` gives them, with labels numbered in `classes`.
    """
    import numpy as np

    from drnet_tf.datasets import LabeledImages
    from drnet_tf.reporting.samples import sample

    images, names = open_split(model, split)
    drawn = sample(images, classes, names, images_per_class, seed=seed)
    numbers = np.zeros(len(names), np.int64)
    numbers[[names.index(name) for name in classes]] = np.arange(len(classes))
    return LabeledImages(drawn.images, numbers[drawn.labels], tuple(classes))


def test_split() -> str:
    """The split with labels on which networks are tested."""
    return _TEST_SPLITS.get(_DATA.value.split(":")[0], "test")


def open_split(
    model: keras.Model, split: str
) -> tuple[Iterable[Any], tuple[str, ...]]:
    """Opens a split in the size and scale that the network expects.

    Returns:
      The images and labels, read as they are needed, and the class names.
    """
    from drnet_tf.digits import load_digits
    from drnet_tf.preprocessing import parse_preprocessing

    if _DATA.value == DIGITS:
        preprocessing = parse_preprocessing(_PREPROCESSING.value)
        digits = load_digits(split)
        return preprocessing.of(digits), digits.class_names
    split_images = named_split(model, split)
    stream = split_images.open()
    return split_images.dataset(stream), stream.class_names


def named_split(model: keras.Model, split: str) -> SplitImages:
    """The split by name, for processes that open it for themselves."""
    from drnet_tf.preprocessing import parse_preprocessing
    from drnet_tf.split_images import SplitImages

    return SplitImages(
        _DATA.value,
        split,
        model.input_shape[1:],
        _DATA_DIR.value,
        parse_preprocessing(_PREPROCESSING.value),
    )


def image_at(
    model: keras.Model, split: str, position: int
) -> tuple[np.ndarray, str]:
    """The image at a position of a split, as `open_split` reads it.

    Returns:
      The image `(height, width, channels)` and the name of its class.
    """
    images, class_names = open_split(model, split)
    first = 0
    for some, labels in images:
        if position < first + len(labels):
            at = position - first
            return some[at], class_names[int(labels[at])]
        first += len(labels)
    raise ValueError(
        f"Split '{split}': no image {position}, it has {first}; expected a "
        f"position in 0..{first - 1}."
    )


def read_image(model: keras.Model, path: str) -> np.ndarray:
    """A picture in the size and scale that the network expects."""
    import keras
    import numpy as np

    from drnet_tf.image_sources import fit_image
    from drnet_tf.preprocessing import parse_preprocessing

    picture = np.asarray(keras.utils.load_img(path))
    fitted = fit_image(picture, model.input_shape[1:]).numpy()
    return parse_preprocessing(_PREPROCESSING.value)(fitted)


def pixels(images: np.ndarray) -> np.ndarray:
    """Uint8 pixels of images as `load` gives them, to be shown."""
    from drnet_tf.preprocessing import parse_preprocessing

    return parse_preprocessing(_PREPROCESSING.value).undo(images)


def describe() -> str:
    """Where the images came from, in words."""
    if _DATA.value == DIGITS:
        return "the handwritten digits of the package (a part of MNIST)"
    return f"images of '{Path(_DATA.value).name}'"
