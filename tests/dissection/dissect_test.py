"""Tests of drnet_tf/dissection/dissect.py, end to end on a tiny network."""

from __future__ import annotations

import functools
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

import drnet_tf
from drnet_tf.dissection import batch_sizes
from drnet_tf.dissection.batch_sizes import default_batch_size
from drnet_tf.dissection.cdrp import CDRP, GateLearner
from drnet_tf.dissection.dissect import dissect
from drnet_tf.dissection.gates_of_images import learn_cdrps
from drnet_tf.dissection.sampling import draw_images
from drnet_tf.fingerprints import fingerprint
from drnet_tf.importance import ChannelImportance
from drnet_tf.sites import gate_sites

NAMES = ("cat", "cow", "dog")
METHOD = CDRP(iterations=10, balance=4.0)
COUNT = 240


@functools.cache
def net():
    keras.utils.set_random_seed(0)
    return keras.Sequential(
        [
            keras.Input((8, 8, 3)),
            keras.layers.Conv2D(6, 3, padding="same", name="conv1"),
            keras.layers.BatchNormalization(name="norm1"),
            keras.layers.ReLU(name="relu1"),
            keras.layers.Conv2D(5, 3, activation="relu", name="conv2"),
            keras.layers.GlobalAveragePooling2D(),
            keras.layers.Dense(
                3, kernel_initializer=keras.initializers.RandomNormal(0, 5)
            ),
        ],
        name="net",
    )


@functools.cache
def data():
    """Images of all classes, of which the network gets some wrong."""
    random = np.random.default_rng(0)
    images = random.normal(size=(COUNT * 10, 8, 8, 3)).astype("float32")
    scores = net().predict(images, verbose=0, batch_size=512)
    # The middle of the scores, so that no class has it all.
    bias = -np.median(scores, axis=0)
    net().layers[-1].bias.assign(bias)
    labels = np.argmax(scores + bias, axis=1)
    rows = np.concatenate(
        [np.flatnonzero(labels == c)[: COUNT // 3] for c in range(3)]
    )
    rows = random.permutation(rows)
    images, labels = images[rows], labels[rows].copy()
    labels[::9] = (labels[::9] + 1) % 3
    return images, labels


def run(method=METHOD, *, dataset=None, model=None, **options):
    dataset = data() if dataset is None else dataset
    options = {
        "class_names": NAMES,
        "images_per_class": 12,
        "batch_size": 8,
        "progress": False,
        **options,
    }
    return dissect(model or net(), dataset, method, **options)


def saved(importance, folder, name="civ.safetensors"):
    importance.save(folder / name)
    return (folder / name).read_bytes()


@functools.cache
def dissected():
    return run()


def test_importance_is_of_the_networks_sites_and_classes():
    found = dissected()
    assert found.channels == {s.name: s.channels for s in gate_sites(net())}
    assert found.class_names == NAMES and found.method == "cdrp"
    assert found.fingerprint == fingerprint(net())
    assert found.config["images_per_class"] == 12
    assert found.config["seed"] == 0 and found.config["iterations"] == 10
    scores = np.concatenate(list(found.scores.values()), axis=1)
    assert ((scores >= 0) & (scores <= 10)).all()
    assert len(np.unique(scores)) > 10


def test_row_of_a_class_is_the_mean_over_its_images_gates():
    """The same by another way: all gates at once, then NumPy's mean."""
    images, _ = data()
    drawn = draw_images(
        lambda x: np.argmax(net().predict(x, verbose=0), axis=1),
        data(),
        NAMES,
        12,
        seed=0,
    )
    for number, positions in enumerate(drawn):
        cdrps = learn_cdrps(net(), images[positions], METHOD)
        for site, gates in cdrps.gates.items():
            np.testing.assert_allclose(
                dissected().scores[site][number],
                gates.astype(np.float64).mean(axis=0),
                atol=1e-5,
            )


def test_one_seed_gives_one_file_byte_for_byte(tmp_path):
    method = CDRP(iterations=4)  # with a balance to be found
    first, second = (saved(run(method), tmp_path) for _ in range(2))
    assert first == second
    assert saved(run(method, seed=1), tmp_path) != first


def test_the_kind_of_dataset_changes_no_byte(tmp_path):
    dataset = tf.data.Dataset.from_tensor_slices(data()).batch(50)
    found = run(dataset=dataset, class_names=list(NAMES))
    assert saved(found, tmp_path) == saved(dissected(), tmp_path)


def test_work_dir_changes_no_byte_and_spares_the_work(tmp_path, monkeypatch):
    expected = saved(dissected(), tmp_path)
    work = tmp_path / "work"
    assert saved(run(work_dir=work), tmp_path) == expected
    names = sorted(path.name for path in work.iterdir())
    assert names == [
        *(f"batch_{n:05d}.safetensors" for n in range(5)),
        "plan.json",
    ]
    (work / names[3]).unlink()
    learned = []
    learn = GateLearner.learn

    def counted(self, batches, balance=None):
        learned.extend(map(len, batches))
        return learn(self, batches, balance)

    monkeypatch.setattr(GateLearner, "learn", counted)
    assert saved(run(work_dir=work), tmp_path) == expected
    assert learned == [8]


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """The work_dir of a finished run."""
    folder = tmp_path_factory.mktemp("work")
    run(CDRP(iterations=1, balance=4.0), work_dir=folder)
    return folder


@pytest.mark.parametrize(
    ("options", "key"),
    [
        ({"seed": 1}, "method"),
        ({"method": CDRP(iterations=2, balance=4.0)}, "method"),
        ({"batch_size": 9}, "method"),
        ({"class_names": ("a", "b", "c")}, "class_names"),
    ],
)
def test_work_dir_of_another_run_is_refused(finished, options, key):
    plan = finished / "plan.json"
    before = plan.read_bytes()
    options = {"method": CDRP(iterations=1, balance=4.0), **options}
    with pytest.raises(ValueError, match=f"another run: its '{key}' is"):
        run(work_dir=finished, **options)
    assert plan.read_bytes() == before


def test_work_dir_with_other_images_is_refused(finished):
    images, labels = data()
    with pytest.raises(ValueError, match="made from other images"):
        run(
            CDRP(iterations=1, balance=4.0),
            work_dir=finished,
            dataset=(images * 1.0001, labels),
        )


_KILLED = """
import sys, time

import keras
import numpy as np

from drnet_tf.dissection.cdrp import CDRP, GateLearner
from drnet_tf.dissection.dissect import dissect

folder = sys.argv[1]
learn = GateLearner.learn


def slow(self, batches, balance=None):  # leaves time to be killed in
    time.sleep(1)
    return learn(self, batches, balance)


GateLearner.learn = slow
arrays = np.load(folder + "/data.npz")
dissect(
    keras.models.load_model(folder + "/net.keras"),
    (arrays["images"], arrays["labels"]),
    CDRP(iterations=10, balance=4.0),
    class_names=("cat", "cow", "dog"),
    images_per_class=12,
    batch_size=8,
    work_dir=folder + "/work",
)
"""


def test_a_run_killed_in_the_middle_ends_with_the_same_bytes(tmp_path):
    images, labels = data()
    np.savez(tmp_path / "data.npz", images=images, labels=labels)
    net().save(tmp_path / "net.keras")
    root = str(Path(drnet_tf.__file__).parents[1])
    work = tmp_path / "work"
    with subprocess.Popen(
        [sys.executable, "-c", _KILLED, str(tmp_path)],
        env={**os.environ, "PYTHONPATH": root},
        stdout=subprocess.DEVNULL,
    ) as process:
        latest = time.monotonic() + 600
        while len(list(work.glob("batch_*"))) < 2:
            assert process.poll() is None, "ended by itself"
            assert time.monotonic() < latest, "made no batch in 600 s"
            time.sleep(0.05)
        process.send_signal(signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL
    done = {path.name: path.read_bytes() for path in work.glob("batch_*.safe*")}
    assert 2 <= len(done) < 5
    resumed = run(work_dir=work)
    for name, content in done.items():
        assert (work / name).read_bytes() == content
    assert len(list(work.glob("batch_*.safetensors"))) == 5
    assert saved(resumed, tmp_path) == saved(dissected(), tmp_path)


def test_diagnostics_add_up():
    method = CDRP(iterations=10, balance=2.0)
    found = run(method).diagnostics
    json.dumps(found)
    assert found["balance"] == 2.0
    assert found["images_used"] == dict.fromkeys(NAMES, 12)
    histogram = found["iterate_histogram"]
    assert len(histogram) == 11 and sum(histogram) == 36
    assert found["fallback_rate"] == histogram[0] / 36
    by_class = found["fallback_rate_by_class"]
    assert list(by_class) == list(NAMES)
    assert np.mean(list(by_class.values())) == pytest.approx(
        found["fallback_rate"]
    )
    for share in ("flipped_rate", "fallback_rate", "zero_gates"):
        assert 0 <= found[share] <= 1
    kl = found["kl"]
    assert 0 <= kl["median"] <= kl["quantile_95"] <= kl["largest"]


def test_balance_found_is_told_with_its_trials():
    found = run(CDRP(iterations=10)).diagnostics
    trials = found["calibration"]
    assert found["balance"] in [trial["balance"] for trial in trials]
    assert [t["balance"] for t in trials] == sorted(
        t["balance"] for t in trials
    )


def test_network_of_a_single_site_can_be_dissected():
    keras.utils.set_random_seed(1)
    model = keras.Sequential(
        [
            keras.Input((8, 8, 3)),
            keras.layers.Conv2D(6, 3, activation="relu", name="conv"),
            keras.layers.GlobalAveragePooling2D(),
            keras.layers.Dense(3),
        ]
    )
    cdrps = learn_cdrps(model, data()[0][:4], METHOD)
    assert cdrps.gates["conv"].shape == (4, 6)


def test_importance_round_trips_through_its_file(tmp_path):
    found = dissected()
    found.save(tmp_path / "civ.safetensors")
    loaded = ChannelImportance.load(tmp_path / "civ.safetensors")
    assert loaded.diagnostics == found.diagnostics
    for site, scores in found.scores.items():
        np.testing.assert_array_equal(loaded.scores[site], scores)


def test_model_is_left_as_it_is():
    model = net()
    before, layers = model.get_weights(), [id(x) for x in model.layers]
    run(CDRP(iterations=2, dtype_policy="mixed_bfloat16"))
    assert [id(x) for x in model.layers] == layers
    for old, new in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)


def test_exclude_with_nothing_left_is_refused():
    """Heavy L1 empties the network: only one class, the bias's, survives."""
    method = CDRP(iterations=30, balance=1.0, gamma=1.0, on_flip="exclude")
    with pytest.raises(ValueError, match='on_flip="exclude" leaves none'):
        run(method, images_per_class=3)


@pytest.fixture
def no_long_work(monkeypatch):
    """Fails a test whose call gets as far as learning gates."""

    def never(self, batches, balance=None):
        raise AssertionError("gates were learned")

    monkeypatch.setattr(GateLearner, "learn", never)


@pytest.mark.usefixtures("no_long_work")
def test_class_names_that_do_not_fit_are_refused():
    with pytest.raises(ValueError) as error:
        run(class_names=("cat", "dog"))
    assert str(error.value) == (
        "Model 'net' has 3 outputs, got 2 class names; pass one name per "
        "output, in their order."
    )
    with pytest.raises(ValueError, match="'cat' stands twice"):
        run(class_names=("cat", "dog", "cat"))


@pytest.mark.usefixtures("no_long_work")
def test_images_and_labels_that_are_not_valid_are_refused():
    images, labels = data()
    broken = images.copy()
    broken[7, 0, 0, 0] = np.nan
    with pytest.raises(ValueError, match="image 7 holds NaN or infinite"):
        run(dataset=(broken, labels))
    wrong = labels.copy()
    wrong[5] = 3
    with pytest.raises(ValueError, match="label 3 of image 5 is out of range"):
        run(dataset=(images, wrong))
    with pytest.raises(
        ValueError, match="Class 'cat' has .* expected at least"
    ):
        run(images_per_class=1000)
    with pytest.raises(TypeError, match="expected a re-iterable"):
        run(dataset=zip(images, labels, strict=True))


@pytest.mark.usefixtures("no_long_work")
def test_work_dir_that_cannot_be_written_is_refused_before_reading(tmp_path):
    (tmp_path / "file").write_text("no folder")

    class Unread:
        def __iter__(self):
            raise AssertionError("the dataset was read")

    with pytest.raises(ValueError, match="cannot be made"):
        run(dataset=Unread(), work_dir=tmp_path / "file")


@pytest.mark.usefixtures("no_long_work")
def test_settings_out_of_range_are_refused():
    with pytest.raises(ValueError, match="batch_size: got 0, expected 1"):
        run(batch_size=0)
    with pytest.raises(ValueError, match="images_per_class: got 0"):
        run(images_per_class=0)


@pytest.mark.usefixtures("no_long_work")
def test_networks_that_cannot_be_dissected_are_refused():
    image, other = keras.Input((8, 8, 3)), keras.Input((2,))
    x = keras.layers.Conv2D(2, 3, activation="relu")(image)
    x = keras.layers.GlobalAveragePooling2D()(x)
    x = keras.layers.Dense(3)(keras.layers.Concatenate()([x, other]))
    with pytest.raises(ValueError) as error:
        run(model=keras.Model([image, other], x, name="two"))
    assert str(error.value) == (
        "Model 'two' has 2 inputs, expected one, the images."
    )
    dense = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3)])
    with pytest.raises(ValueError, match="found no convolution"):
        run(model=dense)


def test_default_batch_size_follows_the_activations(monkeypatch):
    """Float32 there and back: 8 bytes for each of the net's 1022 elements."""
    elements = 8 * 8 * 3 + 3 * (8 * 8 * 6) + 6 * 6 * 5 + 5 + 3
    assert default_batch_size(net()) == 128
    monkeypatch.setattr(batch_sizes, "_BATCH_BYTES", 8 * elements * 20)
    assert default_batch_size(net()) == 16
    monkeypatch.setattr(batch_sizes, "_BATCH_BYTES", 8 * elements * 16 - 1)
    assert default_batch_size(net()) == 8
    monkeypatch.setattr(batch_sizes, "_BATCH_BYTES", 1)
    assert default_batch_size(net()) == 1


def test_images_are_kept_for_later_repairs(tmp_path):
    found = run(keep_images=5)
    assert found.images.shape == (3, 5, 8, 8, 3)
    images, labels = data()
    as_kept = images.astype(np.float16)
    for number, kept in enumerate(found.images):
        for image in kept:
            (place,) = np.flatnonzero((as_kept == image).all((1, 2, 3)))
            assert labels[place] == number
    found.save(tmp_path / "civ.safetensors")
    loaded = ChannelImportance.load(tmp_path / "civ.safetensors")
    np.testing.assert_array_equal(loaded.images, found.images)
    assert loaded.images_of(("dog", "cat")).shape == (10, 8, 8, 3)
    assert dissected().images is None
    assert dissected().images_of(("dog",)) is None
    with pytest.raises(ValueError, match="keep_images: got -1"):
        run(keep_images=-1)


def test_the_scale_of_the_images_is_told():
    pixels = dissected().diagnostics["pixels"]
    assert abs(pixels["mean"]) < 0.1 and abs(pixels["std"] - 1) < 0.1
