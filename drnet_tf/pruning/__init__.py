"""Exact channel surgery: a mask in, a physically smaller Keras model out.

Graph ─ analysis (channel flow, one rule per operation family) ─▶ what stays
    ─ surgery (silence, rebuild) ─▶ keras.Model ─ accounting ─▶ PruneReport
"""

from drnet_tf.channels.rules.registry import Part, Rule, register_rule
from drnet_tf.pruning.pruned_model import PrunedModel, prune
from drnet_tf.pruning.report import PruneReport

__all__ = [
    "Part",
    "PruneReport",
    "PrunedModel",
    "Rule",
    "prune",
    "register_rule",
]
