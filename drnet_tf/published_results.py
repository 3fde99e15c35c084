"""What DRNet's paper reports, as far as it is known here.

Source: X. Hu, Z. An, C. Yang, H. Zhu, K. Xu, Y. Xu, "DRNet: Dissect and
Reconstruct the Convolutional Neural Network via Interpretable Manners", 2019,
arXiv 1911.08691.
The paper itself was not at hand: these are the figures that others tell of it,
and None is what is not known. Which table or picture of the paper holds what is
our reading, but for table 6 (promotions on ImageNet) and the pictures 7 (kept
channels by layer) and 8 (similar classes).
"""

from __future__ import annotations

import dataclasses
from typing import Final


@dataclasses.dataclass(frozen=True)
class PublishedRow:
    """What a table of the paper says of all sub-tasks of a size.

    Attributes:
      classes: of a sub-task.
      drop: mean loss of accuracy, a fraction.
      channels, parameters: mean running shares.
      gain_mean, gain_max, gain_min: of accuracy against the full network,
        fractions (table 6).
    """

    classes: int
    drop: float | None = None
    channels: float | None = None
    parameters: float | None = None
    gain_mean: float | None = None
    gain_max: float | None = None
    gain_min: float | None = None


@dataclasses.dataclass(frozen=True)
class PublishedTable:
    """A table of the paper.

    Attributes:
      title: what it compares.
      network: the paper's.
      dataset: its TFDS name.
      accuracy: of the network on all classes, a fraction.
      threshold: of the union rule (Eq. 3).
      rows: by size of the sub-tasks.
      notes: what else is known.
    """

    title: str
    network: str
    dataset: str
    rows: tuple[PublishedRow, ...]
    accuracy: float | None = None
    threshold: float | None = None
    notes: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True)
class PublishedFigure:
    """A picture of the paper.

    Attributes:
      reading: what we take it to show.
      sure: whether that is known; if not, it is our reading.
      known: what the paper says of it; None: not known.
    """

    reading: str
    sure: bool = False
    known: str | None = None


_PAIRS, _TRIPLES = PublishedRow(2), PublishedRow(3)
_RESIDUAL = (
    "The paper loses 1 to 2 points on residual networks; on which sub-tasks "
    "and data is not known."
)

TABLES: Final[dict[int, PublishedTable]] = {
    1: PublishedTable(
        "VGG16 on CIFAR-10",
        "VGG16",
        "cifar10",
        (
            PublishedRow(2, drop=0.004, channels=0.33, parameters=0.112),
            PublishedRow(3, parameters=0.225),
        ),
        accuracy=0.9398,
        threshold=6e-3,
        notes=("The share of channels is told as about a third.",),
    ),
    2: PublishedTable(
        "ResNet18 on CIFAR-10",
        "ResNet18",
        "cifar10",
        (_PAIRS, _TRIPLES),
        accuracy=0.9590,
        threshold=2e-3,
        notes=(_RESIDUAL,),
    ),
    3: PublishedTable(
        "MobileNetV2 on CIFAR-10",
        "MobileNetV2",
        "cifar10",
        (_PAIRS, _TRIPLES),
        accuracy=0.9338,
        threshold=8e-4,
    ),
    4: PublishedTable(
        "VGG16 on CIFAR-100",
        "VGG16",
        "cifar100",
        (_PAIRS, _TRIPLES),
        threshold=1e-2,
    ),
    5: PublishedTable(
        "ResNet18 on CIFAR-100",
        "ResNet18",
        "cifar100",
        (_PAIRS, _TRIPLES),
        threshold=6e-3,
        notes=(_RESIDUAL,),
    ),
    6: PublishedTable(
        "VGG16 on ImageNet, promotion of accuracy",
        "VGG16",
        "imagenet2012",
        (PublishedRow(2, channels=0.9, gain_mean=0.1429), _TRIPLES),
        notes=(
            "The share of channels is told as about 90 %. Over which outputs "
            "the paper counts is not known: among the sub-task's own a good "
            "network has hardly 14 points to gain, among all it has.",
        ),
    ),
}
"""The tables by number."""

FIGURES: Final[dict[int, PublishedFigure]] = {
    5: PublishedFigure(
        "Accuracy against the running channels and parameters as the union "
        "threshold grows, for sub-tasks of 2, 3, 5 and all classes."
    ),
    6: PublishedFigure(
        "Pairs under union masks (Eq. 3) against xor masks (Eq. 4), over their "
        "thresholds."
    ),
    7: PublishedFigure(
        "Kept channels of every layer for several sub-tasks.",
        sure=True,
        known="about a third of VGG16's channels for pairs of CIFAR-10",
    ),
    8: PublishedFigure(
        "Similarity of classes: intersection over union of the non-zero "
        "entries of their CIVs (Eq. 5).",
        sure=True,
    ),
    9: PublishedFigure(
        "What a network looks at: Grad-CAM of the full network beside that of "
        "the sub-network.",
        known="a sub-network 'uses the context information more targeted for "
        "sub-tasks' (abstract); figures of it are not known",
    ),
}
"""The pictures by number."""
