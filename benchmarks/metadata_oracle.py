"""Google's own tools read the metadata that drnet_tflite writes by hand.

Converts a network to every format and hands the files to TFLite Support, which
lives in a Python of its own: `MetadataDisplayer` must read back all fields and
the labels, and the Task Library's `ImageClassifier`, which knows nothing but
the file, must name the class of every image as `drnet_tflite.run` does, with
the same scores: so it normalises as the metadata says. To files that take bytes
it hands the pixels as they are, which is right if the representative images
reach from black to white. The network is the digits' ConvNet, behind an input
of three channels.

Reads: `--python`, a Python 3.11 (Google stopped there) that has TFLite Support:
  python3.11 -m venv oracle
  oracle/bin/pip install --no-deps tflite-support==0.4.4 'protobuf<4' \
    flatbuffers 'numpy<2' absl-py pybind11
and the system's libusb 1.0 (Debian and Ubuntu: libusb-1.0-0).
Writes: `--output`, a JSON with one row for each format; prints the same.

Example: python benchmarks/metadata_oracle.py --python=oracle/bin/python \
  --output=results/metadata_oracle.json

Takes half a minute on 2 cores.
"""

from __future__ import annotations

import dataclasses
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from absl import app, flags

if TYPE_CHECKING:
    import keras
    import numpy as np
    from drnet_tflite.metadata import Metadata

_ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(_ROOT), str(_ROOT / "tflite")]  # runs uninstalled, too

_PYTHON = flags.DEFINE_string("python", None, "With TFLite Support.")
_IMAGES = flags.DEFINE_integer("images", 200, "Test digits classified.", 1)
_OUTPUT = flags.DEFINE_string("output", None, "The .json file to write.")
flags.mark_flag_as_required("python")

_HALF = 127.5  # pixels become (pixel - 127.5) / 127.5
_FORMATS = ("float32", "float16", "dynamic", "int8")

# Run by the other Python: images and a file in, a JSON out.
_READER = """
import json, sys
import numpy as np
from tflite_support import metadata
from tflite_support.task import vision

images, path = np.load(sys.argv[1]), sys.argv[2]
displayer = metadata.MetadataDisplayer.with_model_file(path)
found = {
    "metadata": json.loads(displayer.get_metadata_json()),
    "labels": displayer.get_associated_file_buffer("labels.txt").decode(),
}
try:
    classifier = vision.ImageClassifier.create_from_file(path)
    found["scores"] = [
        {
            x.category_name: x.score
            for x in classifier.classify(
                vision.TensorImage.create_from_array(image)
            ).classifications[0].categories
        }
        for image in images
    ]
except ValueError as error:
    found["refused"] = str(error).strip()
print(json.dumps(found))
"""


def main(_: list[str]) -> None:
    from drnet_tf.artifacts import check_writable, write_json
    from drnet_tf.digits import load_digits

    if _OUTPUT.value:
        check_writable(_OUTPUT.value)
    train, test = (_colored(load_digits(x).images) for x in ("train", "test"))
    test = test[:: max(1, len(test) // _IMAGES.value)][: _IMAGES.value]
    model = _network()
    with tempfile.TemporaryDirectory() as folder:
        rows = [
            _row(model, name, train[::10], test, Path(folder))
            for name in _FORMATS
        ]
    for row in rows:
        print(json.dumps(row))
    if _OUTPUT.value:
        oracle = "tflite-support 0.4.4"
        write_json(
            _OUTPUT.value,
            {"oracle": oracle, "images": len(test), "rows": rows},
        )


def _colored(images: np.ndarray) -> np.ndarray:
    import numpy as np

    return np.repeat(images, 3, axis=-1)


def _network() -> keras.Model:
    """The digits' ConvNet, of normalised images with three channels."""
    import keras

    from drnet_tf.digits import digits_convnet

    inner = digits_convnet()
    height, width, _ = inner.input_shape[1:]
    image = keras.Input((height, width, 3))
    gray = keras.ops.mean(image, axis=-1, keepdims=True)
    pixels = keras.layers.Rescaling(_HALF, offset=_HALF)(gray)
    probabilities = keras.layers.Softmax()(inner(pixels))
    return keras.Model(image, probabilities, name="digits")


def _row(
    model: keras.Model,
    quantization: str,
    train: np.ndarray,
    test: np.ndarray,
    folder: Path,
) -> dict[str, Any]:
    import drnet_tflite
    import numpy as np

    from drnet_tf.digits import DIGIT_NAMES

    path = folder / f"{quantization}.tflite"
    report = drnet_tflite.convert(
        model,
        path,
        labels=DIGIT_NAMES,
        quantization=quantization,
        representative_images=(train - _HALF) / _HALF,
        mean=_HALF,
        std=_HALF,
    )
    np.save(folder / "images.npy", test)
    done = subprocess.run(
        [_PYTHON.value, "-c", _READER, folder / "images.npy", path],
        check=True,
        capture_output=True,
        text=True,
    )
    found = json.loads(done.stdout)
    # TFLite Support does not show the version of the runtime.
    read = dataclasses.replace(
        drnet_tflite.read_metadata(path), min_runtime_version=""
    )
    scores = drnet_tflite.run(path, (test - _HALF) / _HALF)
    return {
        "format": quantization,
        "bytes": report.bytes,
        "min_runtime_version": report.min_runtime_version,
        "agreement_with_keras": report.agreement,
        "difference_to_keras": report.max_difference,
        "same_metadata": _fields(found) == read,
        **_classified(found, scores),
    }


def _fields(found: dict[str, Any]) -> Metadata:
    """What TFLite Support read, in the form of our own reader."""
    from drnet_tflite.metadata import Metadata

    fields = found["metadata"]
    (graph,) = fields["subgraph_metadata"]
    (image,) = graph["input_tensor_metadata"]
    (unit,) = image["process_units"]
    return Metadata(
        name=fields["name"],
        description=fields["description"],
        version=fields["version"],
        license=fields["license"],
        color_space=image["content"]["content_properties"]["color_space"],
        mean=tuple(unit["options"]["mean"]),
        std=tuple(unit["options"]["std"]),
        labels=tuple(found["labels"].splitlines()),
    )


def _classified(found: dict[str, Any], scores: np.ndarray) -> dict[str, Any]:
    """How the classes and scores of the Task Library compare to ours."""
    import numpy as np

    from drnet_tf.digits import DIGIT_NAMES

    if "refused" in found:
        return {"task_library": found["refused"]}
    theirs = np.array(
        [[row[name] for name in DIGIT_NAMES] for row in found["scores"]]
    )
    same = theirs.argmax(axis=-1) == scores.argmax(axis=-1)
    return {
        "task_library": "runs it",
        "task_library_same_class": float(same.mean()),
        "task_library_score_difference": float(np.abs(theirs - scores).max()),
    }


if __name__ == "__main__":
    app.run(main)
