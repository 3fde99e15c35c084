"""The paper's tables beside ours: what is written, and going on."""

from __future__ import annotations

import json

import pytest

from tests.recipes.in_process import COLOURS, run, save_colours


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return save_colours(tmp_path_factory.mktemp("paper"))


@pytest.fixture
def tables(capsys, monkeypatch, folder, tmp_path):
    def call(*extra, civ=folder / "civ.safetensors"):
        return run(
            capsys,
            monkeypatch,
            "paper_tables",
            f"--model={folder / 'colours.keras'}",
            f"--civ={civ}",
            f"--data={folder / 'data'}",
            "--preprocessing=zero_one",
            f"--output={tmp_path / 'out.json'}",
            "--kept=0.5,0.7",
            "--validation_images=3",
            "--test_images=3",
            "--repair_images=4",
            *extra,
        )

    return call


def written(tmp_path):
    return json.loads((tmp_path / "out.json").read_text("utf-8"))


def test_a_table_has_the_papers_rows_and_ours(tables, tmp_path):
    done = tables()
    assert done.code == 0, done.err
    assert {x.name for x in tmp_path.iterdir()} == {
        *("out.json", "out.md", "out.svg"),
    }
    found = written(tmp_path)
    assert [len(found[x]["rows"]) for x in ("pairs", "triples")] == [3, 1]
    assert found["named"] == []  # they are CIFAR-10's
    assert found["network_accuracy"] == 1.0
    lines = [[x.strip() for x in y.split("|")] for y in done.out.splitlines()]
    assert [x[1:9] for x in lines if x[2:3] == ["the paper"]] == [
        ["pairs", "the paper", "94.0%", "not known", "not known", "0.40",
         "33.0%", "11.2%"],
        ["triples", "the paper", "94.0%", "not known", "not known",
         "not known", "not known", "22.5%"],
    ]  # fmt: skip
    assert ["3 pairs", "ours, hard masks", "100.0%"] in [x[1:4] for x in lines]


def test_another_table_has_another_paper(tables):
    done = tables("--table=4", "--subtasks=2")
    assert "VGG16 on CIFAR-100" in done.out
    assert "threshold of the union rule: 0.01" in done.out
    assert "2 pairs" in done.out and "3 pairs" not in done.out


def test_chosen_networks_are_mended_and_the_run_goes_on(
    tables, tmp_path, monkeypatch
):
    from drnet_tf.table_study import TableStudy

    flags = ("--repair=least_squares", "--distil", "--train_images=4")
    assert tables(*flags).code == 0
    expected = written(tmp_path)
    assert set(expected["pairs"]["repaired"]) == {
        "least_squares",
        "least_squares, distilled",
    }
    (tmp_path / "out.json").unlink()
    row, choose, calls = TableStudy.row, TableStudy.choose, []

    def stopping(self, *arguments):
        if len(calls) == 2:
            raise ValueError("stopped here")
        calls.append(arguments)
        return row(self, *arguments)

    def choosing(self, *arguments, **options):
        calls.append(arguments)
        return choose(self, *arguments, **options)

    monkeypatch.setattr(TableStudy, "row", stopping)
    monkeypatch.setattr(TableStudy, "choose", choosing)
    assert "stopped here" in tables(*flags).error
    # As if it had been stopped while it wrote.
    with (tmp_path / "out.json.work").open("a") as file:
        file.write('{"classes": ["x"], "y": {}')
    monkeypatch.setattr(TableStudy, "row", row)
    again = tables(*flags)
    assert "4 sub-tasks, 3 to do" in again.out
    assert len(calls) == 2  # one choice, one row
    assert written(tmp_path) == expected


def test_promotions_stand_beside_the_papers(tables, tmp_path):
    civ = tmp_path / "few.safetensors"
    done = tables("--table=6", "--budgets=0.8", "--subtasks=2", civ=civ)
    assert done.code == 0, done.err
    assert civ.exists()
    assert "of 2 classes" in done.out and "14.29" in done.out
    found = written(tmp_path)
    assert {(x["classes"], x["subtasks"]) for x in found["means"]} == {
        (2, 2),
        (3, 1),
    }
    assert found["settings"]["data"] == "data"
    assert "VGG16 on ImageNet" not in done.out  # it is told in words
    assert "data imagenet2012" in done.out


def test_rows_are_asked_for_where_the_data_has_not_all_classes(
    tables, tmp_path, folder, monkeypatch
):
    rows = tmp_path / "rows.json"
    rows.write_text(json.dumps(dict.fromkeys(COLOURS[1:], 0)))
    flags = ("--table=6", f"--rows={rows}")
    assert "says nothing of blue" in tables(*flags).error


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (["--subtasks=1", "--table=1", "--named=pink+red"], "unknown class"),
        (["--output=no/such/out.json"], "cannot be written"),
    ],
)
def test_bad_input_is_one_sentence(flags, words, tables):
    assert words in tables(*flags).error
