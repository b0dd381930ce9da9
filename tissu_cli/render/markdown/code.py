"""Blocks of code, which get their colours when they end."""

from collections.abc import Iterator
from functools import cache

from tissu_cli.render.markdown.lines import Line, Span, Spans

_STEP_CHARACTERS = 1000
"""Coloured at once: a lexer reads 300 kB a second, and the screen waits for it."""
_COLOURED_CHARACTERS = 200_000
"""Longer code stays plain."""

# Kinds of Pygments tokens, the more special ones first, and the style of each.
_STYLES = (
    ("Comment", "comment"),
    ("Keyword", "keyword"),
    ("Operator.Word", "keyword"),
    ("Literal.String", "string"),
    ("Literal.Number", "number"),
    ("Name.Function", "name"),
    ("Name.Class", "name"),
    ("Name.Decorator", "name"),
    ("Name.Tag", "keyword"),
    ("Name.Attribute", "name"),
    ("Name.Builtin", "builtin"),
    ("Generic.Deleted", "deleted"),
    ("Generic.Inserted", "string"),
    ("Generic.Heading", "name"),
)


class Code:
    """The code of one fence, as it comes; ``lines`` are its lines on the screen."""

    def __init__(self, language: str) -> None:
        self.language = language
        self.lines: list[Line] = []
        self._parts: list[str] = []
        self._is_closed = self._is_plain = False
        self._colours: Iterator[Spans] | None = None
        self._coloured = 0

    @property
    def text(self) -> str:
        """The code as it was written."""
        return "".join(self._parts)

    def add(self, text: str, line: Line) -> None:
        """Take a line and how it is drawn, or more of the last one: too long to be coloured."""
        self._is_plain = self._is_plain or line.joins
        self._parts.append(text if line.joins or not self._parts else "\n" + text)
        self.lines.append(line)
        line.code = self

    def close(self) -> None:
        """Nothing more comes."""
        self._is_closed = True
        length = sum(map(len, self._parts))
        self._is_plain = self._is_plain or not self.language or length > _COLOURED_CHARACTERS

    def colour(self) -> bool:
        """Colour some more lines if it is closed; whether some are left."""
        if self._is_plain or not self._is_closed:
            return False
        if self._colours is None:
            self._colours = _colours(self.language, [line.text for line in self.lines])
        read = 0
        for spans in self._colours:
            if self._coloured == len(self.lines):
                break  # of no line a lexer makes one
            line = self.lines[self._coloured]
            if "".join(text for text, _ in spans) != line.text:
                break  # a lexer that changes what it reads
            line.spans = spans
            self._coloured += 1
            read += len(line.text) + 1
            if read >= _STEP_CHARACTERS:
                return True
        self._is_plain = True  # nothing is left to colour
        return False


def warm_up(language: str) -> None:
    """Import what colours a language, which takes 50 ms; meant for a thread."""
    _lexer(language)


def _lexer(language: str) -> object:
    from pygments.lexers import get_lexer_by_name  # noqa: PLC0415
    from pygments.util import ClassNotFound  # noqa: PLC0415

    try:
        return get_lexer_by_name(language, stripnl=False, ensurenl=False)
    except ClassNotFound:
        return None


def _colours(language: str, lines: list[str]) -> Iterator[Spans]:
    """The spans of each line, one after the other; none if the language is unknown."""
    from pygments.lexer import Lexer  # noqa: PLC0415

    lexer = _lexer(language)
    if not isinstance(lexer, Lexer):
        return
    line: list[Span] = []
    for kind, text in lexer.get_tokens("\n".join(lines)):
        style = _style(kind)
        first, *others = text.split("\n")
        if first:
            line.append((first, style))
        for piece in others:
            yield tuple(line)
            line = [(piece, style)] if piece else []
    yield tuple(line)


@cache
def _style(kind: object) -> str:
    name = str(kind).removeprefix("Token.")
    return next((f"block {style}" for start, style in _STYLES if name.startswith(start)), "block")
