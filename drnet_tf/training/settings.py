"""How a network is trained: `Training`."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import keras

from drnet_tf.training.schedules import SCHEDULES

_AT_LEAST = {"epochs": 1, "batch_size": 1, "padding": 0, "seed": 0}


@dataclasses.dataclass(frozen=True)
class Training:
    """How a network is trained; the defaults are DRNet's for CIFAR.

    Each update is SGD with momentum μ and weight decay δ on the mean
    cross-entropy L of a batch, with the rate η_t of `schedules.learning_rates`:

        v ← μ v - η_t (∂L/∂w + δ w),    w ← w + v.

    Every epoch sees each image once, in an order of its own; images are padded
    with zeros, cropped back at random and mirrored.

    Departures: how the paper's learning rate falls is not known to us, see
    `schedules.learning_rates`. The weights are those after the last epoch.

    Attributes:
      epochs: passes over the images, 1 or more.
      batch_size: images of an update; the last ones of an epoch may be fewer.
      schedule: "paper" or "one_cycle".
      learning_rate: the highest of the schedule, > 0.
      momentum: μ, from 0 to below 1.
      weight_decay: δ, 0 or more; of all weights that are trained.
      padding: pixels on each side before cropping; 0: images are not moved.
      flip: whether half of the images are mirrored.
      dtype_policy: "float32", "mixed_bfloat16" or "mixed_float16".
      jit: whether TensorFlow compiles by XLA, which is slow on CPUs. JAX always
        compiles.
      seed: of order, augmentation and dropout, 0 or more. (The weights at the
        start are the caller's.)

    Raises:
      ValueError: a value out of its range.

    Example:
      >>> Training.one_cycle(batch_size=128)
      Training(epochs=30, batch_size=128, schedule='one_cycle',
      learning_rate=0.1, momentum=0.9, weight_decay=0.0005, padding=4,
      flip=True, dtype_policy='float32', jit=False, seed=0)
    """

    epochs: int = 550
    batch_size: int = 256
    schedule: str = "paper"
    learning_rate: float = 0.1
    momentum: float = 0.9
    weight_decay: float = 1e-5
    padding: int = 4
    flip: bool = True
    dtype_policy: str = "float32"
    jit: bool = False
    seed: int = 0

    def __post_init__(self) -> None:
        for name, least in _AT_LEAST.items():
            _expect(
                getattr(self, name) >= least, self, name, f"{least} or more"
            )
        rate, decay = self.learning_rate, self.weight_decay
        _expect(
            rate > 0 and math.isfinite(rate),
            self,
            "learning_rate",
            "a finite number above 0",
        )
        _expect(0 <= self.momentum < 1, self, "momentum", "0 to below 1")
        _expect(
            decay >= 0 and math.isfinite(decay),
            self,
            "weight_decay",
            "a finite number of 0 or more",
        )
        _expect(
            self.schedule in SCHEDULES,
            self,
            "schedule",
            f"one of {', '.join(SCHEDULES)}",
        )
        _check_policy(self.dtype_policy)

    @classmethod
    def one_cycle(cls, **changes: Any) -> Training:
        """A short training: 30 epochs of one cycle, weight decay 5e-4.

        Args:
          **changes: fields that differ from it.
        """
        settings = cls(schedule="one_cycle", epochs=30, weight_decay=5e-4)
        return dataclasses.replace(settings, **changes)

    def updates(self, images: int) -> int:
        """Updates of one epoch over so many images.

        Example:
          >>> Training(batch_size=256).updates(50_000)
          196
        """
        return -(-images // self.batch_size)


def _expect(holds: bool, settings: Training, name: str, expected: str) -> None:
    if not holds:
        value = getattr(settings, name)
        raise ValueError(
            f"train: {name} is {value!r}, expected {expected}; change that "
            "setting."
        )


def _check_policy(name: str) -> None:
    """Weights that were rounded at every update would hardly learn."""
    try:
        policy = keras.DTypePolicy(name)
    except (ValueError, TypeError):
        policy = None
    if policy is None or policy.variable_dtype != "float32":
        raise ValueError(
            f"train: dtype_policy is {name!r}, expected one that keeps weights "
            "in float32; pass float32, mixed_bfloat16 or mixed_float16."
        )
