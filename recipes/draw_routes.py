"""Draws decision routes: the channels of every layer that classes need.

Reads: either CIVs (`--civ`, by build_civ.py), whose rows are the routes of
`--classes`; or a `.keras` classifier (`--model`) and images (`--data`,
`--preprocessing`), out of which `--images_per_class` images of each of
`--classes` are dissected and averaged. With `--image`, a position in
`--split` or the path of a picture, the route of that image is drawn, too; it
needs `--model` always.
Writes into the folder `--output`: a picture of each route and of every two
laid over each other (SVG), `index.html` with all of them, and `routes.json`,
the numbers of the channels and the settings.

Channels above `--threshold` belong to a route. Examples:
  python recipes/draw_routes.py --civ=vgg16_civ.safetensors \
    --classes=cat,dog,ship --output=routes
  python recipes/draw_routes.py --model=vgg16.keras --data=cifar10 \
    --preprocessing=cifar10 --civ=vgg16_civ.safetensors --classes=cat \
    --image=7 --output=routes

Seconds from CIVs; MobileNet, 10 images of each of 2 classes: a minute.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import data_flags
import running
from absl import flags

if TYPE_CHECKING:
    import keras
    import numpy as np

    from drnet_tf.dissection.cdrp import CDRP
    from drnet_tf.importance import ChannelImportance
    from drnet_tf.routes import Route

_MODEL = flags.DEFINE_string("model", None, "The .keras file.")
_CIV = flags.DEFINE_string("civ", None, "CIVs of the classes.")
_CLASSES = flags.DEFINE_list("classes", [], "Whose routes are drawn.")
_IMAGE = flags.DEFINE_string("image", None, "A position in the split, or path.")
_OUTPUT = flags.DEFINE_string("output", None, "Folder to write.", required=True)
_THRESHOLD = flags.DEFINE_float("threshold", 0.1, "On the importance.")
_SPLIT = flags.DEFINE_string("split", "test", "Split of the images.")
_IMAGES = flags.DEFINE_integer("images_per_class", 10, "Without --civ.", 1)
_SEED = flags.DEFINE_integer("seed", 0, "Decides which images are drawn.")
_BALANCE = flags.DEFINE_string(
    "balance", None, "auto or a number; by default that of the CIVs, or auto."
)
_POLICY = flags.DEFINE_string(
    "dtype_policy", None, "e.g. mixed_bfloat16; by default the model's own."
)
_FLAGS = (
    _MODEL, _CIV, _CLASSES, _IMAGE, _OUTPUT, _THRESHOLD, _SPLIT, _IMAGES,
    _SEED, _BALANCE, _POLICY,
)  # fmt: skip
# Here `--data` has a default, and so need not be given.
flags.FLAGS.set_default("data", "")


def main() -> None:
    from drnet_tf.importance import ChannelImportance
    from drnet_tf.reporting.output_folder import check_folder
    from drnet_tf.reporting.route_page import write_routes
    from drnet_tf.reporting.svg import check_matplotlib
    from drnet_tf.routes import class_route

    check_matplotlib()
    check_folder(_OUTPUT.value)
    if not _CLASSES.value and _IMAGE.value is None:
        raise ValueError(
            "got neither --classes nor --image, expected what to draw: e.g. "
            "--classes=cat,dog."
        )
    importance = _CIV.value and ChannelImportance.load(_CIV.value)
    routes: list[Route] = []
    if importance:
        if _CLASSES.value:
            importance.class_rows(_CLASSES.value)
        routes += [
            class_route(importance, x, _THRESHOLD.value) for x in _CLASSES.value
        ]
    if not importance or _IMAGE.value is not None:
        routes += _learned(importance)
    named = ("model", "civ", "image", "output", "data")
    settings = data_flags.portable_settings(_FLAGS, named)
    files = write_routes(_OUTPUT.value, routes, settings)
    for route in routes:
        print(f"{route.name}: {route.used:,} of {route.total:,} channels")
    print(f"  {len(files)} files in {_OUTPUT.value}: open index.html")


def _learned(importance: ChannelImportance | None) -> list[Route]:
    """Routes of the image, and without CIVs those of the classes."""
    import keras
    import numpy as np

    from drnet_tf.dissection.gates_of_images import learn_cdrps
    from drnet_tf.routes import image_routes

    if _MODEL.value is None:
        raise ValueError(
            "got no --model, expected the network: only --civ with --classes "
            "goes without one."
        )
    model = keras.models.load_model(_MODEL.value, compile=False)
    named: dict[str, np.ndarray] = {}
    if importance is None and _CLASSES.value:
        named |= _class_images(model)
    if _IMAGE.value is not None:
        name, image = _one_image(model)
        named[name] = image[None]
    # All at once, so that they are learned with one balance.
    images = np.concatenate(list(named.values()))
    cdrps = learn_cdrps(model, images, _method(importance))
    names = [name for name, some in named.items() for _ in some]
    return list(image_routes(cdrps, names, _THRESHOLD.value))


def _method(importance: ChannelImportance | None) -> CDRP:
    """With the balance of the CIVs, so that routes can be compared."""
    from drnet_tf.dissection.cdrp import CDRP

    found: Any = _BALANCE.value
    if found is None:
        found = (importance.diagnostics if importance else {}).get("balance")
    return CDRP(
        balance="auto" if found in (None, "auto") else float(found),
        dtype_policy=_POLICY.value,
    )


def _class_images(model: keras.Model) -> dict[str, np.ndarray]:
    from drnet_tf.reporting.samples import sample

    images, names = data_flags.open_split(model, _SPLIT.value)
    drawn = sample(
        images, _CLASSES.value, names, _IMAGES.value, seed=_SEED.value
    )
    return {
        name: drawn.images[drawn.labels == names.index(name)]
        for name in _CLASSES.value
    }


def _one_image(model: keras.Model) -> tuple[str, np.ndarray]:
    """The image asked for, as the network expects it, and its name."""
    text = _IMAGE.value
    if not text.isdigit():
        return Path(text).stem, data_flags.read_image(model, text)
    image, name = data_flags.image_at(model, _SPLIT.value, int(text))
    return f"image {text} ({name})", image


if __name__ == "__main__":
    running.run(main)
