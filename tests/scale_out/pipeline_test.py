"""The pipeline on Beam's DirectRunner, against the local run."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import drnet_tf
from drnet_tf.digits import digits_convnet, load_digits
from drnet_tf.dissection.cdrp import CDRP, GateLearner
from drnet_tf.dissection.dissect import dissect
from drnet_tf.dissection.gate_plan import GatePlan
from drnet_tf.dissection.sampling import stream
from drnet_tf.scale_out import pipeline
from drnet_tf.scale_out.pipeline import dissect_on_beam
from drnet_tf.split_images import SplitImages

pytest.importorskip(
    "apache_beam", reason="apache_beam is not installed: drnet_tf[beam]"
)

METHOD = CDRP(iterations=3)
SETTINGS = {"images_per_class": 4, "batch_size": 7, "progress": False}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A network, ten digits of each class, and the local run's file."""
    folder = tmp_path_factory.mktemp("beam")
    digits = load_digits("train").take(10)
    for number, (image, label) in enumerate(
        zip(digits.images, digits.labels, strict=True)
    ):
        path = folder / "data" / "train" / str(label) / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image[..., 0]).save(path)
    digits_convnet().save(folder / "net.keras")
    run_here(folder).save(folder / "local.safetensors")
    return folder


def images(folder):
    return SplitImages(str(folder / "data"), "train", (28, 28, 1))


def run_here(folder, method=METHOD, **options):
    split = images(folder)
    opened = split.open()
    return dissect(
        digits_convnet(),
        split.dataset(opened),
        method,
        class_names=opened.class_names,
        **SETTINGS,
        **options,
    )


def run(folder, output, method=METHOD, **options):
    return dissect_on_beam(
        str(folder / "net.keras"),
        options.pop("images", images(folder)),
        method,
        output=str(output),
        **{**SETTINGS, **options},
    )


def test_the_file_is_the_local_runs_byte_for_byte(folder, tmp_path):
    output = tmp_path / "civ.safetensors"
    output.write_text("an old one, to be replaced")
    found = run(folder, output)
    expected = (folder / "local.safetensors").read_bytes()
    assert output.read_bytes() == expected
    assert [path.name for path in tmp_path.iterdir()] == [output.name]
    assert len(found.class_names) == 10 and found.method == "cdrp"
    assert found.diagnostics["images_used"] == dict.fromkeys("0123456789", 4)


def test_bundles_that_run_twice_change_no_byte(folder, tmp_path):
    """What a runner does after a worker was lost."""
    output = tmp_path / "civ.safetensors"
    run(folder, output, options=["--direct_runner_bundle_repeat=1"])
    expected = (folder / "local.safetensors").read_bytes()
    assert output.read_bytes() == expected


# A program, as its worker is a process that finds the library by PYTHONPATH.
_ON_A_WORKER = """
import sys

from drnet_tf.dissection.cdrp import CDRP
from drnet_tf.scale_out.pipeline import dissect_on_beam
from drnet_tf.split_images import SplitImages

folder, work, output = sys.argv[1:]
dissect_on_beam(
    f"{folder}/net.keras",
    SplitImages(f"{folder}/data", "train", (28, 28, 1)),
    CDRP(iterations=3),
    output=output,
    options=["--direct_running_mode=multi_processing"],
    images_per_class=4,
    batch_size=7,
    work_dir=work,
    progress=False,
)
"""
# Python runs this at the start of each process; the worker dies once.
_KILLS_THE_WORKER = """
import os, signal, sys

if "sdk_worker_main" in " ".join(sys.orig_argv):
    from drnet_tf.dissection.journal import Journal

    save = Journal.save

    def save_and_die(self, number, images, cdrps):
        save(self, number, images, cdrps)
        if number == 2:
            os.kill(os.getpid(), signal.SIGKILL)

    Journal.save = save_and_die
"""


def test_a_killed_worker_changes_no_byte(folder, tmp_path):
    """DirectRunner gives up; the same call goes on with what is kept."""
    work, output = tmp_path / "work", tmp_path / "civ.safetensors"
    (tmp_path / "sitecustomize.py").write_text(_KILLS_THE_WORKER)
    path = [str(Path(drnet_tf.__file__).parents[1]), str(tmp_path)]
    killed = subprocess.run(
        [sys.executable, "-c", _ON_A_WORKER, folder, work, output],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(path)},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert killed.returncode != 0 and not output.exists(), killed.stderr
    done = {path: path.stat().st_mtime_ns for path in work.glob("batch_*")}
    assert work / "batch_00002.safetensors" in done and len(done) < 6
    run(folder, output, work_dir=str(work))
    assert {path: path.stat().st_mtime_ns for path in done} == done
    assert len(list(work.glob("batch_*"))) == 6
    expected = (folder / "local.safetensors").read_bytes()
    assert output.read_bytes() == expected


def test_the_batches_are_those_of_the_local_run(folder, tmp_path):
    split = images(folder)
    task, batches = pipeline._planned(
        str(folder / "net.keras"),
        split,
        METHOD,
        **SETTINGS,
        seed=0,
        coupling="free",
        work_dir=None,
    )
    assert isinstance(task.plan, GatePlan)
    assert [len(batch.positions) for batch in batches] == [7] * 5 + [5]
    wanted = np.zeros(100, bool)
    wanted[np.concatenate([batch.positions for batch in batches])] = True
    opened = split.open()
    local = stream(split.dataset(opened), wanted, 7)
    for batch, (positions, pixels) in zip(batches, local, strict=True):
        np.testing.assert_array_equal(batch.positions, positions)
        found = split.at(opened, positions)
        assert found.dtype == pixels.dtype
        np.testing.assert_array_equal(found, pixels)


def test_the_local_run_goes_on_where_beam_was(folder, tmp_path, monkeypatch):
    method = CDRP(iterations=2, balance=2.0)
    work = str(tmp_path / "work")
    found = run(folder, tmp_path / "civ.safetensors", method, work_dir=work)

    def never(self, batches, balance=None):
        assert not batches, "gates were learned"
        return []

    monkeypatch.setattr(GateLearner, "learn", never)
    local = run_here(folder, method, work_dir=work)
    local.save(tmp_path / "local.safetensors")
    found.save(tmp_path / "found.safetensors")
    assert len({path.read_bytes() for path in tmp_path.glob("*.safe*")}) == 1


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"images_per_class": 11}, "Class '0' has 10 images in the dataset"),
        ({"batch_size": 0}, "batch_size: got 0, expected 1 or more"),
        ({"output": "no/such/civ.safetensors"}, "cannot be written"),
        (
            {"images": SplitImages("no/folder", "train", (28, 28, 1))},
            "no/folder",
        ),
    ],
)
def test_bad_input_is_told_before_the_pipeline_starts(
    folder, tmp_path, options, words
):
    output = options.pop("output", tmp_path / "civ.safetensors")
    with pytest.raises(ValueError, match=words):
        run(folder, output, **options)


def test_work_dir_of_another_run_is_refused(folder, tmp_path):
    output, work = tmp_path / "civ.safetensors", str(tmp_path / "work")
    method = CDRP(iterations=1, balance=2.0)
    run(folder, output, method, work_dir=work)
    with pytest.raises(ValueError, match="another run: its 'method' is"):
        run(folder, output, CDRP(iterations=2, balance=2.0), work_dir=work)


def test_beam_that_is_missing_is_named(folder, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "apache_beam", None)
    with pytest.raises(ImportError, match=r"pip install drnet_tf\[beam\]"):
        run(folder, tmp_path / "civ.safetensors")
