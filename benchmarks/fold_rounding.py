"""Where sub-networks of DenseNet differ in the last digit of float32.

DenseNet's norms make a constant of a silent channel; a bundle adds it to the
biases of those that read it, so that the channel can go. Then a sub-network
sums other terms than the masked network does, and float32 rounds them
otherwise. This tells that rounding from an error: the sub-network and the
masked network, converted on its own, run in float32 by LiteRT and in float64.
In float64 they should agree far below float32's last digit.

Writes: `--output`, a JSON with a row for each share of the channels; all
figures are the greatest difference of the class scores, as a share of the
greatest score. Prints the rows.

Example: python benchmarks/fold_rounding.py --output=fold_rounding.json

Takes three minutes on 2 cores.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from absl import app, flags

if TYPE_CHECKING:
    import keras
    import numpy as np

_ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(_ROOT), str(_ROOT / "tflite")]  # runs uninstalled, too

_NETWORK = flags.DEFINE_string(
    "network", "DenseNet121", "Of keras.applications."
)
_SIZE = flags.DEFINE_integer("size", 96, "Of the images.")
_FRACTIONS = flags.DEFINE_list("fractions", ["0.5", "0.33"], "Of channels.")
_IMAGES = flags.DEFINE_integer("images", 4, "Random images.")
_SEED = flags.DEFINE_integer("seed", 0, "Of weights, importance and images.")
_OUTPUT = flags.DEFINE_string("output", None, "JSON to write.", required=True)


def main(argv: list[str]) -> None:
    del argv
    import drnet_tflite
    from drnet_tflite.parity import random_images

    from drnet_tf.artifacts import check_writable, write_json

    check_writable(_OUTPUT.value)
    model = _random_network()
    images = random_images(model, _IMAGES.value, seed=_SEED.value)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        report = drnet_tflite.write_bundle(
            model, _random_importance(model), folder / "bundle.tflite"
        )
        rows = [
            _compared(model, Path(report.path), images, float(fraction))
            for fraction in _FRACTIONS.value
        ]
    found = {
        "network": _NETWORK.value,
        "size": _SIZE.value,
        "seed": _SEED.value,
        "images": _IMAGES.value,
        "folds": len(report.folds),
        "rows": rows,
    }
    _show(found)
    write_json(_OUTPUT.value, found)


def _random_network() -> keras.Model:
    import keras
    from drnet_tflite.parity import random_images
    from random_networks import fit_norms, randomise

    keras.utils.set_random_seed(_SEED.value)
    model = getattr(keras.applications, _NETWORK.value)(
        weights=None,
        input_shape=(_SIZE.value, _SIZE.value, 3),
        classes=10,
        classifier_activation=None,  # it would hide small differences
    )
    model = randomise(model, _SEED.value)
    fit_norms(model, random_images(model, 8), _SEED.value)
    return model


def _random_importance(model: keras.Model) -> Any:
    import numpy as np

    from drnet_tf.importance import ChannelImportance
    from drnet_tf.sites import gate_sites

    generator = np.random.default_rng(_SEED.value)
    scores = {
        site.name: generator.random((10, site.channels))
        for site in gate_sites(model, "tied")
    }
    names = tuple(f"class {x}" for x in range(10))
    return ChannelImportance(scores, names, "random")


def _compared(
    model: keras.Model, path: Path, images: np.ndarray, fraction: float
) -> dict[str, Any]:
    """One sub-network beside the masked network."""
    import drnet_tflite
    from float64_file import outputs_in_float64

    from drnet_tf.gates import apply_mask
    from drnet_tf.masks import ChannelMask

    bundle = drnet_tflite.Bundle(path)
    request: dict[str, Any] = {"kept_fraction": fraction, "round_to": 1}
    selection = bundle.select(bundle.plan.class_names, **request)
    cut, masked = path.with_name("cut.tflite"), path.with_name("masked.tflite")
    cut.write_bytes(bundle.extract(bundle.plan.class_names, **request))
    mask = ChannelMask(bundle.mask(selection))
    drnet_tflite.convert(apply_mask(model, mask), masked)
    single = {x: drnet_tflite.run(x, images) for x in (cut, masked)}
    double = {
        x: outputs_in_float64(x.read_bytes(), images) for x in (cut, masked)
    }
    return {
        "kept_fraction": fraction,
        "channels": sum(map(len, selection.kept)),
        "cut_to_masked_float32": _difference(single[cut], single[masked]),
        "cut_to_masked_float64": _difference(double[cut], double[masked]),
        "cut_float32_to_float64": _difference(single[cut], double[cut]),
        "masked_float32_to_float64": _difference(
            single[masked], double[masked]
        ),
    }


def _difference(found: np.ndarray, expected: np.ndarray) -> float:
    import numpy as np

    distance = np.abs(found.astype(float) - expected).max()
    return float(distance / np.abs(expected).max())


def _show(found: dict[str, Any]) -> None:
    from drnet_tf.reporting.tables import Column, text

    columns = (
        Column("kept_fraction", "Channels", ".0%"),
        Column("cut_to_masked_float32", "Cut to masked, float32", ".1e"),
        Column("cut_to_masked_float64", "in float64", ".1e"),
        Column("cut_float32_to_float64", "Cut, rounding", ".1e"),
        Column("masked_float32_to_float64", "Masked, rounding", ".1e"),
    )
    print(text(found["rows"], columns))


if __name__ == "__main__":
    app.run(main)
