"""Text never becomes markup."""

from html import unescape
from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ecsim.report.html.markup import Markup, join, tag

WORDS = st.text(st.characters(blacklist_categories=["Cs"], blacklist_characters="\r\x00"))


class Parsed(HTMLParser):
    def __init__(self, text):
        super().__init__(convert_charrefs=True)
        self.tags, self.data = [], ""
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, attrs))

    def handle_data(self, data):
        self.data += data


@given(WORDS, WORDS)
def test_a_parser_finds_the_same_text_and_attribute_and_no_more_elements(text, title):
    parsed = Parsed(tag("p", text, title=title))
    assert parsed.tags == [("p", [("title", title)])]
    assert parsed.data == text


def test_markup_is_kept_and_lists_are_joined():
    inner = tag("b", "a & b")
    assert tag("p", [inner, None, ["<", Markup("<br>")]]) == "<p><b>a &amp; b</b>&lt;<br></p>"
    assert unescape(join(["'", '"'])) == "'\""


def test_attributes():
    assert tag("td", data_v="1", scope=None, hidden=True, open=False) == (
        '<td data-v="1" hidden></td>'
    )
    assert tag("svg", viewBox="0 0 1 1", x1=1.0, x2=1.256, y1=-0.0) == (
        '<svg viewBox="0 0 1 1" x1="1" x2="1.26" y1="-0"></svg>'
    )
    with pytest.raises(ValueError, match="must be a number"):
        tag("line", x1=float("nan"))
