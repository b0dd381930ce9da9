"""Pictures hold what the terminal shows, and load nothing."""

import re
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree

import pytest
from rich.text import Text

from tissu_cli.output import Output
from tissu_cli.render.pictures import check_pictures, save_pictures, to_html, to_png, to_svg
from tissu_core.config.inspection import PicturesConfig
from tissu_core.errors import InputError

DRAWN = Text("layers.0 <&> ▁▄█", style="bold cyan")


class _Words(HTMLParser):
    text = ""

    def handle_data(self, data: str) -> None:
        self.text += data


def test_svg_and_page_hold_the_same_characters() -> None:
    words = "".join(ElementTree.fromstring(to_svg(DRAWN)).itertext()).replace("\xa0", " ")
    page = _Words()
    page.feed(to_html(DRAWN))
    assert DRAWN.plain in words and DRAWN.plain in page.text


@pytest.mark.parametrize("draw", [to_svg, to_html])
def test_opening_one_loads_nothing(draw: object) -> None:
    drawn = draw(DRAWN).replace('xmlns="http://www.w3.org/2000/svg"', "")  # type: ignore[operator]
    assert not re.search(r"https?:|@import|url\((?!#)", drawn)


def test_a_png_has_dots_of_ink() -> None:
    assert to_png(DRAWN).startswith(b"\x89PNG")
    assert len(to_png(DRAWN)) > len(to_png(Text(" "))) + 200


@pytest.mark.parametrize("name", ["none/x.svg", "."])
def test_a_file_that_cannot_be_written_is_named_before_the_work(tmp_path: Path, name: str) -> None:
    pictures = PicturesConfig(svg=str(tmp_path / name))
    for refuse in (check_pictures, lambda asked: save_pictures(asked, DRAWN)):
        with pytest.raises(InputError, match="cannot write"):
            refuse(pictures)


def test_a_missing_package_is_told_before_the_work(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tissu_cli.render.pictures.find_spec", lambda name: None)
    with pytest.raises(InputError, match="resvg-py"):
        check_pictures(PicturesConfig(png="x.png"))


def test_json_is_printed_and_pictures_are_drawn(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    named = {kind: str(tmp_path / f"x.{kind}") for kind in ("svg", "html")}
    Output(named, is_json=True).show({"a": 1}, lambda sheet: Text(f"{sheet.width} wide"))
    assert capsys.readouterr().out == '{"a": 1}\n'
    for name in named.values():
        assert "120" in Path(name).read_text()
    Output({"html": named["html"]}, is_json=False).show({}, lambda _: DRAWN, lambda: "a page")
    assert DRAWN.plain in capsys.readouterr().out
    assert Path(named["html"]).read_text() == "a page"


def test_without_colours_a_view_is_told_so(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("tissu_cli.render.console.is_terminal_stdout", lambda: True)
    monkeypatch.setenv("TERM", "xterm-256color")
    seen = []
    for value in ("", "1"):
        monkeypatch.setenv("NO_COLOR", value)
        Output({}, is_json=False).show({}, lambda sheet: Text(str(seen.append(sheet.is_coloured))))
    assert seen == [True, False]
    capsys.readouterr()
