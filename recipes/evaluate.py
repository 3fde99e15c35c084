"""Evaluates the full and the small network of a sub-task on test images.

Reads: the full `.keras` classifier (`--model`), its images (`--data`,
`--split`, `--preprocessing`), and a sub-network: a mask (`--mask`, by
build_cciv.py, which the network is pruned by) or a small network of any origin
(`--pruned`, with the names of its outputs in `--classes`).
Writes: `--output`, a JSON with the settings and figures: accuracy of both by
the softmax over the sub-task's classes alone, in all and by class; running
channels, parameters and MACs, counted the paper's way; those of both networks
as they are; and, with a mask, how far the outputs of the pruned network are
from those of the masked one. Prints the same figures.

Reproduces the measures of section 4 of DRNet. Example:
  python recipes/evaluate.py --model=vgg16.keras --data=cifar10 \
    --preprocessing=cifar10 --mask=cat_dog/mask.safetensors --output=pair.json

VGG16 on 2,000 images of CIFAR-10: half a minute on 2 cores.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import data_flags
import running
from absl import flags

if TYPE_CHECKING:
    import keras

    from drnet_tf.masks import ChannelMask

_MODEL = flags.DEFINE_string("model", None, "The full network.", required=True)
_MASK = flags.DEFINE_string("mask", None, "The mask (CCIV) of a sub-task.")
_PRUNED = flags.DEFINE_string("pruned", None, "Instead: a small .keras file.")
_CLASSES = flags.DEFINE_list("classes", None, "Outputs of --pruned, in order.")
_OUTPUT = flags.DEFINE_string("output", None, "JSON to write.", required=True)
_SPLIT = flags.DEFINE_string("split", "test", "Split that is evaluated.")
_FLAGS = (_MODEL, _MASK, _PRUNED, _CLASSES, _OUTPUT, _SPLIT)


def main() -> None:
    import keras

    from drnet_tf.artifacts import check_writable, write_json
    from drnet_tf.classifier import find_classifier
    from drnet_tf.names import class_rows
    from drnet_tf.reporting.comparison import compare

    check_writable(_OUTPUT.value)
    mask = _mask()
    model = keras.models.load_model(_MODEL.value, compile=False)
    find_classifier(model)
    images, class_names = data_flags.open_split(model, _SPLIT.value)
    classes = tuple(_CLASSES.value or ()) if mask is None else mask.class_names
    class_rows(classes, class_names)
    small = _small(model, mask, classes, class_names)
    comparison = compare(model, small, images, classes, class_names, mask=mask)
    settings = {f.name: f.value for f in _FLAGS} | data_flags.settings()
    write_json(_OUTPUT.value, {"settings": settings, **comparison.as_dict()})
    print(comparison)
    print(f"  settings and figures in {_OUTPUT.value}")


def _mask() -> ChannelMask | None:
    from drnet_tf.masks import ChannelMask

    if (_MASK.value is None) == (_PRUNED.value is None):
        raise ValueError(
            f"--mask, --pruned: got {'both' if _MASK.value else 'none'}, "
            "expected exactly one of them."
        )
    if (_PRUNED.value is None) != (_CLASSES.value is None):
        raise ValueError(
            "--classes: expected with --pruned, to name its outputs, and not "
            "with --mask, which knows its classes."
        )
    return None if _MASK.value is None else ChannelMask.load(_MASK.value)


def _small(
    model: keras.Model,
    mask: ChannelMask | None,
    classes: tuple[str, ...],
    class_names: tuple[str, ...],
) -> keras.Model:
    import keras

    from drnet_tf.pruning import prune

    if mask is None:
        return keras.models.load_model(_PRUNED.value, compile=False)
    pruned = prune(model, mask, classes=classes, class_names=class_names)
    return pruned.model


if __name__ == "__main__":
    running.run(main)
