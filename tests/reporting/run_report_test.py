"""The page and the folder of a run."""

from __future__ import annotations

import json
import re

import keras
import numpy as np
import pytest

from drnet_tf.fronts import trace_front
from drnet_tf.importance import ChannelImportance
from drnet_tf.labeled_images import LabeledImages
from drnet_tf.reporting.run_report import RunReport
from drnet_tf.subtasks import DRNet
from tests.reporting.page_test import Reader

NAMES = ("cat", "cow", "dog")
# Cat and dog share two of their three channels, cow none with them.
SCORES = np.array(
    [[0.9, 0.8, 0.1, 0, 0], [0, 0, 0, 0.9, 0.8], [0.8, 0.9, 0, 0, 0]]
)
PAIR = ("cat", "dog")


@pytest.fixture(scope="module")
def drnet():
    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [
            keras.Input((6, 6, 3)),
            keras.layers.Conv2D(5, 3, activation="relu", name="conv"),
            keras.layers.GlobalAveragePooling2D(),
            keras.layers.Dense(3),
        ],
        name="pets",
    )
    importance = ChannelImportance(
        {"conv": SCORES}, NAMES, "by hand", config={"images_per_class": 7}
    )
    return DRNet(model, importance)


@pytest.fixture(scope="module")
def test_images():
    random = np.random.default_rng(1)
    images = random.normal(size=(60, 6, 6, 3)).astype("float32")
    return LabeledImages(images, np.arange(60) % 3, NAMES)


def report_of(drnet, test_images, repair="none"):
    asked = {"threshold": 0.5, "repair": repair}
    settings = {**asked, "seed": 3, "max_macs": None}
    report = RunReport(drnet, test_images, "20 images", settings, asked)
    manner = {"repair": repair}
    if repair != "none":
        manner["images"] = test_images.images
    row = report.add(drnet.subtask(PAIR, threshold=0.5, **manner))
    report.add_front(
        PAIR,
        trace_front(drnet, PAIR, test_images, budgets=(0.6, 1.0)),
    )
    return report, row


@pytest.fixture
def written(drnet, test_images, tmp_path):
    report, _ = report_of(drnet, test_images)
    report.add_unreached("Sub-task ('cow',): nothing is within <1> points.")
    report.write(tmp_path)
    return tmp_path


def test_the_page_has_all_parts(written):
    text = (written / "index.html").read_text("utf-8")
    reader = Reader(text)
    assert [x for x in reader.texts if x.startswith("Figure ")] == [
        "Figure 1. Pareto front of cat, dog: accuracy on test images against "
        "the parameters that are left of the full network's.",
        "Figure 2. Channels of every layer that each sub-task keeps (DRNet, "
        "figure 7).",
        *[x for x in reader.texts if x.startswith("Figure 3. How much of")],
        *[x for x in reader.texts if x.startswith("Figure 4. cat, dog: test")],
    ]
    for words in (
        "Sub-tasks of &#x27;pets&#x27;",
        "nothing is within &lt;1&gt; points.",
        "with threshold 0.5, repair none",
        "on 20 images, which chose nothing",
        ">2 of 5 channels (40.0%)<",
        '">cat, dog</td>',  # the cluster
        ">images_per_class</th>",
        ">seed</th>",
    ):
        assert words in text, words
    assert ">max_macs</th>" not in text  # was not asked for
    assert all(drawing["aria-label"].strip() for drawing in reader.all("svg"))


def test_links_lead_to_files_that_are_there(written):
    reader = Reader((written / "index.html").read_text("utf-8"))
    linked = {a["href"] for a in reader.all("a")}
    assert linked == {
        path.relative_to(written).as_posix()
        for path in written.rglob("*.*")
        if path.name != "index.html"
    }
    assert "cat-dog/mask.safetensors" in linked


def test_the_json_holds_what_the_page_shows(written, drnet):
    found = json.loads((written / "report.json").read_text("utf-8"))
    (row,) = found["rows"]
    assert row["kept"] == {"conv": 2}
    assert np.sum(row["confusion"]) == row["images"] == 40
    for name, accuracy in (("full_", "full_accuracy"), ("", "accuracy")):
        right = np.trace(row[f"{name}confusion"]) / 40
        assert right == pytest.approx(row[accuracy])
    # Convolution 5 * 27 + 5 and head 5 * 3 + 3; of it 2 * 27 + 2 and 2 * 2 + 2.
    assert (row["full_parameters"], row["small_parameters"]) == (158, 62)
    assert row["masked_difference"] < 1e-5
    assert [x["classes"] for x in found["clusters"]] == [
        ["cat", "dog"],
        ["cow"],
    ]
    assert found["clusters"][0]["similarity"] == pytest.approx(2 / 3)
    assert len(found["fingerprint"]) == 64
    assert found["versions"]["keras"] == keras.__version__
    assert len(found["fronts"]["cat, dog"]) == 2
    assert found["unreached"] and found["settings"]["seed"] == 3


def test_the_same_run_gives_the_same_page(drnet, test_images, tmp_path):
    pages = []
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        report_of(drnet, test_images)[0].write(tmp_path / name)
        pages.append((tmp_path / name / "index.html").read_bytes())
        assert (tmp_path / name / "report.json").read_bytes() == (
            tmp_path / "a/report.json"
        ).read_bytes()
    assert pages[0] == pages[1]
    assert not re.search(rb"/tmp|src=|<script", pages[0])


def test_a_repaired_network_is_proven_as_it_was_cut(drnet, test_images):
    _, hard = report_of(drnet, test_images)
    _, repaired = report_of(drnet, test_images, "least_squares")
    assert repaired["repair"]["method"] == "least_squares"
    assert hard["repair"] is None
    assert repaired["masked_difference"] == hard["masked_difference"] < 1e-5


def test_many_classes_get_a_list_of_confusions(written):
    from drnet_tf.reporting import run_page

    classes = [f"c{n}" for n in range(11)]
    matrix = 9 * np.eye(11, dtype=int)
    confused = matrix.copy()
    confused[3, 4] = 5
    page = run_page.Page("x")
    row = {
        "classes": classes,
        "full_confusion": matrix.tolist(),
        "confusion": confused.tolist(),
    }
    run_page._add_confusions(page, [row, {**row, "confusion": matrix}])
    text = page.render()
    assert "<svg" not in text
    assert '">c3</th><td style="text-align:left">c4</td>' in text
    assert "no image was taken for another class" in text


def test_a_run_without_any_network_is_refused(drnet, test_images):
    report = RunReport(drnet, test_images, "images", {}, {})
    with pytest.raises(ValueError, match="got no sub-task, expected one"):
        report.results()
    report.add_unreached("Nothing is small enough.")
    with pytest.raises(ValueError, match="Nothing is small enough."):
        report.results()
