"""How a pruned network is trained on the full network's answers."""

from __future__ import annotations

import dataclasses


@dataclasses.dataclass(frozen=True)
class Distillation:
    """How a pruned network is trained.

    The loss of an image with the full network's sub-task scores z and the
    pruned one's y is

        (1 - w) T^2 KL(softmax(z / T) || softmax(y / T)) + w CE(label, y)

    (Hinton, Vinyals, Dean, "Distilling the Knowledge in a Neural Network").

    Attributes:
      epochs: passes over the images, 1 or more.
      batch_size: images of a step, at most: all steps have the same number.
      learning_rate: at the start; it falls to 0 along half a cosine. None:
        0.02, or 0.01 if batch norms are not trained.
      momentum: of SGD, Nesterov's.
      temperature: T, > 0.
      label_weight: w, from 0 to 1; above 0 the images need labels.
      augment: whether images are shifted by up to an eighth and mirrored.
      train_norms: whether batch norms learn, and take the statistics of the
        images; if not, they stay the constants that they are at inference.
        Then no step's gradients have a greater norm than 1. None: unless least
        squares has fitted the other layers to them.
      patience: epochs without a better validation after which training ends.
      dtype_policy: e.g. "mixed_bfloat16"; None: the network's own.
      seed: of the order and of the augmentation.
    """

    epochs: int = 1
    batch_size: int = 128
    learning_rate: float | None = None
    momentum: float = 0.9
    temperature: float = 2.0
    label_weight: float = 0.0
    augment: bool = True
    train_norms: bool | None = None
    patience: int = 3
    dtype_policy: str | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        for name, least in (("epochs", 1), ("batch_size", 1), ("patience", 1)):
            if getattr(self, name) < least:
                raise ValueError(
                    f"finetune: {name} is {getattr(self, name)}, expected at "
                    f"least {least}."
                )
        for name in ("learning_rate", "temperature"):
            value = getattr(self, name)
            if value is not None and not value > 0:
                raise ValueError(
                    f"finetune: {name} is {value}, expected a number above 0."
                )
        if not 0 <= self.label_weight <= 1:
            raise ValueError(
                f"finetune: label_weight is {self.label_weight}, expected a "
                "number from 0 to 1."
            )
