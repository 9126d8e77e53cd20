"""What results show in a notebook: small, complete HTML in which nothing of a name is markup."""

from __future__ import annotations

import base64
import dataclasses
import re
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree

import pytest

import actc
from actc.errors import MissingTool
from actc.toolchain import missing_package

EVIL = "<script>alert(1)</script>\" onerror='x'&\x1b["


class Tags(HTMLParser):
    """Counts tags, attributes and text; checks that all that opens is closed."""

    def __init__(self, content: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []
        self.attributes: set[str] = set()
        self.text = ""
        self.feed(content)
        self.close()
        assert not self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes |= {name for name, _ in attrs}
        if tag != "img":
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


def test_a_fit() -> None:
    fit = actc.fit("GELU", segments=4)
    content = fit._repr_html_()
    assert len(content) < 200_000
    found = Tags(content)
    assert found.tags[0] == "img"
    assert "accepted" in found.text
    picture = re.search(r'base64,([^"]+)"', content)
    assert picture is not None
    root = ElementTree.fromstring(base64.b64decode(picture[1]))
    assert root.tag.endswith("svg")
    assert content == fit._repr_html_()


def test_names_are_no_markup(monkeypatch: pytest.MonkeyPatch) -> None:
    fit = dataclasses.replace(actc.fit("Tanh", segments=3), function=EVIL)
    found = Tags(fit._repr_html_())
    assert set(found.tags) == {"img", "table", "tr", "th", "td"}
    assert found.attributes == {"alt", "style", "src"}
    assert "<script>" in found.text

    def missing(self: object, kind: str) -> bytes:
        raise missing_package("matplotlib", "install it") from None

    monkeypatch.setattr(type(fit), "plot", missing)
    assert isinstance(missing_package("matplotlib", ""), MissingTool)
    assert Tags(fit._repr_html_()).tags[0] == "table"


def test_an_artefact(model: Path, data: Path, tmp_path: Path) -> None:
    artifact = actc.compile(model, "onnx", data=data, output=tmp_path / "out")
    found = Tags(artifact._repr_html_())
    assert found.tags == ["pre"]
    assert "report.html" in found.text
    artifact.report["model"]["name"] = EVIL
    artifact.report["activations"][0]["function"] = EVIL
    hostile = Tags(artifact._repr_html_())
    assert hostile.tags == ["pre"]
    assert "\x1b" not in artifact._repr_html_()
