"""One rule per family of operations; see `registry.Rule`.

Importing this package registers all of them, so `find_rule` is taken from here.
"""

from drnet_tf.channels.rules import (
    activations,
    batch_norm,
    concatenation,
    depthwise,
    grouped,
    linear,
    merging,
    mixing_norms,
    pointwise,
    prelu,
    rescaling,
    reshaping,
    softmax,
    spatial,
)
from drnet_tf.channels.rules.registry import find_rule

__all__ = [
    "activations",
    "batch_norm",
    "concatenation",
    "depthwise",
    "find_rule",
    "grouped",
    "linear",
    "merging",
    "mixing_norms",
    "pointwise",
    "prelu",
    "rescaling",
    "reshaping",
    "softmax",
    "spatial",
]
