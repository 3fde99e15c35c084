"""Small image backbones of keras-hub, made from the arguments of its classes.

keras-hub is optional: without it `networks()` is empty. Its backbones are
subclasses of Keras' Functional whose `call` is Keras' own.
"""

from __future__ import annotations

import functools
import importlib
from collections.abc import Callable
from typing import Any

import keras

_IMAGE = (64, 64, 3)
_RESNET = {
    "stackwise_num_filters": [64, 64, 64],
    "stackwise_num_blocks": [2, 2, 2],
    "stackwise_num_strides": [1, 2, 2],
}
_CSPNET = {
    "stem_filters": 32,
    "stem_kernel_size": 3,
    "stem_strides": 1,
    "stackwise_depth": [1, 2, 2],
    "stackwise_strides": [2, 2, 2],
    "stackwise_num_filters": [32, 64, 128],
}
_EFFICIENTNET = {
    "stackwise_num_repeats": [1, 2, 2],
    "stackwise_strides": [1, 2, 2],
    "stackwise_force_input_filters": [0, 0, 0],
    "stackwise_nores_option": [False, False, False],
    "width_coefficient": 1.0,
    "depth_coefficient": 1.0,
}
_MOBILENET = {
    "stackwise_expansion": [[40, 56], [64, 144], [72, 72]],
    "stackwise_num_blocks": [2, 2, 2],
    "stackwise_num_filters": [[16, 16], [24, 24], [48, 48]],
    "stackwise_kernel_size": [[3, 3], [5, 5], [5, 5]],
    "stackwise_num_strides": [[2, 1], [2, 1], [1, 1]],
    "stackwise_se_ratio": [[None, None], [0.25, 0.25], [0.3, 0.3]],
    "stackwise_activation": [["relu"] * 2, ["hard_swish"] * 2, ["relu"] * 2],
    "stackwise_padding": [[1, 1], [2, 2], [2, 2]],
    "output_num_filters": 96,
    "input_activation": "hard_swish",
    "output_activation": "hard_swish",
    "input_num_filters": 16,
    "depthwise_filters": 8,
    "depthwise_stride": 2,
    "depthwise_residual": False,
    "squeeze_and_excite": 0.5,
    "last_layer_filter": 96,
}
# name -> the class in `keras_hub.models`, its arguments
_BACKBONES: dict[str, tuple[str, dict[str, Any]]] = {
    "ResNet": (
        "ResNetBackbone",
        {
            **_RESNET,
            "input_conv_filters": [64],
            "input_conv_kernel_sizes": [7],
            "block_type": "basic_block",
        },
    ),
    "ResNetV2": (
        "ResNetBackbone",
        {
            **_RESNET,
            "input_conv_filters": [64],
            "input_conv_kernel_sizes": [7],
            "block_type": "bottleneck_block",
            "use_pre_activation": True,
        },
    ),
    "ResNet-vd": (
        "ResNetBackbone",
        {
            **_RESNET,
            "input_conv_filters": [32, 32, 64],
            "input_conv_kernel_sizes": [3, 3, 3],
            "block_type": "basic_block_vd",
        },
    ),
    "VGG": (
        "VGGBackbone",
        {
            "stackwise_num_repeats": [2, 2, 2],
            "stackwise_num_filters": [16, 32, 64],
        },
    ),
    "DenseNet": (
        "DenseNetBackbone",
        {"stackwise_num_repeats": [3, 3, 3], "growth_rate": 16},
    ),
    "Xception": (
        "XceptionBackbone",
        {
            "stackwise_conv_filters": [[32, 64], [64, 128], [256, 256]],
            "stackwise_pooling": [True, True, False],
        },
    ),
    "EfficientNet": (
        "EfficientNetBackbone",
        {
            **_EFFICIENTNET,
            "stackwise_kernel_sizes": [3, 3, 5],
            "stackwise_input_filters": [32, 16, 24],
            "stackwise_output_filters": [16, 24, 40],
            "stackwise_expansion_ratios": [1, 6, 6],
            "stackwise_squeeze_and_excite_ratios": [0.25, 0.25, 0.25],
            "stackwise_block_types": ["v1", "v1", "v1"],
        },
    ),
    "EfficientNetV2": (
        "EfficientNetBackbone",
        {
            **_EFFICIENTNET,
            "stackwise_kernel_sizes": [3, 3, 3],
            "stackwise_input_filters": [24, 24, 48],
            "stackwise_output_filters": [24, 48, 64],
            "stackwise_expansion_ratios": [1, 4, 4],
            "stackwise_squeeze_and_excite_ratios": [0, 0, 0.25],
            "stackwise_block_types": ["fused", "fused", "unfused"],
        },
    ),
    "DarkNet": (
        "CSPNetBackbone",
        {
            **_CSPNET,
            "block_type": "dark_block",
            "stage_type": "dark",
            "bottle_ratio": [0.5],
            "block_ratio": [1.0],
        },
    ),
    "CSPDarkNet": (
        "CSPNetBackbone",
        {
            **_CSPNET,
            "block_type": "dark_block",
            "stage_type": "csp",
            "bottle_ratio": (0.5, 1.0),
            "block_ratio": (1.0, 0.5),
            "expand_ratio": (2.0, 1.0),
            "down_growth": True,
        },
    ),
    "CSPResNeXt": (
        "CSPNetBackbone",
        {
            **_CSPNET,
            "block_type": "bottleneck_block",
            "stage_type": "csp",
            "groups": 8,
            "bottle_ratio": [1.0],
            "block_ratio": [0.5],
            "cross_linear": True,
        },
    ),
    "CS3DarkNet": (
        "CSPNetBackbone",
        {
            **_CSPNET,
            "block_type": "dark_block",
            "stage_type": "cs3",
            "bottle_ratio": [1.0],
            "block_ratio": [0.5],
        },
    ),
    "MobileNet": ("MobileNetBackbone", _MOBILENET),
    "MiT": (
        "MiTBackbone",
        {
            "layerwise_depths": [2, 2],
            "num_layers": 2,
            "layerwise_num_heads": [1, 2],
            "layerwise_sr_ratios": [8, 4],
            "max_drop_path_rate": 0.1,
            "layerwise_patch_sizes": [7, 3],
            "layerwise_strides": [4, 2],
            "hidden_dims": [32, 64],
        },
    ),
    "ViT": (
        "ViTBackbone",
        {
            "patch_size": 8,
            "num_layers": 2,
            "num_heads": 2,
            "hidden_dim": 64,
            "mlp_dim": 128,
        },
    ),
}


def networks() -> dict[str, Callable[[], keras.Model]]:
    """Functions that make the backbones; none without keras-hub."""
    try:
        models = importlib.import_module("keras_hub").models
    except ImportError:
        return {}
    return {
        name: functools.partial(
            getattr(models, kind), **arguments, **{_shape_name(kind): _IMAGE}
        )
        for name, (kind, arguments) in _BACKBONES.items()
    }


def _shape_name(kind: str) -> str:
    return "input_shape" if kind.startswith("Efficient") else "image_shape"
