"""Dissects a trained network on many machines: an Apache Beam pipeline.

Reads: as `build_civ.py`; every worker reads the network (`--model`) and the
images (`--data`, `--data_dir`) for itself, so all must see them by one name.
Writes: the CIVs (`--output`), byte for byte those of `build_civ.py`, and beside
them `<name>.json` with the settings and figures. With `--work_dir`, a folder
that all workers share, finished batches are kept, and a stopped run goes on.

Needs `drnet_tf[beam]`. `--beam` passes an option to the pipeline and may be
repeated; without one the DirectRunner runs it in this process. Example:
  python recipes/build_civ_beam.py --model=vgg16.keras --data=cifar10 \
    --preprocessing=cifar10 --output=vgg16_civ.safetensors \
    --beam=direct_running_mode=multi_processing --beam=direct_num_workers=4

`docs/scale_out.md` has the options for Dataflow, Flink and Spark.

ResNet20, 20 images for each of CIFAR-10's 10 classes, two local workers: 2.5
minutes on 2 busy cores, most of them TensorFlow's start and the draw.
"""

from __future__ import annotations

import time

import civ_flags
import data_flags
import running
from absl import flags

_BEAM = flags.DEFINE_multi_string(
    "beam",
    [],
    "Option of the pipeline without its dashes, e.g. runner=DataflowRunner.",
)


def main() -> None:
    import keras

    from drnet_tf.scale_out.pipeline import dissect_on_beam

    summary = civ_flags.summary_path(remote=True)
    method = civ_flags.method()
    # Only for the size of its images: workers open the file themselves.
    model = keras.models.load_model(civ_flags.MODEL.value, compile=False)
    start = time.monotonic()
    importance = dissect_on_beam(
        civ_flags.MODEL.value,
        data_flags.named_split(model, civ_flags.SPLIT.value),
        method,
        output=civ_flags.OUTPUT.value,
        options=[f"--{option}" for option in _BEAM.value],
        images_per_class=civ_flags.IMAGES.value,
        seed=civ_flags.SEED.value,
        batch_size=civ_flags.BATCH.value,
        coupling=civ_flags.COUPLING.value,
        work_dir=civ_flags.WORK_DIR.value,
    )
    seconds = time.monotonic() - start
    civ_flags.write_summary(summary, importance, seconds)


if __name__ == "__main__":
    running.run(main)
