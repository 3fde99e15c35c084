"""Routes by the recipe: from CIVs, from images, of one image."""

from __future__ import annotations

import json

import pytest

from tests.recipes.in_process import run, save_colours


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return save_colours(tmp_path_factory.mktemp("routes"))


@pytest.fixture
def draw(capsys, monkeypatch, tmp_path):
    def call(*flags):
        output = f"--output={tmp_path / 'out'}"
        return run(capsys, monkeypatch, "draw_routes", output, *flags)

    return call


def network(folder):
    return (
        f"--model={folder / 'colours.keras'}",
        f"--data={folder / 'data'}",
        "--preprocessing=zero_one",
    )


def routes(tmp_path):
    written = json.loads((tmp_path / "out/routes.json").read_text("utf-8"))
    return {x["name"]: x["channels"]["relu"] for x in written["routes"]}


def test_routes_of_classes_need_nothing_but_their_civs(draw, folder, tmp_path):
    done = draw(
        f"--civ={folder / 'civ.safetensors'}",
        "--classes=blue,red",
        "--threshold=0.5",
    )
    assert (done.code, done.err) == (0, "")
    assert "blue: 1 of 6 channels" in done.out
    assert routes(tmp_path) == {"blue": [0], "red": [2]}
    assert {x.name for x in (tmp_path / "out").iterdir()} == {
        *("blue.svg", "red.svg", "blue-red.svg"),
        *("index.html", "routes.json"),
    }


def test_routes_are_learned_where_there_are_no_civs(draw, folder, tmp_path):
    done = draw(
        *network(folder), "--classes=green", "--images_per_class=3",
        "--image=0", "--threshold=0.3",
    )  # fmt: skip
    assert done.code == 0, done.err
    found = routes(tmp_path)
    # The first image of the test split is blue.
    assert list(found) == ["green", "image 0 (blue)"]
    assert 1 in found["green"]
    assert 0 in found["image 0 (blue)"]


def test_a_picture_is_laid_over_the_route_of_its_class(draw, folder, tmp_path):
    picture = folder / "data/test/red/1.png"
    done = draw(
        *network(folder), f"--civ={folder / 'civ.safetensors'}",
        "--classes=red", f"--image={picture}",
    )  # fmt: skip
    assert done.code == 0, done.err
    assert list(routes(tmp_path)) == ["red", "1"]
    assert (tmp_path / "out/red-1.svg").exists()


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        ([], "got neither --classes nor --image, expected what to draw"),
        (["--classes=red"], "got no --model, expected the network"),
        (["--civ=CIV", "--classes=pink"], "unknown class 'pink'; known: blue"),
        (["--civ=no.safetensors", "--classes=red"], "no such file"),
        (["--civ=CIV", "--classes=red", "--image=3"], "got no --model"),
        (["NETWORK", "--image=12"], "no image 12, it has 12; expected a pos"),
        (["NETWORK", "--image=no.png"], "no.png"),
        (["NETWORK", "--classes=pink"], "unknown class 'pink'"),
        (
            ["--civ=CIV", "--classes=red", "--threshold=-1"],
            "threshold: got -1.0, expected a finite number",
        ),
        (
            ["--civ=CIV", "--classes=red", "--output=no/such/folder"],
            "cannot be written: the folder 'no/such' does not exist",
        ),
    ],
)
def test_bad_input_is_one_sentence(flags, words, draw, folder, tmp_path):
    given = []
    for flag in flags:
        if flag == "NETWORK":
            given += network(folder)
        else:
            given.append(flag.replace("CIV", str(folder / "civ.safetensors")))
    assert words in draw(*given).error
    assert list(tmp_path.iterdir()) == []
