"""Small screens over the conversation: a text to read, a line to type, a question."""

from collections.abc import Sequence
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Vertical, VerticalScroll
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Input, Static

from tissu_cli.tui.keys import ASKING, CONFIRMING, READING
from tissu_core.sanitize import sanitize, sanitize_line


class Reading(ModalScreen[None]):
    """A text to look at."""

    BINDINGS: ClassVar[list[BindingType]] = [*READING]

    def __init__(self, title: str, content: Content, *, is_from_end: bool = False) -> None:
        super().__init__(classes="reading")
        self._title, self._content, self._is_from_end = title, content, is_from_end

    def compose(self) -> ComposeResult:
        """The text, which scrolls."""
        with Vertical():
            yield Static(Content(sanitize_line(self._title)), classes="title", markup=False)
            with VerticalScroll():
                yield Static(self._content, markup=False)
            yield Static(Content("Esc back"), classes="hint", markup=False)

    def on_mount(self) -> None:
        """Let the keys scroll."""
        place = self.query_one(VerticalScroll)
        place.focus()
        if self._is_from_end:
            place.scroll_end(animate=False)

    def action_leave(self) -> None:
        """Back to the conversation."""
        self.dismiss(None)


class Asking(ModalScreen[str | None]):
    """A line to type."""

    BINDINGS: ClassVar[list[BindingType]] = [*ASKING]

    def __init__(self, title: str, text: str) -> None:
        super().__init__(classes="asking")
        self._title, self._text = title, text

    def compose(self) -> ComposeResult:
        """A field."""
        with Vertical():
            yield Static(Content(sanitize_line(self._title)), classes="title", markup=False)
            yield Input(sanitize_line(self._text), compact=True)
            yield Static(Content("Enter take it · Esc back"), classes="hint", markup=False)

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """That is the answer."""
        self.dismiss(event.value)

    def action_leave(self) -> None:
        """No answer."""
        self.dismiss(None)


class Confirming(ModalScreen[bool]):
    """A question to be answered with yes or no."""

    BINDINGS: ClassVar[list[BindingType]] = [*CONFIRMING]

    def __init__(self, question: str, more: str = "") -> None:
        super().__init__(classes="asking")
        self._question, self._more = question, more

    def compose(self) -> ComposeResult:
        """The question."""
        with Vertical():
            yield Static(Content(sanitize(self._question)), classes="title", markup=False)
            if self._more:
                yield Static(Content(sanitize(self._more)), markup=False)
            yield Static(Content("y yes · n no"), classes="hint", markup=False)

    def action_answer(self, answer: bool) -> None:  # noqa: FBT001  a key's parameter
        """That is the answer."""
        self.dismiss(answer)


def rows_content(rows: Sequence[tuple[str, str]]) -> Content:
    """Pairs of a name and what it is, one a line, names of one width."""
    width = min(34, max((len(name) for name, _ in rows), default=0))
    lines = [
        Content.assemble((sanitize_line(name).ljust(width), "$primary"), "  ", sanitize_line(text))
        for name, text in rows
    ]
    return Content("\n").join(lines)


def prompt_content(
    pieces: Sequence[tuple[str, bool]], ids: Sequence[int], tokens: Sequence[str]
) -> Content:
    """A prompt to the letter, control tokens told from what only spells them; then its ids."""
    parts = [
        Content.styled(sanitize(text), "$text-warning reverse" if is_control else "")
        for text, is_control in pieces
    ]
    table = [
        Content.assemble((f"{id:>7} ", "dim"), sanitize_line(text).replace(" ", "·"))
        for id, text in zip(ids, tokens, strict=True)
    ]
    head = Content.styled(f"\n\n{len(ids):,} tokens\n", "bold")
    return Content("").join(parts).append(head).append(Content("\n").join(table))
