"""Tables: the same rows as Markdown, HTML and text."""

import dataclasses
from xml.etree import ElementTree

import numpy as np
import pytest

from drnet_tf.reporting import tables
from drnet_tf.reporting.tables import Column


@dataclasses.dataclass(frozen=True)
class Row:
    name: str
    kept: int
    total: int

    @property
    def fraction(self) -> float:
        return self.kept / self.total


COLUMNS = [
    Column("task", "Sub-task"),
    Column("kept", "Channels", ".1%"),
    Column("bytes", "TFLite", ",", unit="bytes"),
]
ROWS = [
    {"task": ("cat", "dog"), "kept": 0.12345, "bytes": 1234567},
    {"task": ("ship",), "kept": np.float32(1), "bytes": None},
]


def test_markdown():
    assert tables.markdown(ROWS, COLUMNS) == (
        "| Sub-task | Channels | TFLite (bytes) |\n"
        "| :------- | -------: | -------------: |\n"
        "| cat, dog |    12.3% |      1,234,567 |\n"
        "| ship     |   100.0% |              – |\n"
    )


def test_text():
    assert tables.text(ROWS, COLUMNS) == (
        "Sub-task  Channels  TFLite (bytes)\n"
        "--------  --------  --------------\n"
        "cat, dog     12.3%       1,234,567\n"
        "ship        100.0%               –\n"
    )


def test_html():
    root = ElementTree.fromstring(tables.html(ROWS, COLUMNS))
    head = root.findall("thead/tr/th")
    assert [cell.text for cell in head] == [
        "Sub-task",
        "Channels",
        "TFLite (bytes)",
    ]
    assert {cell.get("scope") for cell in head} == {"col"}
    assert [cell.get("style") for cell in head] == [
        "text-align:left",
        "text-align:right",
        "text-align:right",
    ]
    body = root.findall("tbody/tr")
    assert [[cell.text for cell in row] for row in body] == [
        ["cat, dog", "12.3%", "1,234,567"],
        ["ship", "100.0%", "–"],
    ]
    assert [cell.tag for cell in body[0]] == ["th", "td", "td"]
    assert body[0][0].get("scope") == "row"


def test_dataclasses_and_their_properties():
    drawn = tables.text(
        [Row("a", 1, 4)],
        [Column("name", "Name"), Column("fraction", "Kept", ".0%")],
    )
    assert drawn.splitlines()[-1].split() == ["a", "25%"]


def test_alignment_can_be_chosen():
    rows = [{"a": 1, "b": "x", "c": True}]
    columns = [
        Column("a", "wide", align="left"),
        Column("b", "wide", align="right"),
        Column("c", "centred", align="center"),
    ]
    rule = tables.markdown(rows, columns).splitlines()[1]
    assert rule == "| :--- | ---: | :-----: |"
    assert tables.text(rows, columns).splitlines()[-1] == "1        x   True"


def test_texts_are_escaped():
    rows = [{"a": "<b> & |x|\n*y*"}]
    columns = [Column("a", "A | <i>")]
    lines = tables.markdown(rows, columns).splitlines()
    assert lines[0] == r"| A \| \<i>          |"
    assert lines[2] == r"| \<b> & \|x\| \*y\* |"
    drawn = tables.html(rows, columns)
    assert '<th scope="col" style="text-align:left">A | &lt;i&gt;<' in drawn
    assert "&lt;b&gt; &amp; |x|" in drawn
    assert tables.text(rows, columns).splitlines()[-1] == "<b> & |x| *y*"


@pytest.mark.parametrize("write", [tables.markdown, tables.html, tables.text])
@pytest.mark.parametrize(
    ("rows", "columns", "message"),
    [
        ([], COLUMNS, "Table: got no rows, expected at least one."),
        (ROWS, [], "Table: got no columns, expected at least one."),
        (
            [{"a": 1}],
            [Column("b", "B")],
            "Table, row 0: there is no value for column 'b'; its keys are "
            "['a'].",
        ),
        (
            [Row("a", 1, 4)],
            [Column("b", "B")],
            "Table, row 0: there is no value for column 'b'; it is a Row.",
        ),
        (
            [{"a": 0.5}, {"a": "half"}],
            [Column("a", "A", ".1%")],
            "Table, row 1: column 'a': the format '.1%' cannot show 'half'; "
            "change the column's format.",
        ),
    ],
)
def test_bad_input_is_refused_in_one_sentence(write, rows, columns, message):
    with pytest.raises(ValueError) as caught:
        write(rows, columns)
    assert str(caught.value) == message


def test_an_unknown_alignment_is_refused():
    with pytest.raises(ValueError) as caught:
        Column("a", "A", align="justify")
    assert str(caught.value) == (
        "Column 'a': align: got 'justify', expected one of "
        "('left', 'center', 'right') or None."
    )
