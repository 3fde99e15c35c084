"""The flags by which recipes name their images, and what opens them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from absl import flags

if TYPE_CHECKING:
    import keras
    import numpy as np

    from drnet_tf.datasets import LabeledImages
    from drnet_tf.split_images import SplitImages

_DATA = flags.DEFINE_string(
    "data",
    None,
    "The images: a prepared TFDS name such as cifar10, or a folder that holds "
    "<split>/<class>/*.jpg|png.",
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


def normalisation() -> dict[str, Any]:
    """What a `.tflite` file tells of its preprocessing: what was said of it."""
    from drnet_tf.preprocessing import parse_preprocessing

    if not flags.FLAGS["preprocessing"].present:
        return {}
    preprocessing = parse_preprocessing(flags.FLAGS.preprocessing)
    return {"mean": preprocessing.mean, "std": preprocessing.std}


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
    from drnet_tf.preprocessing import parse_preprocessing

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


def open_split(
    model: keras.Model, split: str
) -> tuple[Iterable[Any], tuple[str, ...]]:
    """Opens a split in the size and scale that the network expects.

    Returns:
      The images and labels, read as they are needed, and the class names.
    """
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
