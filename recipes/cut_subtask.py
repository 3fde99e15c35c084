"""Cuts the network of some classes out of a bundle, in milliseconds.

Reads: a bundle (`--bundle`, by build_bundle.py). Writes: the sub-network
(`--output`, a `.tflite` file with the labels of its classes); prints what it
holds. Needs NumPy, but neither TensorFlow nor LiteRT.

Example: python recipes/cut_subtask.py --bundle=vgg16.tflite \
  --classes=cat,dog --kept_fraction=0.3 --output=cat_dog.tflite
"""

from __future__ import annotations

import running
from absl import flags

_BUNDLE = flags.DEFINE_string("bundle", None, "The bundle.", required=True)
_CLASSES = flags.DEFINE_list(
    "classes", None, "Names, in the order of the outputs.", required=True
)
_OUTPUT = flags.DEFINE_string(
    "output", None, "The .tflite file to write.", required=True
)
_THRESHOLD = flags.DEFINE_float("threshold", None, "Least score that is kept.")
_FRACTION = flags.DEFINE_float(
    "kept_fraction", None, "Greatest share of the channels."
)
_PARAMETERS = flags.DEFINE_integer(
    "max_parameters", None, "Greatest number of parameters."
)
_RULE = flags.DEFINE_string(
    "rule", "union", "How classes are combined: union, xor or mean."
)
_ROUND_TO = flags.DEFINE_integer(
    "round_to", 8, "Channels are rounded up to a multiple of it."
)


def main() -> None:
    import drnet_tflite
    from drnet_tflite.bundles.whole_files import written_whole

    bundle = drnet_tflite.Bundle(_BUNDLE.value)
    bundle.verify()
    request = {
        "threshold": _THRESHOLD.value,
        "kept_fraction": _FRACTION.value,
        "max_parameters": _PARAMETERS.value,
        "rule": _RULE.value,
        "round_to": _ROUND_TO.value,
    }
    selection = bundle.select(_CLASSES.value, **request)
    content = bundle.extract(_CLASSES.value, **request)
    with written_whole(_OUTPUT.value) as partial:
        partial.write_bytes(content)
    channels = sum(map(len, selection.kept))
    total = sum(bundle.plan.widths)
    print(
        f"{_OUTPUT.value}: {len(content):,} of {bundle.size:,} bytes, "
        f"{channels:,} of {total:,} channels, "
        f"{selection.parameters(bundle.plan):,} parameters, for "
        f"{', '.join(_CLASSES.value)}"
    )


if __name__ == "__main__":
    running.run(main, tensorflow=False)
