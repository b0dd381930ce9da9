"""Emphasis, code, links: what is inside a paragraph, a heading or a cell."""

import re
from functools import cache
from typing import TYPE_CHECKING

from tissu_cli.render.markdown.lines import Span, Spans, clean

if TYPE_CHECKING:
    from markdown_it import MarkdownIt
    from markdown_it.token import Token

_MARKS = re.compile(r"[*_`\[\]<&\\~\n]")
_OPENING = {
    "strong_open": "strong",
    "em_open": "emphasis",
    "s_open": "strike",
}


_MOST_BRACKETS = 64
"""markdown-it looks for a link behind each: 400 in a row take 150 ms, 64 take 4."""


def warm_up() -> None:
    """Import what reads Markdown, which takes 60 ms; meant for a thread."""
    _reader()


@cache
def _reader() -> "MarkdownIt":
    from markdown_it import MarkdownIt  # noqa: PLC0415

    reader = MarkdownIt("commonmark", {"html": False}).enable("strikethrough")
    return reader.disable("html_inline")


def styled(text: str, style: str = "") -> list[Spans]:
    """The lines of a text in Markdown, all of them in ``style`` besides their own."""
    text = clean(text)
    if not _MARKS.search(text) or text.count("[") > _MOST_BRACKETS:
        return [((line, style),) if line else () for line in text.split("\n")]
    lines: list[list[Span]] = [[]]
    styles = [style]
    links: list[tuple[str, str]] = []  # the address, and what was shown before its text
    for token in _reader().parseInline(text)[0].children or ():
        if token.type in ("softbreak", "hardbreak"):
            lines.append([])
        elif token.type in _OPENING:
            styles.append(f"{styles[-1]} {_OPENING[token.type]}".strip())
        elif token.type == "link_open":
            links.append((_address(token), _shown(lines)))
            styles.append(f"{styles[-1]} link".strip())
        elif token.type == "link_close":
            styles.pop()
            address, before = links.pop()
            if _shown(lines) not in (before + address, before + address.removeprefix("mailto:")):
                lines[-1].append((f" ({address})", f"{styles[-1]} url".strip()))
        elif token.nesting == -1:
            styles.pop()
        else:
            lines[-1] += _leaf(token, styles[-1])
    return [tuple(line) for line in lines]


def _leaf(token: "Token", style: str) -> list[Span]:
    """Text, code or a picture. Entities (``&#x202e;``) may have brought new controls."""
    if token.type == "image":
        return [(clean(token.content), style), (f" ({_address(token)})", f"{style} url".strip())]
    style = f"{style} code".strip() if token.type == "code_inline" else style
    text = clean(token.content).replace("\n", " ")
    return [(text, style)] if text else []


def _address(token: "Token") -> str:
    return clean(str(token.attrs.get("href") or token.attrs.get("src") or ""))


def _shown(lines: list[list[Span]]) -> str:
    return "".join(text for text, _ in lines[-1])
