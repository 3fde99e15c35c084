"""The main job in one command: a trained network in, small networks out.

Reads: without any flag, the handwritten digits and the ConvNet that come with
the package. Or a `.keras` classifier (`--model`), its images (`--data`,
`--preprocessing`) and the classes wanted (`--classes`, once for each small
network). Thresholds are chosen on training images alone, as the fewest channels
at a drop of at most `--max_drop` points; figures are of the test split.
Writes into `--output`: `civ.safetensors`; for each small network a folder with
`model.keras`, `mask.safetensors`, `subtask.json` and `model.tflite`; further
`full.tflite`; `quickstart.json`, settings and figures; `index.html`, all of it
on one page with pictures.

Examples:
  python recipes/quickstart.py
  python recipes/quickstart.py --model=vgg16.keras --data=cifar10 \
    --preprocessing=cifar10 --classes=cat,dog --classes=airplane,truck,ship

The digits take a minute on 2 cores, VGG16 about 10.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import data_flags
import quickstart_inputs
import running
import small_networks
from absl import flags

if TYPE_CHECKING:
    from drnet_tf.subtasks import DRNet

_OUTPUT = flags.DEFINE_string("output", "quickstart_out", "Folder to write.")
_CIV = flags.DEFINE_string(
    "civ", None, "CIVs made earlier; by default the network is dissected."
)
_IMAGES = flags.DEFINE_integer("images_per_class", 100, "Dissected images.")
_MAX_DROP = flags.DEFINE_float("max_drop", 1.0, "Of accuracy, in points.")
_RULE = flags.DEFINE_string("rule", "mean", "union, xor (pairs) or mean.")
_SEED = flags.DEFINE_integer("seed", 0, "Decides which images are drawn.")
_STARTED = time.monotonic()  # before TensorFlow is loaded
_FLAGS = (_OUTPUT, _CIV, _IMAGES, _MAX_DROP, _RULE, _SEED)


def main() -> None:
    from drnet_tf.reporting.output_folder import check_folder, staged

    output = Path(_OUTPUT.value)
    check_folder(output)
    inputs = quickstart_inputs.load(_RULE.value, _MAX_DROP.value, _SEED.value)
    drnet, seconds = _dissected(inputs, output)
    settings = quickstart_inputs.settings() | data_flags.settings()
    results: dict[str, Any] = {
        "settings": settings | {f.name: f.value for f in _FLAGS},
        "network": inputs.model.name,
        "data": inputs.data,
        "class_names": list(inputs.class_names),
        "max_drop": _MAX_DROP.value,
        "diagnostics": drnet.importance.diagnostics,
        "seconds": seconds,
    }
    print(
        f"Small networks within {_MAX_DROP.value:.1f} points of the full "
        "network's accuracy, on training images"
    )
    with staged(output) as draft:
        small_networks.write_all(
            drnet,
            inputs,
            results,
            draft,
            max_drop=_MAX_DROP.value,
            rule=_RULE.value,
        )
    print(f"Open {output / 'index.html'}; figures in quickstart.json beside.")
    print(f"Whole run: {time.monotonic() - _STARTED:.0f} s")


def _dissected(
    inputs: quickstart_inputs.Inputs, output: Path
) -> tuple[DRNet, float | None]:
    """The network with its CIVs, and the seconds that they took.

    They are kept in `output` at once, as they are the longest work.
    """
    from drnet_tf.dissection.dissect import dissect
    from drnet_tf.importance import ChannelImportance
    from drnet_tf.subtasks import DRNet

    if _CIV.value is not None:
        made = ChannelImportance.load(_CIV.value)
        return DRNet(inputs.model, made), None
    print(
        f"Dissecting '{inputs.model.name}': {len(inputs.class_names)} "
        f"classes, {_IMAGES.value} images of each",
        flush=True,
    )
    start = time.monotonic()
    importance = dissect(
        inputs.model,
        inputs.train,
        class_names=inputs.class_names,
        images_per_class=_IMAGES.value,
        seed=_SEED.value,
    )
    seconds = time.monotonic() - start
    output.mkdir(exist_ok=True)
    importance.save(output / "civ.safetensors")
    print(f"  {seconds:.0f} s; CIVs in {output / 'civ.safetensors'}")
    return DRNet(inputs.model, importance), seconds


if __name__ == "__main__":
    running.run(main)
