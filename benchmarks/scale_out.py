"""Whether a dissection that is spread ends in the bytes of the local run.

Dissects one network in five ways, each in a process of its own: locally; in a
Beam pipeline in one process; with two workers; with two workers that are killed
once they have kept a batch, and once more on what is left of that; and on two
virtual CPUs of one process under a MirroredStrategy.

Reads: a `.keras` classifier and its training images (`--data`, `--split`).
Writes: with `--output` a JSON file. Prints one row a way. Ends with an error if
a file differs from that of the local run.

Example: python benchmarks/scale_out.py --model=resnet20_cifar10.keras \
--data=cifar10 --preprocessing=imagenet_torch --output=results/scale_out.json

Takes about 10 minutes for ResNet20 on 2 busy cores; needs the extras `beam` and
`data`. The seconds contain the start of every process and the draw of the
images, and the ways share the cores: they say what a way costs here, not how it
scales.
"""

from __future__ import annotations

import hashlib
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

from absl import app, flags

_ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(_ROOT))  # runs uninstalled, too

if TYPE_CHECKING:
    import keras

    from drnet_tf.split_images import SplitImages

_MODEL = flags.DEFINE_string("model", None, "The .keras file.", required=True)
_DATA = flags.DEFINE_string("data", None, "TFDS name or folder.", required=True)
_DATA_DIR = flags.DEFINE_string("data_dir", None, "Where TFDS keeps its data.")
_SPLIT = flags.DEFINE_string("split", "train", "Split that is dissected.")
_PREPROCESSING = flags.DEFINE_string(
    "preprocessing", "none", "What the network expects of pixels 0..255."
)
_IMAGES = flags.DEFINE_integer("images_per_class", 20, "Images of a class.", 1)
_BATCH_SIZE = flags.DEFINE_integer("batch_size", 32, "Images at a time.", 1)
_OUTPUT = flags.DEFINE_string("output", None, "The .json file to write.")
_WAY = flags.DEFINE_string("way", None, "Dissect in this way, here.")
_FILE = flags.DEFINE_string("file", None, "With --way: the CIVs to write.")
_WORK_DIR = flags.DEFINE_string("work_dir", None, "With --way: see dissect.")

_WAYS = ("local", "beam", "beam, 2 workers", "beam, a worker killed", "devices")
_TWO_WORKERS = (
    "--direct_running_mode=multi_processing",
    "--direct_num_workers=2",
)
# Python runs this file at the start of each process: a worker dies as soon as
# it has kept a batch.
_KILLER = """
import os, signal, sys

if "sdk_worker_main" in " ".join(sys.orig_argv):
    from drnet_tf.dissection.journal import Journal

    save = Journal.save

    def save_and_die(self, number, images, cdrps):
        save(self, number, images, cdrps)
        os.kill(os.getpid(), signal.SIGKILL)

    Journal.save = save_and_die
"""


def main(_: list[str]) -> None:
    if _WAY.value is not None:
        _dissect(_WAY.value)
        return
    from drnet_tf.artifacts import check_writable, write_json

    if _OUTPUT.value:
        check_writable(_OUTPUT.value)
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for way in _WAYS:
            row = _in_own_process(way, Path(folder))
            rows.append(row)
            row["same_as_local"] = row["sha256"] == rows[0]["sha256"]
            print(
                f"{way:22s} {row['seconds']:6.1f} s  {row['sha256'][:16]}  "
                f"{'same' if row['same_as_local'] else 'DIFFERENT'}",
                flush=True,
            )
    if _OUTPUT.value:
        write_json(_OUTPUT.value, {"rows": rows, **_circumstances()})
    if not all(row["same_as_local"] for row in rows):
        sys.exit("A file differs from the local run's.")


def _circumstances() -> dict[str, Any]:
    packages = ("apache-beam", "tensorflow", "keras", "numpy", "protobuf")
    return {
        "settings": {
            "model": Path(_MODEL.value).name,
            "data": _DATA.value,
            "split": _SPLIT.value,
            "preprocessing": _PREPROCESSING.value,
            "images_per_class": _IMAGES.value,
            "batch_size": _BATCH_SIZE.value,
            "seed": 0,
        },
        "machine": {
            "cores": os.cpu_count(),
            "system": platform.system(),
            "python": platform.python_version(),
            **{name: metadata.version(name) for name in packages},
        },
    }


def _in_own_process(way: str, folder: Path) -> dict[str, Any]:
    file = folder / f"{way}.safetensors"
    found: dict[str, Any] = {"way": way}
    start = time.perf_counter()
    if way == "beam, a worker killed":
        (folder / "killer").mkdir()
        (folder / "killer" / "sitecustomize.py").write_text(_KILLER)
        work = folder / "work"
        done = _call(way, file, work, (str(folder / "killer"),))
        if done.returncode == 0 or file.exists():
            sys.exit("The run with a killed worker ended as if nothing was.")
        found["batches_kept"] = len(list(work.glob("batch_*")))
        done = _call(way, file, work)
        found["batches"] = len(list(work.glob("batch_*")))
    else:
        done = _call(way, file, None)
    if done.returncode:
        sys.exit(f"'{way}' failed:\n{done.stderr}")
    found["seconds"] = time.perf_counter() - start
    found["sha256"] = hashlib.sha256(file.read_bytes()).hexdigest()
    return found


def _call(
    way: str, file: Path, work: Path | None, path: Sequence[str] = ()
) -> subprocess.CompletedProcess[str]:
    settings = (_MODEL, _DATA, _DATA_DIR, _SPLIT, _PREPROCESSING)
    numbers = (_IMAGES, _BATCH_SIZE)
    given = [
        f"--{flag.name}={flag.value}"
        for flag in (*settings, *numbers)
        if flag.value is not None
    ]
    if work is not None:
        given.append(f"--work_dir={work}")
    known = os.environ.get("PYTHONPATH", "")
    return subprocess.run(
        [sys.executable, __file__, f"--way={way}", f"--file={file}", *given],
        # The workers are processes that must find the library, too.
        env={
            "TF_CPP_MIN_LOG_LEVEL": "3",
            **os.environ,
            "PYTHONPATH": os.pathsep.join([str(_ROOT), *path, known]),
        },
        capture_output=True,
        text=True,
    )


def _dissect(way: str) -> None:
    devices = _virtual_devices() if way == "devices" else ()
    from drnet_tf.dissection.dissect import dissect
    from drnet_tf.scale_out.pipeline import dissect_on_beam

    model, images = _model_and_images()
    settings = {
        "images_per_class": _IMAGES.value,
        "batch_size": _BATCH_SIZE.value,
        "work_dir": _WORK_DIR.value,
        "progress": False,
    }
    if way.startswith("beam"):
        dissect_on_beam(
            _MODEL.value,
            images,
            output=_FILE.value,
            options=() if way == "beam" else _TWO_WORKERS,
            **settings,
        )
        return
    stream = images.open()
    dissect(
        model,
        images.dataset(stream),
        class_names=stream.class_names,
        devices=devices,
        **settings,
    ).save(_FILE.value)


def _virtual_devices() -> tuple[str, ...]:
    """Two, made before TensorFlow starts on the one that is there."""
    import tensorflow as tf

    tf.config.set_logical_device_configuration(
        tf.config.list_physical_devices("CPU")[0],
        [tf.config.LogicalDeviceConfiguration()] * 2,
    )
    return "CPU:0", "CPU:1"


def _model_and_images() -> tuple[keras.Model, SplitImages]:
    import keras

    from drnet_tf.preprocessing import parse_preprocessing
    from drnet_tf.split_images import SplitImages

    model = keras.models.load_model(_MODEL.value, compile=False)
    return model, SplitImages(
        _DATA.value,
        _SPLIT.value,
        model.input_shape[1:],
        _DATA_DIR.value,
        parse_preprocessing(_PREPROCESSING.value),
    )


if __name__ == "__main__":
    app.run(main)
