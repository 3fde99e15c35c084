"""The page: whole, self-contained, escaped and accessible."""

import html.parser
import re

import pytest

from drnet_tf.reporting import svg
from drnet_tf.reporting.page import Blocks, Page
from drnet_tf.reporting.tables import Column

NAME = "cats & <dogs>"
DRAWING = (
    '<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg" '
    'xmlns:xlink="http://www.w3.org/1999/xlink" viewBox="0 0 400 100" '
    'width="400pt"><metadata>m</metadata><defs>'
    '<style>* { stroke: red }</style><path id="mark" d="M 0 0"/>'
    '<clipPath id="clip"><rect width="1" height="1"/></clipPath></defs>'
    '<g id="unused"><use xlink:href="#mark" clip-path="url(#clip)" '
    f'style="fill: {svg.THEME["ink"]}"/><text>a &amp; b</text></g></svg>'
)
VOID = {"meta"}


class Reader(html.parser.HTMLParser):
    """Checks that elements nest, and collects attributes and texts."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.feed(page)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.texts.append(data)

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attrs for name, attrs in self.elements if name == tag]


def full_page() -> Page:
    rows, columns = [{"a": NAME}], [Column("a", "A")]
    return (
        Page(NAME)
        .heading(f"About {NAME}")
        .paragraph(f"All {NAME}.")
        .table(rows, columns, f"Of {NAME}.")
        .figure(DRAWING, f"Drawn {NAME}.", f'See "{NAME}"')
        .details(
            f"More {NAME}",
            Blocks()
            .code("\nmake <all>\n  && test\n")
            .figure(DRAWING, "Again.", "The same")
            .table(rows, columns, "Again."),
        )
        .paragraph("End.")
    )


def test_the_page_is_well_formed_and_escaped():
    reader = Reader(full_page().render())
    assert [NAME, NAME] == [text for text in reader.texts if text == NAME][:2]
    text = "".join(reader.texts)
    for expected in (
        f"About {NAME}",
        f"All {NAME}.",
        f"Table 1. Of {NAME}.",
        f"Figure 1. Drawn {NAME}.",
        f"More {NAME}",
        "make <all>\n  && test",
        "Figure 2. Again.",
        "Table 2. Again.",
        "a & b",
        "End.",
    ):
        assert expected in text
    assert not reader.all("dogs") and not reader.all("all")


def test_the_same_blocks_make_the_same_bytes():
    page = full_page()
    assert page.render() == page.render() == full_page().render()


def test_nothing_is_loaded_from_elsewhere():
    reader = Reader(full_page().render())
    for tag, attrs in reader.elements:
        assert tag not in {"script", "link", "img", "iframe", "object"}
        assert not {"src", "srcset"} & set(attrs)
        for value in attrs.values():
            assert "//" not in (value or "")
        assert re.match("#|data:", attrs.get("href", "#"))
    assert not re.search(r"url\((?!#)|@import", full_page().render())


def test_the_page_is_accessible():
    reader = Reader(full_page().render())
    assert reader.all("html") == [{"lang": "en"}]
    assert {"name": "viewport"}.items() <= reader.all("meta")[1].items()
    drawings = reader.all("svg")
    assert [d["role"] for d in drawings] == ["img", "img"]
    assert [d["aria-label"] for d in drawings] == [
        f'See "{NAME}"',
        "The same",
    ]
    captions = {attrs["id"] for attrs in reader.all("figcaption")}
    boxes = [d for d in reader.all("div") if d.get("class") == "scroll"]
    assert {box["aria-labelledby"] for box in boxes} == captions
    assert all(box["tabindex"] == "0" for box in boxes)


def test_ids_of_two_figures_do_not_meet():
    reader = Reader(full_page().render())
    ids = [a["id"] for _, a in reader.elements if "id" in a]
    assert len(ids) == len(set(ids))
    assert {"figure1-mark", "figure2-mark", "figure1-clip"} <= set(ids)
    assert not any("unused" in i for i in ids)
    uses = reader.all("use")
    assert [use["href"] for use in uses] == ["#figure1-mark", "#figure2-mark"]
    assert uses[1]["clip-path"] == "url(#figure2-clip)"


def test_neutral_colours_follow_the_mode_of_the_page():
    page = full_page().render()
    assert Reader(page).all("use")[0]["style"] == "fill: var(--ink)"
    for role in svg.THEME:
        assert page.count(f"--{role}: #") == 2


def test_style_sheets_of_a_figure_do_not_reach_the_page():
    page = full_page().render()
    assert len(Reader(page).all("style")) == 1
    assert "stroke: red" not in page


def test_figures_of_the_package_fit():
    from drnet_tf.reporting.figures import iterate_histogram

    page = Page("x").figure(iterate_histogram([1, 2], 0.5), "c", "alt")
    reader = Reader(page.render())
    assert "Fallback for 50.0% of 3 images" in reader.texts
    assert "viewbox" in reader.all("svg")[0]


@pytest.mark.parametrize(
    ("drawing", "alt", "message"),
    [
        (DRAWING, " ", "Page.figure: alt is empty; say what the figure shows."),
        (
            "<svg>",
            "x",
            "Page.figure: the drawing is not well-formed SVG: no element "
            "found: line 1, column 5.",
        ),
        (
            "<html/>",
            "x",
            "Page.figure: expected an SVG document with a viewBox, got a root "
            "element 'html' with [].",
        ),
        (
            '<svg viewBox="0 0 1 1"><image href="http://x/y.png"/></svg>',
            "x",
            "Page.figure: the drawing needs the file 'http://x/y.png'; a page "
            "holds only drawings that are complete in themselves.",
        ),
        (
            '<svg viewBox="0 0 1 1"><script>x()</script></svg>',
            "x",
            "Page.figure: the drawing holds a script; draw without.",
        ),
    ],
)
def test_unfit_figures_are_refused_when_they_are_added(drawing, alt, message):
    page = Page("x")
    with pytest.raises(ValueError) as caught:
        page.figure(drawing, "caption", alt)
    assert str(caught.value) == message


def test_links_lead_below_the_page_alone():
    files = {"a b/c#1?.keras": NAME, "javascript:x": "a file"}
    reader = Reader(Page("x").links(files).render())
    assert [a["href"] for a in reader.all("a")] == [
        "a%20b/c%231%3F.keras",
        "javascript%3Ax",
    ]
    assert f": {NAME}" in reader.texts
    for path in ("/etc/x", "a/../../x"):
        with pytest.raises(ValueError) as caught:
            Page("x").links({path: "a file"})
        assert str(caught.value) == (
            f"Page.links: got '{path}', expected a path below the page's own "
            "folder; write the file there."
        )


def test_a_table_without_rows_is_refused_when_it_is_added():
    with pytest.raises(ValueError, match="Table: got no rows"):
        Page("x").table([], [Column("a", "A")], "caption")


def test_the_page_is_written_as_one_file(tmp_path):
    path = tmp_path / "page.html"
    full_page().write(path)
    assert path.read_bytes() == full_page().render().encode("utf-8")
    assert [p.name for p in tmp_path.iterdir()] == ["page.html"]


def test_a_missing_folder_is_refused(tmp_path):
    with pytest.raises(ValueError, match="cannot be written"):
        full_page().write(tmp_path / "no" / "page.html")
