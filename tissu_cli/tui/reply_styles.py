"""The styles of a reply by name, out of the theme."""

from rich.style import Style
from textual.widget import Widget

from tissu_cli.tui.token_page import STEPS, TokenPage

_PREFIX = "reply--"
_TEXT = {"strong", "emphasis", "strike", "code", "link", "url", "quote", "bar", "marker", "rule"}
_CODE = {"block", "comment", "keyword", "string", "number", "name", "builtin", "deleted"}
_HEADINGS = {f"heading-{level}" for level in range(1, 7)}
COMPONENTS = {_PREFIX + name for name in _TEXT | _CODE | _HEADINGS | {"surprise"}}

CSS = """
ReplyBody {
    width: 1fr;
    height: auto;
    & > .reply--strong { text-style: bold; }
    & > .reply--emphasis { text-style: italic; }
    & > .reply--strike { text-style: strike; }
    & > .reply--code { color: $text-accent; background: $foreground 8%; }
    & > .reply--link { color: $text-primary; text-style: underline; }
    & > .reply--url { text-style: dim; }
    & > .reply--quote { text-style: italic; }
    & > .reply--bar { background: $primary 60%; }
    & > .reply--marker { color: $text-primary; }
    & > .reply--rule { text-style: dim; }
    & > .reply--block { background: $foreground 6%; }
    & > .reply--comment { text-style: dim italic; }
    & > .reply--keyword { color: $text-primary; text-style: bold; }
    & > .reply--string { color: $text-success; }
    & > .reply--number { color: $text-warning; }
    & > .reply--name { color: $text-secondary; }
    & > .reply--builtin { color: $text-accent; }
    & > .reply--deleted { color: $text-error; }
    & > .reply--surprise { background: $error; }
    & > .reply--heading-1 { color: $text-primary; text-style: bold underline; }
    & > .reply--heading-2 { color: $text-primary; text-style: bold; }
    & > .reply--heading-3 { text-style: bold; }
    & > .reply--heading-4 { text-style: bold; }
    & > .reply--heading-5 { text-style: bold italic; }
    & > .reply--heading-6 { text-style: italic; }
}
"""

_STRONGEST = 0.6
"""How much of the tint is in the background of the least likely token: it must stay readable."""
_ODD = 0.05
"""How much nearer to the text's colour the background of every other token is."""


class Styles:
    """Looks names up in the theme of a widget, each once; made anew when the theme changes."""

    def __init__(self, widget: Widget) -> None:
        self._widget = widget
        self._named: dict[str, Style] = {}
        self._tinted: dict[tuple[int, bool], Style] = {}

    def named(self, names: str) -> Style:
        """The style of names with spaces between, the later ones above the earlier ones."""
        if names not in self._named:
            parts = (_PREFIX + name for name in names.split())
            self._named[names] = self._widget.get_visual_style(*parts).rich_style
        return self._named[names]

    def token(self, page: TokenPage, token: int, cursor: int | None) -> Style:
        """The style of a drawn token: the less likely, the stronger the tint."""
        key = page.step(token), page.is_odd(token)
        if key not in self._tinted:
            self._tinted[key] = self._tint(key[0], is_odd=key[1])
        style = self._tinted[key]
        return style + Style(reverse=True) if token == cursor else style

    def _tint(self, step: int, *, is_odd: bool) -> Style:
        """A mix of colours; without them, underlined and bold at probabilities of 40 and 8 %."""
        base = self._widget.get_visual_style()
        background, foreground = base.background, base.foreground
        tint = self._widget.get_component_styles(_PREFIX + "surprise").background
        if not background or not foreground or self._widget.app.no_color or background.ansi:
            marks = Style(underline=step >= STEPS * 0.22, bold=step >= STEPS * 0.5, italic=is_odd)
            return base.rich_style + marks
        background = background.blend(foreground, _ODD * is_odd, alpha=1)
        background = background.blend(tint, _STRONGEST * step / STEPS, alpha=1)
        return base.rich_style + Style(bgcolor=background.rich_color)
