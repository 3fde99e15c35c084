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
    mixing_norms,
    padding,
    pointwise,
    prelu,
    products,
    reductions,
    rescaling,
    reshaping,
    slicing,
    softmax,
    spatial,
    sums,
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
    "mixing_norms",
    "padding",
    "pointwise",
    "prelu",
    "products",
    "reductions",
    "rescaling",
    "reshaping",
    "slicing",
    "softmax",
    "spatial",
    "sums",
]
