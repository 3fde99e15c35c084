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


def test_a_stopped_run_goes_on_with_its_rules_and_with_more_subtasks(
    recipe, tmp_path, monkeypatch
):
    from drnet_tf.method_study import MethodStudy

    chosen = "--methods=cdrp,random"
    whole, kept_file = recipe(chosen), tmp_path / "out.json.work"
    expected = json.loads((tmp_path / "out.json").read_text("utf-8"))
    assert whole.code == 0, whole.err
    with monkeypatch.context() as patch:
        patch.setattr("kept_rows.KeptRows.remove", lambda self: None)
        assert recipe(chosen, "--every=2").code == 0
    assert kept_file.exists()
    with monkeypatch.context() as patch:
        patch.setattr(MethodStudy, "rules", pytest.fail)
        again = recipe(chosen)
    assert "3 sub-tasks, 1 to do" in again.out
    found = json.loads((tmp_path / "out.json").read_text("utf-8"))
    assert found["rules"] == expected["rules"]
    assert found["means"] == expected["means"]
    assert not kept_file.exists()


def test_unknown_methods_and_a_missing_reference_are_refused(recipe):
    assert "got 'lego', expected some of cdrp" in recipe("--methods=lego").error
    assert "expected cdrp among them" in recipe("--methods=random").error
