"""Writes docs/bundle_matrix.md: which families of networks fit into a bundle.

Each network becomes a bundle in every number format. `write_bundle` itself
compares sub-networks with the masked full file, before the softmax (float32 and
float16: the greatest difference as a share of the scores' scale; int8: the
integers have to be the same). Here sub-networks of random masks are also run
beside the masked Keras model, and the labels of each are read by readers that
are not drnet_tf's: Python's `zipfile` and, with `--python`, TFLite Support
(`metadata_oracle.py` says how to install it).

Reads: `--checkpoints`, a folder of trained `.keras` files (optional): those
beside networks of `keras.applications` with random weights. Writes: `--page`
and `--json`; records of networks that are done in `--work_dir`, where a run
that was stopped goes on.

Example: python benchmarks/bundle_matrix.py

Takes about an hour on 2 cores.
"""

from __future__ import annotations

import dataclasses
import json
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from absl import app, flags

if TYPE_CHECKING:
    import keras
    import numpy as np

_ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(_ROOT), str(_ROOT / "tflite")]  # runs uninstalled, too

_CHECKPOINTS = flags.DEFINE_string("checkpoints", None, "Trained networks.")
_PYTHON = flags.DEFINE_string("python", None, "With TFLite Support.")
_ONLY = flags.DEFINE_string("only", "", "Networks whose name contains this.")
_SIZE = flags.DEFINE_integer("size", 96, "Height and width of images.", 32)
_SEED = flags.DEFINE_integer("seed", 0, "Of weights, scores and images.")
_WORK_DIR = flags.DEFINE_string(
    "work_dir", str(_ROOT / "build" / "bundle_matrix"), "For records."
)
_PAGE = flags.DEFINE_string(
    "page", str(_ROOT / "docs" / "bundle_matrix.md"), "The page."
)
_JSON = flags.DEFINE_string(
    "json", str(_ROOT / "results" / "bundle_matrix.json"), "All figures."
)
FAMILIES = (
    "VGG16", "ResNet50", "ResNet50V2", "MobileNet", "MobileNetV2",
    "MobileNetV3Small", "MobileNetV3Large", "EfficientNetB0",
    "EfficientNetV2B0", "DenseNet121", "InceptionV3", "Xception",
    "InceptionResNetV2", "NASNetMobile",
)  # fmt: skip
FORMATS = ("float32", "float16", "int8")
_FRACTIONS = (0.5, 0.15)
_IMAGES = 4
_CALIBRATION = 16  # images that int8's ranges are of

# Run by the other Python: files in, their labels out.
_READER = """
import json, sys
from tflite_support import metadata
found = {}
for path in sys.argv[1:]:
    displayer = metadata.MetadataDisplayer.with_model_file(path)
    (name,) = displayer.get_packed_associated_file_list()
    text = displayer.get_associated_file_buffer(name).decode()
    found[path] = text.splitlines()
print(json.dumps(found))
"""


def main(argv: list[str]) -> None:
    del argv
    from drnet_tf.artifacts import check_writable, write_json, write_text

    for path in (_PAGE.value, _JSON.value):
        check_writable(path)
    from bundle_page import is_well, page

    records = [
        _record(name, make)
        for name, make in _networks().items()
        if _ONLY.value in name
    ]
    settings = {x.name: x.value for x in (_SIZE, _SEED)}
    settings["tflite_support"] = _PYTHON.value is not None
    write_json(_JSON.value, {"settings": settings, "networks": records})
    write_text(_PAGE.value, page(records))
    print(page(records))
    wrong = [x["network"] for x in records if not is_well(x)]
    if wrong:
        sys.exit(f"not well: {', '.join(wrong)}")


def _networks() -> dict[str, Callable[[], keras.Model]]:
    """What makes or loads each network, by name."""
    import functools

    import keras

    found: dict[str, Callable[[], keras.Model]] = {
        name: functools.partial(_random_network, name) for name in FAMILIES
    }
    if _CHECKPOINTS.value:
        for path in sorted(Path(_CHECKPOINTS.value).glob("*.keras")):
            found[path.stem] = functools.partial(
                keras.models.load_model, path, compile=False
            )
    return found


def _random_network(name: str) -> keras.Model:
    import keras
    from drnet_tflite.parity import random_images
    from random_networks import fit_norms, randomise

    keras.utils.set_random_seed(_SEED.value)
    shape = (_SIZE.value, _SIZE.value, 3)
    model = getattr(keras.applications, name)(
        weights=None,
        input_shape=shape,
        classes=10,
        classifier_activation=None,
    )
    model = randomise(model, _SEED.value)
    fit_norms(model, random_images(model, 8), _SEED.value)
    _set_scores_apart(model, random_images(model, _CALIBRATION, seed=1))
    return model


def _set_scores_apart(model: keras.Model, images: np.ndarray) -> None:
    """Gives the classes other biases: int8 would decide near ties."""
    import numpy as np

    from drnet_tf.classifier import find_classifier

    head = find_classifier(model).call.operation
    spread = model.predict(images, verbose=0).std()
    kernel, bias = head.get_weights()
    generator = np.random.default_rng(_SEED.value)
    head.set_weights([kernel, generator.permutation(len(bias)) * spread / 2])


def _record(name: str, make: Callable[[], keras.Model]) -> dict[str, Any]:
    """A network's figures, measured or as they were."""
    import keras

    from drnet_tf.artifacts import write_json
    from tools.module_imports import digest, find_modules, reachable

    code = digest(reachable(find_modules(_ROOT), ["bundle_matrix"]))
    path = Path(_WORK_DIR.value) / f"{name}.json"
    if path.exists():
        record = json.loads(path.read_text("utf-8"))
        if record["code"] == code:
            return record
    start = time.perf_counter()
    keras.backend.clear_session()
    model = make()
    record = {
        "network": name,
        "code": code,
        "parameters": model.count_params(),
        "formats": [_measured(model, x) for x in FORMATS],
        "seconds": round(time.perf_counter() - start),
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    write_json(path, record)
    print(f"{name}: {record['seconds']} s", flush=True)
    return record


def _random_importance(model: keras.Model, classes: int) -> Any:
    import numpy as np

    from drnet_tf.importance import ChannelImportance
    from drnet_tf.sites import gate_sites

    generator = np.random.default_rng(_SEED.value)
    scores = {
        site.name: generator.random((classes, site.channels))
        for site in gate_sites(model, "tied")
    }
    names = tuple(f"class {x}" for x in range(classes))
    return ChannelImportance(scores, names, "random")


def _measured(model: keras.Model, quantization: str) -> dict[str, Any]:
    """One network in one format."""
    import drnet_tflite
    from drnet_tflite.parity import random_images

    count = model.outputs[0].shape[-1]
    importance = _random_importance(model, min(10, count))
    images = random_images(model, _CALIBRATION, seed=1)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "bundle.tflite")
        try:
            report = drnet_tflite.write_bundle(
                model,
                importance,
                path,
                quantization=quantization,
                representative_images=(
                    images if quantization == "int8" else None
                ),
                labels=[f"class {x}" for x in range(count)],
                class_outputs=range(len(importance.class_names)),
            )
        except ValueError as error:
            return {"format": quantization, "refused": str(error)}
        bundle = drnet_tflite.Bundle(path)
        return {
            "format": quantization,
            **dataclasses.asdict(report),
            "path": None,
            "cuts": [
                _cut(model, bundle, images[:_IMAGES], fraction)
                for fraction in _FRACTIONS
            ],
        }


def _cut(
    model: keras.Model, bundle: Any, images: np.ndarray, fraction: float
) -> dict[str, Any]:
    """A sub-network beside the masked Keras model."""
    import drnet_tflite
    import numpy as np

    from drnet_tf.classifier import find_classifier
    from drnet_tf.gates import apply_mask
    from drnet_tf.masks import ChannelMask

    classes = ("class 3", "class 1", "class 7")
    # By 8, as kernels like it, but in networks too narrow for that.
    least = sum(min(8, width) for width in bundle.plan.widths)
    wide = least <= fraction * sum(bundle.plan.widths)
    request = {"kept_fraction": fraction, "round_to": 8 if wide else 1}
    selection = bundle.select(classes, **request)
    start = time.perf_counter()
    content = bundle.extract(classes, **request)
    seconds = time.perf_counter() - start
    path = Path(bundle.path).with_name(f"{fraction}.tflite")
    path.write_bytes(content)
    found = drnet_tflite.run(path, images)
    masked = apply_mask(model, ChannelMask(bundle.mask(selection)))
    expected = masked.predict(images, verbose=0)[:, [3, 1, 7]]
    if find_classifier(model).probabilities:  # the masked softmax
        expected /= expected.sum(-1, keepdims=True)
    scale = max(float(np.abs(expected).max()), 1e-30)
    return {
        "kept_fraction": fraction,
        "channels": sum(map(len, selection.kept)),
        "parameters": selection.parameters(bundle.plan),
        "bytes": len(content),
        "milliseconds": 1e3 * seconds,
        "keras": float(np.abs(found - expected).max()) / scale,
        "labels": _labels(path) == list(classes),
    }


def _labels(path: Path) -> list[str]:
    """As others read them; they have to agree."""
    with zipfile.ZipFile(path) as archive:
        labels = archive.read("labels.txt").decode().splitlines()
    if _PYTHON.value:
        run = subprocess.run(
            [_PYTHON.value, "-c", _READER, str(path)],
            capture_output=True,
            check=True,
            text=True,
        )
        (other,) = json.loads(run.stdout.splitlines()[-1]).values()
        return labels if other == labels else []
    return labels


if __name__ == "__main__":
    app.run(main)
