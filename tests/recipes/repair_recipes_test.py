"""The recipes of repair: the table of all sub-tasks, and a front."""

from __future__ import annotations

import json

import pytest

from tests.recipes.in_process import COLOURS, run, save_colours


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return save_colours(tmp_path_factory.mktemp("repair"))


@pytest.fixture
def recipe(capsys, monkeypatch, folder, tmp_path):
    def call(name, *extra):
        return run(
            capsys,
            monkeypatch,
            name,
            f"--model={folder / 'colours.keras'}",
            f"--civ={folder / 'civ.safetensors'}",
            f"--data={folder / 'data'}",
            "--preprocessing=zero_one",
            f"--output={tmp_path / 'out.json'}",
            *extra,
        )

    return call


TABLES = (
    "repair_tables",
    "--budgets=0.8,0.5",
    "--sizes=2",
    "--repair_images=4",
    "--test_images=3",
)


def test_tables_hold_all_pairs_and_means(recipe, tmp_path):
    done = recipe(*TABLES)
    assert done.code == 0
    assert "3 sub-tasks, 3 to do" in done.out
    written = json.loads((tmp_path / "out.json").read_text("utf-8"))
    assert [row["classes"] for row in written["rows"]] == [
        [COLOURS[0], COLOURS[1]],
        [COLOURS[0], COLOURS[2]],
        [COLOURS[1], COLOURS[2]],
    ]
    assert {row["selection"] for row in written["means"]} == {
        "civ",
        "civ by layers",
        "reconstruction",
        "random",
        "magnitude",
        "activation",
    }
    assert {x.name for x in tmp_path.iterdir()} == {
        "out.json",
        "out.md",
        "out.svg",
    }


def test_tables_go_on_where_they_were_stopped(recipe, tmp_path, monkeypatch):
    from drnet_tf.repair_study import RepairStudy

    whole = recipe(*TABLES)
    assert whole.code == 0
    expected = json.loads((tmp_path / "out.json").read_text("utf-8"))
    (tmp_path / "out.json").unlink()
    row, calls = RepairStudy.row, []

    def stopping(self, classes):
        if len(calls) == 1:
            raise ValueError("stopped here")
        calls.append(classes)
        return row(self, classes)

    monkeypatch.setattr(RepairStudy, "row", stopping)
    assert "stopped here" in recipe(*TABLES).error
    monkeypatch.setattr(RepairStudy, "row", row)
    assert (tmp_path / "out.json.work").exists()
    again = recipe(*TABLES)
    assert "3 sub-tasks, 2 to do" in again.out
    written = json.loads((tmp_path / "out.json").read_text("utf-8"))
    assert written == expected


def test_a_run_of_more_subtasks_takes_the_rows_that_are_written(
    recipe, tmp_path
):
    output = tmp_path / "out.json"
    some = recipe(*TABLES, "--every=2")
    assert "2 sub-tasks, 2 to do" in some.out
    rows = json.loads(output.read_text("utf-8"))["rows"]
    all_of_them = recipe(*TABLES)
    assert "3 sub-tasks, 1 to do" in all_of_them.out
    written = json.loads(output.read_text("utf-8"))["rows"]
    assert [written[0], written[2]] == rows
    other = recipe(*TABLES, "--seed=5")
    assert "3 sub-tasks, 3 to do" in other.out
    output.write_text("[]")
    assert "3 sub-tasks, 3 to do" in recipe(*TABLES).out


def test_a_run_with_other_settings_is_not_mixed_in(recipe, tmp_path):
    (tmp_path / "out.json.work").write_text("{}\n")
    assert "holds a run with other settings" in recipe(*TABLES).error


def test_a_front_is_written_and_drawn(recipe, tmp_path):
    done = recipe(
        "trace_front",
        f"--classes={COLOURS[0]},{COLOURS[1]}",
        "--budgets=0.4,0.7",
        "--repair_images=3",
        "--validation_images=3",
    )
    assert done.code == 0
    assert "none is better" in done.out
    written = json.loads((tmp_path / "out.json").read_text("utf-8"))
    assert len(written["points"]) == 2
    assert written["points"][0]["best"].keys() == {"parameters", "macs"}
    assert "Pareto front" in (tmp_path / "out.svg").read_text("utf-8")


def test_few_of_many_classes_with_both_heads(recipe, folder, tmp_path):
    rows = tmp_path / "rows.json"
    rows.write_text(json.dumps({x: i for i, x in enumerate(COLOURS)}))
    arguments = (
        "repair_many_classes",
        f"--rows={rows}",
        "--budgets=0.8",
        "--sizes=2,3",
        "--train_images=6",
        "--test_images=3",
    )
    assert recipe(*arguments, "--sizes=2").code == 0
    done = recipe(*arguments)
    assert done.code == 0, done.err
    assert "4 sub-tasks, 1 to do" in done.out
    written = json.loads((tmp_path / "out.json").read_text("utf-8"))
    heads = {(x["classes"], x["head"]) for x in written["means"]}
    assert heads == {(2, "own"), (2, "all"), (3, "own"), (3, "all")}
    assert {x["subtasks"] for x in written["means"]} == {1, 3}
    assert "promotion" in (tmp_path / "out.md").read_text("utf-8")
    rows.write_text("{}")
    (tmp_path / "out.json").unlink()
    assert "says nothing of blue, green, red" in recipe(*arguments).error
