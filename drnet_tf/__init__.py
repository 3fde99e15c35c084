"""Dissects a trained Keras classifier into small networks for a few classes."""

from __future__ import annotations

from drnet_tf.version import VERSION as __version__

__all__ = ["__version__"]
