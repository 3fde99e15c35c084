"""Dissects a trained network: one importance vector (CIV) for each class.

Reads: a `.keras` classifier (`--model`) and its training images (`--data`,
`--split`, `--preprocessing`).
Writes: the CIVs (`--output`, safetensors) and, beside them, `<name>.json` with
the settings and figures: the balance found, rate of fallbacks, histogram of the
iterates that were kept, sparsity, seconds. With `--work_dir` finished batches
are kept, and a stopped run goes on there.

Reproduces section 3.1 of DRNet. Example:
  python recipes/build_civ.py --model=vgg16.keras --data=cifar10 \
    --preprocessing=cifar10 --output=vgg16_civ.safetensors

With `--devices=GPU:0,GPU:1` each GPU of the machine learns whole batches; many
machines: `build_civ_beam.py`.

VGG16, 100 images for each of CIFAR-10's 10 classes: 4 minutes on 2 cores.
"""

from __future__ import annotations

import time

import civ_flags
import data_flags
import running
from absl import flags

_KEEP = flags.DEFINE_integer(
    "keep_images", 0, "Images of each class kept with the CIVs, for repairs."
)
_DEVICES = flags.DEFINE_list(
    "devices", [], "Learn side by side, e.g. GPU:0,GPU:1; by default on one."
)


def main() -> None:
    import keras

    from drnet_tf.dissection.dissect import dissect

    summary = civ_flags.summary_path()
    method = civ_flags.method()
    model = keras.models.load_model(civ_flags.MODEL.value, compile=False)
    images, class_names = data_flags.open_split(model, civ_flags.SPLIT.value)
    start = time.monotonic()
    importance = dissect(
        model,
        images,
        method,
        class_names=class_names,
        images_per_class=civ_flags.IMAGES.value,
        seed=civ_flags.SEED.value,
        batch_size=civ_flags.BATCH.value,
        coupling=civ_flags.COUPLING.value,
        keep_images=_KEEP.value,
        devices=_DEVICES.value,
        work_dir=civ_flags.WORK_DIR.value,
    )
    seconds = time.monotonic() - start
    importance.save(civ_flags.OUTPUT.value)
    civ_flags.write_summary(
        summary,
        importance,
        seconds,
        keep_images=_KEEP.value,
        devices=_DEVICES.value,
    )


if __name__ == "__main__":
    running.run(main)
