"""Sub-networks answer on arm64 as they do here.

Unpacks an arm64 system of Debian's packages, with LiteRT's wheel for it, into
`--work_dir`, and runs sub-networks of `--bundles` there by emulation
(qemu-user) of each of `--cpus`: XNNPACK's own kernels for Arm, so answers count
and times do not. float32 has to agree within 1e-4 of the scores' scale; int8
within one step, and with the same class first on every image. The full
network's figures stand beside.

Reads: `--bundles`, files of `write_bundle`; `--images`, a `.npy` of images as
the networks expect them (else random ones). Needs Debian's apt with the
architecture arm64 (`dpkg --add-architecture arm64 && apt-get update`). Writes:
`--output`, a JSON; prints the same.

Example: python benchmarks/arm64.py --bundles=net.tflite,net_int8.tflite \
  --work_dir=build/arm64 --output=results/arm64.json

Takes a minute to unpack, and seconds to minutes for each network.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from absl import app, flags

_ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(_ROOT), str(_ROOT / "tflite")]  # runs uninstalled, too

_BUNDLES = flags.DEFINE_list("bundles", None, "Files.", required=True)
_WORK_DIR = flags.DEFINE_string(
    "work_dir", str(_ROOT / "build" / "arm64"), "For the arm64 system."
)
# With and without the dot products of newer cores. Not qemu's own "max": its
# int8 matrix products (i8mm) of version 7.2 are wrong.
_CPUS = flags.DEFINE_list("cpus", ["cortex-a72", "neoverse-n1"], "Of qemu.")
_FRACTION = flags.DEFINE_float("fraction", 0.4, "Of the channels.")
_IMAGES = flags.DEFINE_string("images", None, "A .npy file.")
_COUNT = flags.DEFINE_integer("count", 3, "Random images.", 1)
_SEED = flags.DEFINE_integer("seed", 0, "Of the images.")
_OUTPUT = flags.DEFINE_string("output", None, "The .json file to write.")

# 2.2 and 2.3 crash under qemu 7.2.
_LITERT = "2.1.6"
_PACKAGES = (
    "libbz2-1.0", "libc6", "libcrypt1", "libexpat1", "libffi8", "libgcc-s1",
    "liblzma5", "libpython3.11-minimal", "libpython3.11-stdlib", "libssl3",
    "libstdc++6", "libuuid1", "python3.11-minimal", "zlib1g",
)  # fmt: skip
_WHEELS = (
    f"ai-edge-litert=={_LITERT}", "numpy==2.2.6", "flatbuffers", "tqdm",
    "typing-extensions", "backports.strenum", "protobuf",
)  # fmt: skip

# Run by the emulated Python: images and a file in, the answers out.
_RUNNER = """
import sys
import numpy as np
from ai_edge_litert.interpreter import Interpreter
interpreter = Interpreter(sys.argv[1])
interpreter.allocate_tensors()
(source,), (target,) = (
    interpreter.get_input_details(), interpreter.get_output_details()
)
outputs = []
for image in np.load(sys.argv[2]):
    interpreter.set_tensor(source["index"], image[None])
    interpreter.invoke()
    outputs.append(interpreter.get_tensor(target["index"])[0])
np.save(sys.argv[3], np.stack(outputs))
"""


def main(argv: list[str]) -> None:
    del argv
    from drnet_tf.artifacts import check_writable, write_json

    if _OUTPUT.value:
        check_writable(_OUTPUT.value)
    folder = Path(_WORK_DIR.value).resolve()
    _unpack(folder)
    rows = [
        _compared(Path(path), cpu, folder)
        for path in _BUNDLES.value
        for cpu in _CPUS.value
    ]
    found = {"litert": _LITERT, "seed": _SEED.value, "networks": rows}
    print(json.dumps(found, indent=1))
    if _OUTPUT.value:
        write_json(_OUTPUT.value, found)
    wrong = [f"{x['bundle']} ({x['cpu']})" for x in rows if not x["agrees"]]
    if wrong:
        sys.exit(f"other answers on arm64: {', '.join(wrong)}")


def _unpack(folder: Path) -> None:
    """The arm64 system, if it is not there."""
    done = folder / "unpacked"
    if done.exists():
        return
    packages = folder / "packages"
    packages.mkdir(parents=True, exist_ok=True)
    names = ["qemu-user-static", *(f"{name}:arm64" for name in _PACKAGES)]
    subprocess.run(["apt-get", "download", *names], cwd=packages, check=True)
    for package in sorted(packages.glob("*.deb")):
        root = folder / ("host" if "qemu" in package.name else "root")
        subprocess.run(["dpkg-deb", "-x", package, root], check=True)
    subprocess.run(
        [
            sys.executable, "-m", "pip", "install", "--no-deps", "--quiet",
            "--target", folder / "site", "--only-binary=:all:",
            "--platform", "manylinux_2_28_aarch64",
            "--platform", "manylinux_2_27_aarch64",
            "--platform", "manylinux2014_aarch64",
            "--python-version", "3.11", *_WHEELS,
        ],
        check=True,
    )  # fmt: skip
    done.touch()


def _compared(path: Path, cpu: str, folder: Path) -> dict[str, Any]:
    """One sub-network, and the full one, here and there."""
    import drnet_tflite

    bundle = drnet_tflite.Bundle(path)
    classes = list(bundle.class_names[:2])
    file = folder / f"small_{path.stem}.tflite"
    file.write_bytes(bundle.extract(classes, kept_fraction=_FRACTION.value))
    small = _differences(file, cpu, folder)
    limit = 1e-4 if small["type"] == "float32" else 1
    return {
        "bundle": path.name,
        "cpu": cpu,
        "bytes": file.stat().st_size,
        **small,
        "full": _differences(path, cpu, folder),
        "agrees": small["difference"] <= limit
        and small["same_first_class"] == 1,
    }


def _differences(file: Path, cpu: str, folder: Path) -> dict[str, Any]:
    """A file's answers there against those here."""
    import numpy as np
    from drnet_tflite.loaded_model import LoadedModel

    model = LoadedModel(file)
    images = _images((*model.input.shape[1:],))
    if model.input.scale is not None:
        images = model.input.quantize(images)
    here = []
    for image in images:
        model.set_image(image[None])
        model.invoke()
        here.append(model.scores()[0])
    expected = np.stack(here).astype(np.float64)
    found = _emulated(file, images, cpu, folder).astype(np.float64)
    greatest = float(np.abs(found - expected).max())
    whole = model.output.dtype != "float32"
    scale = 1.0 if whole else max(float(np.abs(expected).max()), 1e-30)
    same = found.argmax(-1) == expected.argmax(-1)
    return {
        "type": model.output.dtype,
        "images": len(images),
        "difference": greatest / scale,
        "same_first_class": float(same.mean()),
    }


def _images(shape: tuple[int, ...]) -> Any:
    import numpy as np

    if _IMAGES.value:
        return np.load(_IMAGES.value).astype(np.float32)
    generator = np.random.default_rng(_SEED.value)
    return generator.uniform(-1, 1, (_COUNT.value, *shape)).astype(np.float32)


def _emulated(file: Path, images: Any, cpu: str, folder: Path) -> Any:
    import numpy as np

    inputs, outputs = folder / "images.npy", folder / "scores.npy"
    np.save(inputs, images)
    outputs.unlink(missing_ok=True)
    python = folder / "root" / "usr/bin/python3.11"
    subprocess.run(
        [
            folder / "host" / "usr/bin/qemu-aarch64-static",
            "-cpu", cpu, "-L", folder / "root", python, "-c", _RUNNER, file,
            inputs, outputs,
        ],
        check=True,
        env=os.environ
        | {
            "PYTHONPATH": str(folder / "site"),
            "PYTHONHOME": str(folder / "root" / "usr"),
            "PYTHONDONTWRITEBYTECODE": "1",
        },
    )  # fmt: skip
    return np.load(outputs)


if __name__ == "__main__":
    app.run(main)
