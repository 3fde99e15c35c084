"""Tells what the filters of one layer are for: their classes, their patches.

Reads: a `.keras` classifier (`--model`), one of its sites (`--site`) and images
(`--data`, `--split`, `--preprocessing`). Each filter is removed alone and the
loss of accuracy of every class is measured on `--images_per_class` of its
images (CAR, class by class); the same images are searched for the patches that
excite a filter most. A network with more outputs than the data has classes
needs `--rows`, a JSON that gives the output of each class by name.
Writes: `--output`, a page (HTML) of the `--filters` that the network can least
do without, or of those listed in `--channels`; beside it `<name>.svg`, the
contact sheet with the patches in it, and `<name>.json`, the numbers.

After Abbasi-Asl and Yu, "Structural Compression of Convolutional Neural
Networks with Applications in Interpretability". Example:
  python recipes/interpret_filters.py --model=vgg16.keras --data=cifar10 \
    --preprocessing=cifar10 --site=block2_relu2 --output=block2.html

VGG16, a site of 128 filters, 30 images of each of CIFAR-10's classes: 7 minutes
on 2 busy cores; what lies behind the site runs once for each filter and image.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import data_flags
import running
from absl import flags

if TYPE_CHECKING:
    import keras

    from drnet_tf.filter_interpretation import ClassReductions
    from drnet_tf.free_sites import GateSite
    from drnet_tf.labeled_images import LabeledImages
    from drnet_tf.reporting.filter_figure import FilterReading

_MODEL = flags.DEFINE_string("model", None, "The .keras file.", required=True)
_SITE = flags.DEFINE_string("site", None, "Its name.", required=True)
_OUTPUT = flags.DEFINE_string("output", None, "HTML to write.", required=True)
_ROWS = flags.DEFINE_string("rows", None, "JSON: class name to output.")
_SPLIT = flags.DEFINE_string("split", "train", "Split of the images.")
_IMAGES = flags.DEFINE_integer("images_per_class", 50, "Images measured.", 1)
_FILTERS = flags.DEFINE_integer("filters", 8, "How many are shown.", 1)
_CHANNELS = flags.DEFINE_list("channels", None, "Filters shown, by number.")
_CLASSES = flags.DEFINE_integer("classes", 3, "Most and least important.", 1)
_PATCHES = flags.DEFINE_integer("patches", 6, "Of each filter.", 1)
_SEED = flags.DEFINE_integer("seed", 0, "Decides which images are drawn.")
_FLAGS = (
    _MODEL, _SITE, _OUTPUT, _ROWS, _SPLIT, _IMAGES, _FILTERS, _CHANNELS,
    _CLASSES, _PATCHES, _SEED,
)  # fmt: skip


def main() -> None:
    import keras

    from drnet_tf.artifacts import check_writable, write_json, write_text
    from drnet_tf.reporting.filter_figure import filter_sheet
    from drnet_tf.reporting.filter_page import as_dict, filter_page
    from drnet_tf.reporting.svg import check_matplotlib, with_dark_mode

    check_matplotlib()
    output = Path(_OUTPUT.value)
    sheet, numbers = (output.with_suffix(x) for x in (".svg", ".json"))
    for path in (output, sheet, numbers):
        check_writable(path)
    model = keras.models.load_model(_MODEL.value, compile=False)
    site = _site(model)
    channels = _channels(site)
    drawn = data_flags.load(model, _SPLIT.value, _IMAGES.value, _SEED.value)
    reductions, readings = _read(model, site, channels, drawn)
    drawing = filter_sheet(
        readings,
        data_flags.pixels(drawn.images),
        [drawn.class_names[label] for label in drawn.labels],
        f"Filters of {site.name}",
    )
    page = filter_page(drawing, readings, reductions, site.name, len(drawn))
    page.write(output)
    write_text(sheet, with_dark_mode(drawing))
    figures = as_dict(readings, reductions)
    write_json(numbers, {"settings": _settings(), **figures})
    for reading in readings:
        needed = ", ".join(
            f"{x} {100 * loss:.1f}" for x, loss, _ in reading.most
        )
        print(f"filter {reading.channel}: without it {needed} points less")
    print(f"  in {output}, {sheet.name} and {numbers.name}")


def _read(
    model: keras.Model,
    site: GateSite,
    channels: list[int],
    drawn: LabeledImages,
) -> tuple[ClassReductions, list[FilterReading]]:
    """Measures all filters, and reads those asked for or the costliest."""
    from drnet_tf.filter_interpretation import (
        class_reductions,
        strongest_patches,
    )
    from drnet_tf.reporting.filter_figure import read_filter

    names = drawn.class_names
    reductions = class_reductions(
        model, site, drawn.images, drawn.labels, names, rows=_rows(names)
    )
    shown = channels or reductions.most_important(_FILTERS.value)
    patches = strongest_patches(
        model, site, drawn.images, shown, _PATCHES.value
    )
    readings = [
        read_filter(x, patches[x], reductions, _CLASSES.value) for x in shown
    ]
    return reductions, readings


def _settings() -> dict[str, Any]:
    """Without the folders of the machine."""
    files = ("model", "output", "rows", "data")
    return data_flags.portable_settings(_FLAGS, files)


def _site(model: keras.Model) -> GateSite:
    from drnet_tf.sites import gate_sites

    sites = {site.name: site for site in gate_sites(model)}
    if _SITE.value not in sites:
        raise ValueError(
            f"--site: got '{_SITE.value}', expected one of {', '.join(sites)}."
        )
    return sites[_SITE.value]


def _channels(site: GateSite) -> list[int]:
    texts = _CHANNELS.value or []
    if not all(x.isdigit() and int(x) < site.channels for x in texts):
        raise ValueError(
            f"--channels: got {','.join(texts)}, expected numbers in "
            f"0..{site.channels - 1}, the filters of '{site.name}'."
        )
    return [int(x) for x in texts]


def _rows(names: tuple[str, ...]) -> list[int] | None:
    if _ROWS.value is None:
        return None
    by_name = json.loads(Path(_ROWS.value).read_text("utf-8"))
    missing = [name for name in names if name not in by_name]
    if missing:
        raise ValueError(
            f"--rows: '{_ROWS.value}' has no output for the class "
            f"'{missing[0]}', expected one for each of {', '.join(names)}."
        )
    return [int(by_name[name]) for name in names]


if __name__ == "__main__":
    running.run(main)
