"""The recipe that compares methods, on networks of three colours."""

from __future__ import annotations

import json

import pytest

from tests.recipes.in_process import run, save_colours


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return save_colours(tmp_path_factory.mktemp("methods"))


@pytest.fixture
def recipe(capsys, monkeypatch, folder, tmp_path):
    def call(*extra):
        return run(
            capsys,
            monkeypatch,
            "compare_methods",
            f"--model={folder / 'colours.keras'}",
            f"--data={folder / 'data'}",
            "--preprocessing=zero_one",
            f"--output={tmp_path / 'out.json'}",
            "--budgets=0.8,0.5",
            "--images_per_class=4",
            "--removal_images=2",
            "--repair_images=4",
            "--test_images=3",
            "--rule_subtasks=1",
            *extra,
        )

    return call


def test_everything_is_written_and_said(recipe, tmp_path):
    done = recipe("--methods=cdrp,accuracy_reduction,random")
    assert done.code == 0, done.err
    written = json.loads((tmp_path / "out.json").read_text("utf-8"))
    assert len(written["rows"]) == 3
    assert set(written["dissection"]) == {
        "cdrp",
        "accuracy_reduction",
        "random",
    }
    assert written["dissection"]["accuracy_reduction"]["images_per_class"] == 2
    assert written["classifier_only"]["macs"] < 1
    assert {x["treatment"] for x in written["winners"]} >= {
        "hard",
        "least_squares",
    }
    text = (tmp_path / "out.md").read_text("utf-8")
    assert "Least squares" in text
    assert "cdrp is beaten" in text
    dissecting = text[text.index("Dissecting") :]
    for name in written["dissection"]:
        assert f"| {name} " in dissecting
    page = (tmp_path / "out.html").read_text("utf-8")
    assert "<svg" in page
    assert "Dissecting" in page
    assert {x.name for x in tmp_path.iterdir()} == {
        "out.json",
        "out.md",
        "out.html",
        "out.svg",
        "out.dissected",
    }


def test_what_was_dissected_is_not_dissected_again(recipe):
    chosen = "--methods=cdrp,random"
    assert "cdrp: 4 images of each class" in recipe(chosen).out
    again = recipe(chosen)
    assert again.code == 0
    assert "images of each class" not in again.out


def test_a_run_of_more_subtasks_takes_the_rules_and_rows_that_are_written(
    recipe, tmp_path, monkeypatch
):
    from drnet_tf.method_study import MethodStudy

    chosen, output = "--methods=cdrp,random", tmp_path / "out.json"
    assert recipe(chosen).code == 0
    expected = json.loads(output.read_text("utf-8"))
    output.unlink()
    assert recipe(chosen, "--every=2").code == 0
    monkeypatch.setattr(MethodStudy, "rules", pytest.fail)
    assert "3 sub-tasks, 1 to do" in recipe(chosen).out
    found = json.loads(output.read_text("utf-8"))
    assert found["rules"] == expected["rules"]
    assert found["means"] == expected["means"]


def test_unknown_methods_and_a_missing_reference_are_refused(recipe):
    assert "got 'lego', expected some of cdrp" in recipe("--methods=lego").error
    assert "expected cdrp among them" in recipe("--methods=random").error
