"""Runs recipes in this process, as loading TensorFlow anew takes seconds."""

from __future__ import annotations

import dataclasses
import importlib
import pathlib
import sys

import keras
import numpy as np
from absl import flags
from PIL import Image

from drnet_tf.fingerprints import fingerprint
from drnet_tf.importance import ChannelImportance

RECIPES = pathlib.Path(__file__).parents[2] / "recipes"
COLOURS = ("blue", "green", "red")  # sorted, as folders are


@dataclasses.dataclass(frozen=True)
class Done:
    code: int
    out: str
    err: str

    @property
    def error(self):
        """The one line of an error."""
        assert (self.code, self.err.count("\n")) == (2, 1), self.err
        return self.err.removeprefix("error: ").rstrip()


def run(capsys, monkeypatch, name, *arguments):
    """Runs a recipe with flags of its own, and takes them away again."""
    monkeypatch.syspath_prepend(RECIPES)
    monkeypatch.setattr(sys, "argv", [name, *map(str, arguments)])
    known = set(flags.FLAGS)
    modules = set(sys.modules)
    capsys.readouterr()
    try:
        recipe = importlib.import_module(name)
        recipe.running.run(recipe.main)
    except SystemExit as end:
        code = end.code or 0
    finally:
        flags.FLAGS.remove_flag_values(set(flags.FLAGS) - known)
        for loaded in set(sys.modules) - modules:
            path = getattr(sys.modules[loaded], "__file__", None)
            if path and pathlib.Path(path).parent == RECIPES:
                del sys.modules[loaded]
    captured = capsys.readouterr()
    return Done(code, captured.out, captured.err)


def save_images(folder, train=8, test=4):
    """Writes `<split>/<colour>/*.png`: noisy images of one colour each."""
    random = np.random.default_rng(0)
    for split, count in (("train", train), ("test", test)):
        for channel, colour in enumerate(reversed(COLOURS)):
            (folder / split / colour).mkdir(parents=True)
            for number in range(count):
                pixels = random.integers(0, 60, (8, 8, 3), np.uint8)
                pixels[..., channel] += 180
                path = folder / split / colour / f"{number}.png"
                Image.fromarray(pixels).save(path)
    return folder


def colour_network(name="colours"):
    """Tells the colours apart by three of its six channels, exactly."""
    image = keras.Input((8, 8, 3))
    conv = keras.layers.Conv2D(6, 3, padding="same", name="conv")
    x = keras.layers.ReLU(name="relu")(conv(image))
    x = keras.layers.GlobalAveragePooling2D()(x)
    head = keras.layers.Dense(3, name="head")
    model = keras.Model(image, head(x), name=name)
    kernel = np.full((3, 3, 3, 6), 0.01, np.float32)
    kernel[1, 1, :, :3] += np.eye(3)[:, ::-1]  # blue, green, red
    conv.set_weights([kernel, np.zeros(6)])
    rows = np.zeros((6, 3), np.float32)
    rows[:3] = 8 * np.eye(3)
    head.set_weights([rows, np.zeros(3)])
    return model


def save_colours(folder):
    """The images, the network and its CIVs: one channel for each colour."""
    save_images(folder / "data")
    model = colour_network()
    model.save(folder / "colours.keras")
    scores = np.full((3, 6), 0.1, np.float32)
    scores[:, :3] = np.eye(3)
    ChannelImportance(
        {"relu": scores}, COLOURS, "by hand", fingerprint=fingerprint(model)
    ).save(folder / "civ.safetensors")
    return folder
