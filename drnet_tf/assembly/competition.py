"""How the parts of an assembled network compete for an image."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def competition(
    outputs: np.ndarray, labels: np.ndarray, sizes: Sequence[int]
) -> dict[str, float]:
    """What an assembled network gets right, and what its parts cost each other.

    Args:
      outputs: `(N, K)` logits, the classes of one part after those of another.
      labels: `(N,)` int, numbers of the outputs.
      sizes: classes of each part; their sum is K.

    Returns:
      "accuracy": the share of images whose highest output is their class's;
      "right_part": whose highest output is of the part that has the class;
      "within_part": whose class is the highest of its own part: what the parts
      reach if nobody competes, an upper bound of the accuracy.

    Raises:
      ValueError: sizes that are not those of the outputs.

    Example:
      >>> outputs = np.array([[3.0, 1.0, 9.0], [5.0, 2.0, 0.0]])
      >>> competition(outputs, np.array([0, 0]), [2, 1])
      {'accuracy': 0.5, 'right_part': 0.5, 'within_part': 1.0}
    """
    if sum(sizes) != outputs.shape[1]:
        raise ValueError(
            f"competition: got parts of {list(sizes)} classes for "
            f"{outputs.shape[1]} outputs, expected as many."
        )
    part = np.repeat(np.arange(len(sizes)), sizes)
    found = outputs.argmax(1)
    own = np.where(part == part[labels][:, None], outputs, -np.inf)
    return {
        "accuracy": float((found == labels).mean()),
        "right_part": float((part[found] == part[labels]).mean()),
        "within_part": float((own.argmax(1) == labels).mean()),
    }
