"""The networks of the paper, untrained: raw pixels in, logits out.

Each begins with a `Rescaling` layer, so its input is images as they are stored
(0 to 255), and names its layers by one scheme: `block2_conv1`, `block2_bn1`,
`block2_relu1`, ..., `logits`.
"""

from drnet_tf.models.convnet import convnet
from drnet_tf.models.mobilenet_v2 import mobilenet_v2
from drnet_tf.models.resnet import resnet18
from drnet_tf.models.vgg import vgg16

__all__ = ["convnet", "mobilenet_v2", "resnet18", "vgg16"]
