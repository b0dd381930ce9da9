"""Pictures hold what the terminal shows, and load nothing."""

import re
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree

import pytest
from rich.text import Text

from tissu_cli.render.pictures import save_pictures, to_html, to_png, to_svg
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


def test_a_file_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    path = tmp_path / "none" / "x.svg"
    with pytest.raises(InputError, match="cannot write"):
        save_pictures(PicturesConfig(svg=str(path)), DRAWN)
