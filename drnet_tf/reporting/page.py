"""One self-contained HTML page: text, tables and figures in a single file.

The page loads nothing from elsewhere and runs no script. It follows the
reader's light or dark mode, fits a phone, and prints.
"""

from __future__ import annotations

import dataclasses
import html
import itertools
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Self
from urllib.parse import quote

from drnet_tf.artifacts import write_text
from drnet_tf.reporting import tables
from drnet_tf.reporting.inline import inline_svg
from drnet_tf.reporting.style_sheet import STYLE_SHEET


@dataclasses.dataclass(frozen=True)
class _Numbers:
    """Numbers the figures and tables of a page while it is rendered."""

    figures: Iterator[int]
    tables: Iterator[int]


class Blocks:
    """Blocks of a page, one under the other.

    Every method adds a block and returns the object itself. All texts are plain
    text; what HTML reads as markup is escaped.

    Example:
      >>> Blocks().heading("Result").paragraph("Cats & dogs.") is not None
      True
    """

    def __init__(self) -> None:
        self._blocks: list[Callable[[_Numbers], str]] = []

    def heading(self, text: str) -> Self:
        """Adds a heading that starts a section."""
        return self._add(f"<h2>{html.escape(text)}</h2>")

    def paragraph(self, text: str) -> Self:
        """Adds a paragraph."""
        return self._add(f"<p>{html.escape(text)}</p>")

    def code(self, text: str) -> Self:
        """Adds commands or output, in fixed width, lines as they are."""
        return self._add(
            '<pre tabindex="0"><code>'
            f"{html.escape(text.strip(chr(10)))}</code></pre>"
        )

    def links(self, files: Mapping[str, str]) -> Self:
        """Adds a list of links to files that lie beside the page.

        Args:
          files: what each is, by its path from the page's folder, parts
            joined by "/".

        Raises:
          ValueError: a path that leads elsewhere.

        Example:
          >>> page = Page("x").links({"a b/mask.bin": "the mask"})
          >>> '<a href="a%20b/mask.bin">a b/mask.bin</a>' in page.render()
          True
        """
        items = []
        for path, words in files.items():
            if path.startswith("/") or ".." in path.split("/"):
                raise ValueError(
                    f"Page.links: got '{path}', expected a path below the "
                    "page's own folder; write the file there."
                )
            # With the colon escaped no name can be read as a scheme.
            items.append(
                f'<li><a href="{quote(path)}">{html.escape(path)}</a>: '
                f"{html.escape(words)}</li>"
            )
        return self._add(f"<ul>{''.join(items)}</ul>")

    def table(
        self,
        rows: Sequence[Any],
        columns: Sequence[tables.Column],
        caption: str,
    ) -> Self:
        """Adds a numbered table.

        Args:
          rows, columns: see `drnet_tf.reporting.tables.html`.
          caption: what it shows.

        Raises:
          ValueError: see `drnet_tf.reporting.tables.html`.
        """
        drawn = tables.html(rows, columns)
        self._blocks.append(
            lambda numbers: _figure(
                "Table", next(numbers.tables), drawn, caption
            )
        )
        return self

    def figure(self, drawing: str, caption: str, alt: str) -> Self:
        """Adds a numbered figure.

        Args:
          drawing: an SVG document, as from `drnet_tf.reporting.figures`. Its
            style sheets are left out, as they would reach the whole page.
          caption: what it shows, stands below it.
          alt: what is to be seen, for those who do not see it.

        Raises:
          ValueError: the drawing is no well-formed SVG, or needs another file;
            `alt` is empty.
        """
        if not alt.strip():
            raise ValueError(
                "Page.figure: alt is empty; say what the figure shows."
            )
        inline_svg(drawing, alt, prefix="")

        def render(numbers: _Numbers) -> str:
            number = next(numbers.figures)
            drawn = inline_svg(drawing, alt, prefix=f"figure{number}-")
            return _figure("Figure", number, drawn, caption)

        self._blocks.append(render)
        return self

    def details(self, title: str, content: Blocks) -> Self:
        """Adds blocks that the reader unfolds by their title.

        Args:
          title: always visible.
          content: what it unfolds; blocks added to it later count too.
        """
        self._blocks.append(
            lambda numbers: (
                f"<details><summary>{html.escape(title)}</summary>\n"
                f"{content._render_blocks(numbers)}\n</details>"
            )
        )
        return self

    def _add(self, rendered: str) -> Self:
        self._blocks.append(lambda _: rendered)
        return self

    def _render_blocks(self, numbers: _Numbers) -> str:
        return "\n".join(block(numbers) for block in self._blocks)


class Page(Blocks):
    """An HTML page, built block by block and written as one file.

    Args:
      title: heading of the page and title of its window.

    Example:
      >>> page = Page("Cats & dogs").paragraph("Two of ten classes.")
      >>> "<h1>Cats &amp; dogs</h1>" in page.render()
      True
    """

    def __init__(self, title: str) -> None:
        super().__init__()
        self._title = title

    def render(self) -> str:
        """The page as an HTML document, the same bytes for the same blocks."""
        title = html.escape(self._title)
        body = self._render_blocks(
            _Numbers(itertools.count(1), itertools.count(1))
        )
        return (
            '<!DOCTYPE html>\n<html lang="en">\n<head>\n'
            '<meta charset="utf-8">\n'
            '<meta name="viewport" '
            'content="width=device-width, initial-scale=1">\n'
            f"<title>{title}</title>\n<style>{STYLE_SHEET}</style>\n</head>\n"
            f"<body>\n<main>\n<h1>{title}</h1>\n{body}\n</main>\n</body>\n"
            "</html>\n"
        )

    def write(self, path: str | os.PathLike[str]) -> None:
        """Writes the page as one file, whole or not at all.

        Args:
          path: the file to write; its folder must exist.

        Raises:
          ValueError: the folder is missing or cannot be written.
        """
        write_text(path, self.render())


def _figure(kind: str, number: int, drawn: str, caption: str) -> str:
    """A table with its caption above, or a figure with its caption below.

    Args:
      kind: "Table" or "Figure".
      number: its number among those of its kind.
      drawn: HTML; where it is too wide it scrolls, by keyboard too.
      caption: plain text.
    """
    label = f"{kind.lower()}{number}-caption"
    parts = [
        f'<div class="scroll" tabindex="0" role="region" '
        f'aria-labelledby="{label}">{drawn}</div>',
        f'<figcaption id="{label}">{kind} {number}. {html.escape(caption)}'
        "</figcaption>",
    ]
    if kind == "Table":
        parts.reverse()
    return f"<figure>{''.join(parts)}</figure>"
