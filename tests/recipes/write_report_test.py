"""The report by the recipe, and what it refuses."""

from __future__ import annotations

import json

import pytest

from drnet_tf.importance import ChannelImportance
from tests.recipes.in_process import run, save_colours


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return save_colours(tmp_path_factory.mktemp("report"))


@pytest.fixture
def write_report(capsys, monkeypatch, folder, tmp_path):
    def call(*extra):
        return run(
            capsys,
            monkeypatch,
            "write_report",
            f"--model={folder / 'colours.keras'}",
            f"--civ={folder / 'civ.safetensors'}",
            f"--data={folder / 'data'}",
            "--preprocessing=zero_one",
            f"--output={tmp_path / 'out'}",
            "--subtasks=red+blue,green + blue",
            "--budgets=0.5,1",
            *extra,
        )

    return call


def test_a_report_of_two_sub_tasks(write_report, folder, tmp_path):
    done = write_report("--max_parameters=0.5", "--rule=mean")
    assert (done.code, done.err) == (0, "")
    out = tmp_path / "out"
    assert {path.name for path in out.iterdir()} == {
        "index.html", "report.json", "civ.safetensors", "red-blue",
        "green-blue",
    }  # fmt: skip
    found = json.loads((out / "report.json").read_text("utf-8"))
    assert [row["accuracy"] for row in found["rows"]] == [1.0, 1.0]
    assert list(found["fronts"]) == ["red, blue"]
    assert found["settings"]["civ"] == "civ.safetensors"
    assert found["settings"]["seed"] == 0
    page = (out / "index.html").read_text("utf-8")
    assert page.count("<svg") == 5  # front, channels, classes, 2 confusions
    assert str(tmp_path) not in page and str(folder.parent) not in page
    assert "green, blue" in done.out and "index.html" in done.out
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_a_repair_within_a_drop_of_accuracy(write_report, tmp_path):
    done = write_report(
        "--max_drop=0",
        "--repair=least_squares",
        "--repair_images=4",
        "--validation_images=4",
        "--fronts=0",
    )
    assert (done.code, done.err) == (0, "")
    text = (tmp_path / "out/report.json").read_text("utf-8")
    for row in json.loads(text)["rows"]:
        assert row["repair"]["images"] == 8
        assert row["masked_difference"] < 1e-5
        assert row["criterion"]["max_drop"] == 0


def test_the_others_are_reported_where_one_has_no_network(
    write_report, folder, tmp_path
):
    importance = ChannelImportance.load(folder / "civ.safetensors")
    scores = importance.scores["relu"].copy()
    scores[1] = 0.01  # green: no channel above the threshold
    civ = folder / "no_green.safetensors"
    ChannelImportance({"relu": scores}, importance.class_names, "x").save(civ)
    extra = ["--threshold=0.5", "--fronts=0", f"--civ={civ}"]
    done = write_report("--subtasks=green,red+blue", *extra)
    assert (done.code, done.err) == (0, "")
    page = (tmp_path / "out/index.html").read_text("utf-8")
    assert "Without a small network: " in page
    done = write_report(
        "--subtasks=green", f"--output={tmp_path / 'x'}", *extra
    )
    assert "keeps no channel" in done.error
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        ([], "got no criterion, expected exactly one of threshold"),
        (["--threshold=1", "--max_macs=0.5"], "got threshold, max_macs"),
        (["--max_macs=half"], "--max_macs: got 'half', expected a whole"),
        (["--threshold=1", "--subtasks=red+cow"], "unknown class 'cow'; known"),
        (["--threshold=1", "--subtasks=red+red"], "'red' stands twice"),
        (["--threshold=1", "--subtasks=red", "--rule=xor"], "rule 'xor': got"),
        (["--threshold=1", "--budgets=0.5,2"], "--budgets: got ['0.5', '2']"),
        (["--threshold=1", "--budgets=some"], "--budgets: got ['some']"),
        (["--threshold=1", "--output=no/such/x"], "'no/such' does not exist"),
        (["--threshold=1", "--civ=no.safetensors"], "no such file"),
        (["--threshold=1", "--data=digits"], "--data: its classes are 0, 1"),
    ],
)
def test_bad_input_is_one_sentence(flags, words, write_report, tmp_path):
    assert words in write_report(*flags).error
    assert list(tmp_path.iterdir()) == []
