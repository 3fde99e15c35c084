"""Assembly: components of several networks joined into one model."""

from drnet_tf.assembly.component import Component
from drnet_tf.assembly.joining import assemble

__all__ = ["Component", "assemble"]
