"""Several devices: two virtual CPUs, in a process that makes them first."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import drnet_tf
from drnet_tf.digits import digits_convnet, load_digits
from drnet_tf.dissection.baselines import Magnitude
from drnet_tf.dissection.cdrp import CDRP
from drnet_tf.dissection.dissect import dissect
from drnet_tf.importance import ChannelImportance

_DISSECT = """
import sys

import tensorflow as tf

tf.config.set_logical_device_configuration(
    tf.config.list_physical_devices("CPU")[0],
    [tf.config.LogicalDeviceConfiguration()] * 2,
)

from drnet_tf.digits import digits_convnet, load_digits
from drnet_tf.dissection.cdrp import CDRP
from drnet_tf.dissection.dissect import dissect

digits = load_digits("train")
network = digits_convnet()
before = network.get_weights()
for name, devices, policy in (
    ("one", (), None),
    ("two", ("CPU:0", "CPU:1"), None),
    ("second", ("CPU:1",), None),
    ("two_rough", ("CPU:0", "CPU:1"), "mixed_bfloat16"),
):
    dissect(
        network,
        digits,
        CDRP(iterations=3, balance=2.0, dtype_policy=policy),
        class_names=digits.class_names,
        images_per_class=5,
        batch_size=11,
        work_dir=f"{sys.argv[1]}/{name}",
        devices=devices,
    ).save(f"{sys.argv[1]}/{name}.safetensors")
for old, new in zip(before, network.get_weights()):
    assert (old == new).all()
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("devices")
    root = str(Path(drnet_tf.__file__).parents[1])
    done = subprocess.run(
        [sys.executable, "-c", _DISSECT, str(folder)],
        env={**os.environ, "PYTHONPATH": root},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return folder


@pytest.mark.parametrize("name", ["two", "second"])
def test_devices_change_no_byte(folder, name):
    """Fifty images are five batches: the last pair of devices is half idle."""
    one = (folder / "one.safetensors").read_bytes()
    assert (folder / f"{name}.safetensors").read_bytes() == one
    batches = sorted(path.name for path in (folder / "one").iterdir())
    assert len(batches) == 6  # the plan, too
    for batch in batches:
        alone = (folder / "one" / batch).read_bytes()
        assert (folder / name / batch).read_bytes() == alone


def test_devices_go_with_another_precision(folder):
    one, rough = (
        ChannelImportance.load(folder / f"{name}.safetensors")
        for name in ("one", "two_rough")
    )
    for site, scores in one.scores.items():
        assert abs(scores - rough.scores[site]).mean() < 0.05


def refused(devices, method=None):
    digits = load_digits("test")
    with pytest.raises(ValueError) as error:
        dissect(
            digits_convnet(),
            digits,
            method,
            class_names=digits.class_names,
            devices=devices,
        )
    return str(error.value)


def test_devices_that_are_not_there_are_refused():
    for devices in (("CPU:0", "GPU:99"), ("CPU:0", "CPU:0")):
        words = refused(devices)
        assert words.startswith(f"devices: got {', '.join(devices)}, expected ")
        assert "different ones out of CPU:0" in words
        assert words.endswith("name those, or leave the devices out.")


def test_other_methods_refuse_devices():
    assert refused(("CPU:0",), Magnitude()) == (
        "devices: got CPU:0 for Magnitude, expected none, as only CDRP runs "
        "on several; leave them out."
    )
    assert "CPU:0" in refused(("CPU:0", "CPU:0"), CDRP())
