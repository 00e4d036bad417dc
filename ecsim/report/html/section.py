"""What a section of a page is, and the pieces that several of them use."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ecsim.report.html.markup import Child, Markup, join, tag

MAX_PAGES = 40
"""Of phases or devices; of more only the first have a page."""


@dataclass(frozen=True, slots=True)
class Section:
    """A section: its name in links, its heading and what stands under it."""

    slug: str
    title: str
    body: Markup


def figure(
    title: str,
    pictures: Sequence[Markup],
    table: Markup,
    legend: Child = None,
    note: str = "",
    *,
    is_wide: bool = False,
) -> Markup:
    """Give pictures with a caption, their legend and the values behind them."""
    return tag(
        "figure",
        tag("figcaption", title),
        tag("div", pictures, class_="panels"),
        legend,
        tag("p", note, class_="note") if note else None,
        folded("Values of this figure", table),
        class_="broad" if is_wide else None,
    )


def capitalised(words: str) -> str:
    """Give a title of words that stand inside a sentence elsewhere."""
    return words[:1].upper() + words[1:]


def panel(title: str, picture: Markup) -> Markup:
    """Give one picture of several under a figure's caption, with its own title."""
    return tag("div", tag("p", title, class_="panel-title"), picture, class_="panel")


def wide(picture: Markup, label: str) -> Markup:
    """Give a picture that keeps its width and scrolls sideways on a narrow screen."""
    return tag("div", picture, class_="scroll wide", role="group", aria_label=label, tabindex=0)


def folded(summary: Child, *body: Child, is_open: bool = False) -> Markup:
    """Give something that opens when its summary is pressed, without any script."""
    return tag("details", tag("summary", summary), body, open=is_open)


def pages(entries: Sequence[tuple[str, Markup]]) -> Markup:
    """Give one page per (title, body), folded up but for the first."""
    return join(
        folded(tag("h4", title), body, is_open=i == 0) for i, (title, body) in enumerate(entries)
    )


def note(*text: Child) -> Markup:
    """Give a paragraph in a lower voice."""
    return tag("p", text, class_="note")
