"""Filters told by the recipe, and what it refuses."""

from __future__ import annotations

import json

import pytest

from tests.recipes.in_process import COLOURS, run, save_colours


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return save_colours(tmp_path_factory.mktemp("filters"))


@pytest.fixture
def interpret(capsys, monkeypatch, folder, tmp_path):
    def call(*extra):
        return run(
            capsys,
            monkeypatch,
            "interpret_filters",
            f"--model={folder / 'colours.keras'}",
            f"--data={folder / 'data'}",
            "--preprocessing=zero_one",
            "--site=relu",
            f"--output={tmp_path / 'filters.html'}",
            "--images_per_class=4",
            *extra,
        )

    return call


def test_each_colour_has_its_filter(interpret, tmp_path):
    done = interpret("--filters=3", "--classes=1")
    assert done.code == 0, done.err
    assert "filter 0: without it blue 100.0 points less" in done.out
    assert {x.name for x in tmp_path.iterdir()} == {
        "filters.html",
        "filters.svg",
        "filters.json",
    }
    written = json.loads((tmp_path / "filters.json").read_text("utf-8"))
    assert written["class_names"] == list(COLOURS)
    assert {x["filter"] for x in written["filters"]} == {0, 1, 2}
    for found in written["filters"]:
        own = found["filter"]
        assert found["accuracy_reduction"][own] == 1
        # The images come class by class, 4 of each.
        assert {x["image"] // 4 for x in found["patches"][:4]} == {own}
    page = (tmp_path / "filters.html").read_text("utf-8")
    assert page.count("data:image/png;base64") == 3 * 6


def test_filters_are_shown_by_number_and_rows_by_name(interpret, tmp_path):
    rows = tmp_path / "rows.json"
    rows.write_text(json.dumps({"red": 2, "green": 1, "blue": 0}))
    done = interpret("--channels=4,2", f"--rows={rows}")
    assert done.code == 0, done.err
    written = json.loads((tmp_path / "filters.json").read_text("utf-8"))
    assert [x["filter"] for x in written["filters"]] == [4, 2]


@pytest.mark.parametrize(
    ("flag", "words"),
    [
        ("--site=conv9", "--site: got 'conv9', expected one of relu."),
        ("--channels=7", "--channels: got 7, expected numbers in 0..5"),
        ("--channels=a", "--channels: got a, expected numbers in 0..5"),
        ("--images_per_class=99", "has 8 images"),
        ("--output=no/such/page.html", "cannot be written: the folder"),
        ("--rows=no.json", "no.json"),
    ],
)
def test_bad_input_is_one_sentence(flag, words, interpret, tmp_path):
    assert words in interpret(flag).error
    assert list(tmp_path.iterdir()) == []


def test_an_output_for_each_class_is_asked_for(interpret, tmp_path):
    rows = tmp_path / "rows.json"
    rows.write_text("{}")
    error = interpret(f"--rows={rows}").error
    assert "has no output for the class 'blue'" in error
