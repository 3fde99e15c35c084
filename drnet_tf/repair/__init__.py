"""Repair: the pruned network made to reproduce the full one, without labels."""

from drnet_tf.repair.repair import repair

__all__ = ["repair"]
