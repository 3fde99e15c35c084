"""What the networks have in common: their input, norms and classifier."""

from __future__ import annotations

from typing import Any

import keras
from keras import layers


def check_sizes(
    name: str,
    num_classes: int,
    input_shape: tuple[int, int, int],
    smallest: int,
) -> None:
    """Refuses sizes that make no network, before anything is built.

    Args:
      name: of the network, for the message.
      num_classes: K.
      input_shape: `(height, width, channels)`.
      smallest: side in pixels below which nothing of an image would be left.

    Raises:
      ValueError: K is below 2, the shape is no such triple, or the images are
        too small.
    """
    if num_classes < 2:
        raise ValueError(
            f"{name}: got num_classes={num_classes}, expected two or more; a "
            "single score decides nothing."
        )
    if len(input_shape) != 3 or min(input_shape[:2]) < smallest:
        raise ValueError(
            f"{name}: got input_shape={tuple(input_shape)}, expected (height, "
            f"width, channels) with sides of {smallest} pixels or more; "
            "enlarge the images."
        )


def raw_pixels(
    input_shape: tuple[int, int, int],
) -> tuple[keras.KerasTensor, keras.KerasTensor]:
    """The input of a network, raw pixels 0..255, and the same as -1..1."""
    image = keras.Input(input_shape, name="image")
    return image, layers.Rescaling(1 / 127.5, -1.0, name="rescaling")(image)


def convolution(filters: int, size: int, name: str, **options: Any) -> Any:
    """A Conv2D layer that keeps the image size at stride 1, He-initialised."""
    return layers.Conv2D(
        filters,
        size,
        padding="same",
        kernel_initializer="he_normal",
        name=name,
        **options,
    )


def norm(name: str) -> Any:
    """Batch norm as in the networks' original code: ε 1e-5, momentum 0.9."""
    return layers.BatchNormalization(momentum=0.9, epsilon=1e-5, name=name)


def classified(
    image: keras.KerasTensor, x: keras.KerasTensor, num_classes: int, name: str
) -> keras.Model:
    """The whole network: pools the last feature maps, and scores the classes.

    Args:
      image: the network's input.
      x: last feature maps, `(batch, height, width, channels)`.
      num_classes: K.
      name: of the network.
    """
    x = layers.GlobalAveragePooling2D(name="gap")(x)
    logits = layers.Dense(num_classes, name="logits")(x)
    return keras.Model(image, logits, name=name)
