"""Reads a page as a browser would that believes nothing: what is open, named, asked for."""

import re
from html.parser import HTMLParser

_VOID = {"meta", "link", "br", "hr", "img", "input"}
_LOADS = {"src", "href", "xlink:href", "srcset", "data", "action", "poster"}


class PageReader(HTMLParser):
    """Fails on a tag that is closed wrongly; `read` gives one that has read it all."""

    def __init__(self):
        super().__init__()
        self.tags: list[str] = []
        self.ids: list[str] = []
        self.references: list[str] = []
        self.headings: list[int] = []
        self.drawings: list[list[str]] = []  # tags in each svg, those directly in it only
        self.captionless = 0
        self.text = ""
        self._open: list[str] = []

    @classmethod
    def read(cls, html: str) -> "PageReader":
        reader = cls()
        reader.feed(html)
        reader.close()
        assert reader._open == []
        reader.references += re.findall(r"url\(([^)]*)\)|@import ([^;]*)", html)
        return reader

    def handle_starttag(self, tag, attributes):
        values = dict(attributes)
        assert len(values) == len(attributes), f"an attribute twice: {attributes}"
        if tag not in _VOID:
            if self._open and self._open[-1] == "svg":
                self.drawings[-1].append(tag)
            if self._open and self._open[-1] == "table" and tag == "thead":
                self.captionless += self.tags[-1] != "caption"
            self._open.append(tag)
        self._see(tag, values)

    def handle_startendtag(self, tag, attributes):
        self._see(tag, dict(attributes))

    def handle_endtag(self, tag):
        assert self._open and self._open[-1] == tag, f"</{tag}> in {self._open}"
        self._open.pop()

    def handle_data(self, data):
        self.text += data

    def _see(self, tag, values):
        self.tags.append(tag)
        if tag == "svg":
            self.drawings.append([])
        if re.fullmatch("h[1-6]", tag):
            self.headings.append(int(tag[1]))
        if "id" in values:
            self.ids.append(values["id"])
        self.references += [value for name, value in values.items() if name in _LOADS]
        assert not any(name.startswith("on") for name in values), f"a script: {values}"


def check(html: str) -> PageReader:
    """What holds of every page: it is well-formed, asks for nothing, and can be read aloud."""
    assert html.startswith("<!DOCTYPE html>")
    page = PageReader.read(html)
    inside = {f"#{name}" for name in page.ids}
    for reference in page.references:
        target = "".join(reference)
        assert target == "data:," or target in inside, f"asks for {target}"
    assert len(page.ids) == len(set(page.ids))
    assert "script" not in page.tags
    assert page.headings[0] == 1
    steps = zip(page.headings, page.headings[1:], strict=False)
    assert all(1 < below <= above + 1 for above, below in steps)
    assert page.captionless == 0
    assert all(tags[:2] == ["title", "desc"] for tags in page.drawings)
    return page
