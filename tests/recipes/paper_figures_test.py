"""The paper's figures: files, data, words."""

from __future__ import annotations

import json

import pytest

from tests.recipes.in_process import run, save_colours


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return save_colours(tmp_path_factory.mktemp("figures"))


@pytest.fixture
def draw(capsys, monkeypatch, folder, tmp_path):
    def call(*extra):
        return run(
            capsys,
            monkeypatch,
            "paper_figures",
            f"--civ={folder / 'civ.safetensors'}",
            f"--output={tmp_path / 'out'}",
            *extra,
        )

    return call


@pytest.fixture
def network(folder):
    return (
        f"--model={folder / 'colours.keras'}",
        f"--data={folder / 'data'}",
        "--preprocessing=zero_one",
        "--test_images=3",
        "--kept=0.2,0.7",
    )


def written(tmp_path, number):
    path = tmp_path / f"out/figure_{number}.json"
    return json.loads(path.read_text("utf-8"))


def test_civs_are_enough_for_kept_channels_and_similarity(draw, tmp_path):
    done = draw("--figure=7,8", "--share=0.5", "--named=blue+red")
    assert (done.code, done.err) == (0, "")
    assert {x.name for x in (tmp_path / "out").iterdir()} == {
        *("figure_7.json", "figure_7.svg", "figure_8.json", "figure_8.svg"),
    }
    assert written(tmp_path, 7)["kept"] == {"blue, red": {"relu": 5}}
    assert written(tmp_path, 8)["equation_5"][0][0] == 1.0
    assert "about a third of VGG16's channels" in done.out
    assert "the paper: not known" in done.out


def test_curves_end_at_the_full_network(draw, network, tmp_path):
    done = draw(*network, "--figure=5,6")
    assert done.code == 0, done.err
    names = {x.name for x in (tmp_path / "out").iterdir()}
    assert {"figure_5_channels.svg", "figure_6_parameters.svg"} <= names
    curves = written(tmp_path, 5)["curves"]
    assert list(curves) == ["3 sub-tasks of 2 classes", "all 3 classes"]
    thresholds = [
        [point["threshold"] for point in curve] for curve in curves.values()
    ]
    # One threshold for all sizes, falling as more channels stay.
    assert thresholds[0] == thresholds[1]
    assert thresholds[0][0] > thresholds[0][1]
    assert list(written(tmp_path, 6)["curves"]) == [
        "union of 3 pairs",
        "xor of 3 pairs",
    ]
    assert "Figure 5 (our reading)" in done.out


def test_what_networks_look_at_is_drawn_and_measured(draw, network, tmp_path):
    done = draw(
        *network, "--figure=9", "--share=0.4", "--named=green+red",
        "--shown=2", "--repair=least_squares", "--repair_images=4",
    )  # fmt: skip
    assert done.code == 0, done.err
    found = written(tmp_path, 9)
    assert found["site"] == "relu"
    assert len(found["rows"]) == 3  # the pair named is one of those drawn
    assert [x["network"] for x in found["means"]] == [
        "full",
        "sub-network",
        "random channels",
    ]
    drawing = (tmp_path / "out/figure_9.svg").read_text("utf-8")
    assert drawing.count("data:image/png;base64") == 2 * 2 * 3


def test_the_digits_network_needs_no_file(
    capsys, monkeypatch, tmp_path, folder
):
    done = run(
        capsys,
        monkeypatch,
        "paper_figures",
        f"--civ={folder / 'civ.safetensors'}",
        "--data=digits",
        "--figure=5",
        f"--output={tmp_path / 'out'}",
    )
    # It is found, and the CIVs of another network are refused.
    assert "has 10 classes" in done.error or "site" in done.error


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (["--figure=4"], "got '4', expected some of 5, 6, 7, 8, 9"),
        (["--figure=7,5"], "5 needs the network and its images; pass --model"),
        (["--figure=7", "--named=pink+red"], "unknown class 'pink'"),
        (["--figure=7", "--output=no/such/out"], "cannot be written"),
    ],
)
def test_bad_input_is_one_sentence(flags, words, draw, tmp_path):
    assert words in draw(*flags).error
    assert list(tmp_path.iterdir()) == []
