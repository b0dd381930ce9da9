"""What the terminal shows, in files: SVG, a page, PNG."""

import errno
import io
import os
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console, RenderableType
from rich.terminal_theme import TerminalTheme

from tissu_cli.render.console import say
from tissu_core.config.inspection import PicturesConfig
from tissu_core.errors import InputError, missing_package

if TYPE_CHECKING:
    from collections.abc import Callable

WIDTH = 120
"""Columns of a picture, whatever the terminal has."""

_FONTS = "'DejaVu Sans Mono', Menlo, Consolas, 'Liberation Mono', 'Courier New', monospace"
_PAPER = TerminalTheme(
    (255, 255, 255),
    (30, 34, 40),
    [
        (30, 34, 40),
        (190, 40, 40),
        (30, 130, 60),
        (150, 105, 0),
        (30, 90, 180),
        (140, 50, 140),
        (0, 120, 135),
        (110, 115, 120),
    ],
)
# Rich's own templates load a font from the net when they are opened, and draw a window's buttons.
_SVG = f"""<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {{width}} {{terminal_height}}">
<style>
.{{unique_id}}-matrix {{{{ font-family: {_FONTS}; font-size: {{char_height}}px;
  line-height: {{line_height}}px; white-space: pre; }}}}
{{styles}}
</style>
<defs>{{lines}}</defs>
<rect width="100%" height="100%" fill="#ffffff"/>
<g transform="translate(6, -2)">{{backgrounds}}
<g class="{{unique_id}}-matrix">{{matrix}}</g></g>
</svg>
"""
PAGE_STYLE = f"""
body {{ color: #1e2228; background: #ffffff; font-family: sans-serif; margin: 1em; }}
pre {{ font-family: {_FONTS}; line-height: 1.25; overflow-x: auto; }}
th {{ text-align: left; font-weight: normal; color: #6e7378; padding-right: 1em; }}
.failed {{ color: #be2828; }}
"""
_FRAGMENT = "<pre><code>{code}</code></pre>"


def check_pictures(pictures: PicturesConfig) -> None:
    """Tell before the work what would fail after it.

    Raises:
        InputError: If a file's folder is not there, or PNG lacks its package.
    """
    for path in (pictures.svg, pictures.html, pictures.png):
        if path and not Path(path).absolute().parent.is_dir():
            raise _cannot_write(Path(path), os.strerror(errno.ENOENT))
        if path and Path(path).is_dir():
            raise _cannot_write(Path(path), os.strerror(errno.EISDIR))
    if pictures.png and not find_spec("resvg_py"):
        raise missing_package("resvg-py", "--png")


def save_pictures(
    pictures: PicturesConfig, drawn: RenderableType, page: "Callable[[], str] | None" = None
) -> None:
    """Write each file that was asked for, and name it; one that is there is written anew.

    ``page`` makes the HTML where that is more than what the terminal shows.

    Raises:
        InputError: If a file cannot be written.
    """
    if pictures.svg:
        save_file(Path(pictures.svg), to_svg(drawn))
    if pictures.html:
        save_file(Path(pictures.html), page() if page else to_html(drawn))
    if pictures.png:
        save_file(Path(pictures.png), to_png(drawn))


def save_file(path: Path, content: str | bytes) -> None:
    """Write one file and name it.

    Raises:
        InputError: If it cannot be written.
    """
    try:
        path.write_bytes(content.encode() if isinstance(content, str) else content)
    except OSError as error:
        raise _cannot_write(path, error.strerror or str(error)) from error
    say(f"drawn: {path}", "dim")


def _cannot_write(path: Path, why: str) -> InputError:
    return InputError(f"cannot write {path}: {why}", hint="name a file in a folder that is there")


def to_svg(drawn: RenderableType) -> str:
    """The same characters and colours, dark on white."""
    return _recorded(drawn).export_svg(theme=_PAPER, code_format=_SVG, title="")


def to_html(drawn: RenderableType) -> str:
    """A page of the same characters and colours, for which no other file is loaded."""
    head = f'<meta charset="UTF-8"><title>tissu</title><style>{PAGE_STYLE}</style>'
    return (
        f'<!DOCTYPE html>\n<html lang="en"><head>{head}</head>'
        f"<body>{to_fragment(drawn)}</body></html>\n"
    )


def to_fragment(drawn: RenderableType) -> str:
    """What of a page shows it, by ``PAGE_STYLE``."""
    return _recorded(drawn).export_html(theme=_PAPER, code_format=_FRAGMENT, inline_styles=True)


def to_png(drawn: RenderableType) -> bytes:
    """The SVG as dots, two for each of its units; ``resvg_py`` is there."""
    import resvg_py  # noqa: PLC0415

    return bytes(resvg_py.svg_to_bytes(svg_string=to_svg(drawn), zoom=2))


def _recorded(drawn: RenderableType) -> Console:
    console = Console(
        record=True,
        width=WIDTH,
        file=io.StringIO(),
        force_terminal=True,
        color_system="truecolor",
        highlight=False,
        emoji=False,
    )
    console.print(drawn)
    return console
