"""A small set of real handwritten digits and a network trained on all of them.

Both come with the package, so that everything can be tried without a
download. `recipes/train_digits.py` made them; `data/LICENSE.md` says whose they
are, `data/digits.json` how they were made and how well the network does.
"""

from __future__ import annotations

import functools
import gzip
import importlib.resources
import math
import os
import zlib
from pathlib import Path

import keras
import numpy as np

from drnet_tf.labeled_images import LabeledImages

DIGIT_NAMES = tuple("0123456789")

_SPLITS = {"train": "train", "test": "t10k"}  # names of MNIST's own files


def load_digits(split: str) -> LabeledImages:
    """Returns the embedded handwritten digits, part of MNIST.

    Args:
      split: `"train"`, 150 images a digit out of MNIST's training images, or
        `"test"`, 100 a digit out of its test images.

    Returns:
      Images `(N, 28, 28, 1)` uint8, white (255) on black (0), in MNIST's
      order; class names `"0"` to `"9"`.

    Raises:
      ValueError: another split.

    Example:
      >>> load_digits("test").counts()["7"]
      100
    """
    _check_split(split)
    arrays = _digits_arrays()
    return LabeledImages(
        arrays[f"{split}_images"][..., None],
        arrays[f"{split}_labels"].astype(np.int64),
        DIGIT_NAMES,
    )


def digits_convnet() -> keras.Model:
    """Returns the embedded 5-layer ConvNet, trained on MNIST's 60,000 images.

    It reads `(batch, 28, 28, 1)` raw pixels 0..255 and gives 10 logits. Each
    call loads a new model.

    Example:
      >>> digits_convnet().output_shape
      (None, 10)
    """
    resource = importlib.resources.files("drnet_tf") / "data"
    with importlib.resources.as_file(resource / "digits_convnet.keras") as path:
        return keras.models.load_model(path, compile=False)


def read_mnist_files(
    folder: str | os.PathLike[str], split: str
) -> LabeledImages:
    """Reads MNIST from its original files, gzipped or not.

    Args:
      folder: holds `train-images-idx3-ubyte`, `train-labels-idx1-ubyte`,
        `t10k-images-idx3-ubyte` and `t10k-labels-idx1-ubyte` (or `.gz`).
      split: `"train"` (60,000 images) or `"test"` (10,000).

    Returns:
      Images `(N, 28, 28, 1)` uint8; class names `"0"` to `"9"`.

    Raises:
      ValueError: another split; a file that is missing or damaged.

    Example:
      >>> read_mnist_files("no/such/folder", "test")
      Traceback (most recent call last):
      ...
      ValueError: MNIST: neither 't10k-images-idx3-ubyte' nor \
't10k-images-idx3-ubyte.gz' is in 'no/such/folder', expected the four \
original files.
    """
    _check_split(split)
    images = _read_idx(Path(folder), f"{_SPLITS[split]}-images-idx3-ubyte", 3)
    labels = _read_idx(Path(folder), f"{_SPLITS[split]}-labels-idx1-ubyte", 1)
    return LabeledImages(images[..., None], labels, DIGIT_NAMES)


def _check_split(split: str) -> None:
    if split not in _SPLITS:
        raise ValueError(
            f"Digits: no split '{split}', expected 'train' or 'test'."
        )


@functools.cache
def _digits_arrays() -> dict[str, np.ndarray]:
    resource = importlib.resources.files("drnet_tf") / "data" / "digits.npz"
    with (
        resource.open("rb") as file,
        np.load(file, allow_pickle=False) as saved,
    ):
        arrays = dict(saved)
    for array in arrays.values():  # every caller gets the same arrays
        array.flags.writeable = False
    return arrays


def _read_idx(folder: Path, name: str, rank: int) -> np.ndarray:
    """Reads one IDX file: a magic number, the sizes, then uint8 values."""
    packed = folder / f"{name}.gz"
    try:
        if (folder / name).is_file():
            data = (folder / name).read_bytes()
        else:
            data = gzip.decompress(packed.read_bytes())
    except FileNotFoundError as error:
        raise ValueError(
            f"MNIST: neither '{name}' nor '{packed.name}' is in '{folder}', "
            "expected the four original files."
        ) from error
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise ValueError(
            f"MNIST: '{packed}' is damaged, expected a gzipped IDX file; fetch "
            "it again."
        ) from error
    start = 4 * (rank + 1)
    header = np.frombuffer(data[:start].ljust(start, b"\0"), ">i4").tolist()
    sizes = header[1:]
    if header[0] != 0x0800 + rank or len(data) - start != math.prod(sizes):
        raise ValueError(
            f"MNIST: '{folder / name}' is damaged, expected an IDX file of "
            f"rank {rank}; fetch it again."
        )
    return np.frombuffer(data, np.uint8, offset=start).reshape(sizes)
