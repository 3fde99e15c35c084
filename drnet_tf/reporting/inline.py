"""SVG documents made fit to stand inside an HTML page."""

from __future__ import annotations

import re
from xml.etree import ElementTree

from drnet_tf.reporting import svg


def inline_svg(drawing: str, alt: str, prefix: str) -> str:
    """Turns an SVG document into an `<svg>` element of an HTML page.

    Ids that nothing refers to go, the others get the prefix, as they must be
    unique in the page; the neutral colours become those of the page's mode.
    """
    try:
        root = ElementTree.fromstring(drawing)
    except ElementTree.ParseError as error:
        raise ValueError(
            f"Page.figure: the drawing is not well-formed SVG: {error}."
        ) from error
    if _local_name(root.tag) != "svg" or "viewBox" not in root.attrib:
        raise ValueError(
            "Page.figure: expected an SVG document with a viewBox, got a root "
            f"element '{_local_name(root.tag)}' with {sorted(root.attrib)}."
        )
    _drop_elements(root)
    used = set(re.findall(r"(?:url\(|href=[\"'])#([^)\"']+)", drawing))
    for element in root.iter():
        element.tag = _local_name(element.tag)
        element.attrib = {
            _local_name(key): _page_value(_local_name(key), value, used, prefix)
            for key, value in element.attrib.items()
            if key != "id" or value in used
        }
    width = float(root.attrib["viewBox"].split()[2])
    root.attrib = {
        "viewBox": root.attrib["viewBox"],
        "role": "img",
        "aria-label": alt,
        # A phone may shrink it to three quarters, and scrolls the rest.
        "style": f"max-width:{width:.0f}px;min-width:{0.75 * width:.0f}px",
    }
    return ElementTree.tostring(root, encoding="unicode")


def _local_name(name: str) -> str:
    """A tag or attribute without its namespace."""
    return name.rpartition("}")[2]


def _drop_elements(root: ElementTree.Element) -> None:
    """Removes metadata and style sheets, and refuses scripts."""
    for parent in list(root.iter()):
        for child in list(parent):
            name = _local_name(child.tag)
            if name == "script":
                raise ValueError(
                    "Page.figure: the drawing holds a script; draw without."
                )
            if name in ("metadata", "style"):
                parent.remove(child)


def _page_value(key: str, value: str, used: set[str], prefix: str) -> str:
    """The value of an SVG attribute within a page."""
    if key == "id":
        return prefix + value
    if key == "href":
        if value.startswith("#"):
            return f"#{prefix}{value[1:]}"
        if not value.startswith("data:"):
            raise ValueError(
                f"Page.figure: the drawing needs the file '{value}'; a page "
                "holds only drawings that are complete in themselves."
            )
        return value
    value = value.replace("url(#", f"url(#{prefix}")
    for role, color in svg.THEME.items():
        value = value.replace(color, f"var(--{role})")
    return value
