"""One turn of the conversation on the screen."""

from collections.abc import Sequence
from typing import ClassVar

from textual import events
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.geometry import Region
from textual.widgets import Static

from tissu_cli.sessions.conversation import Turn
from tissu_cli.tui.keys import TURN
from tissu_cli.tui.reply_body import ReplyBody
from tissu_cli.tui.turn_messages import Moved, TokenPicked, Wanted, Wish
from tissu_core.events.replies import TokenGenerated
from tissu_core.sanitize import sanitize_line

_SHOWN_CHARACTERS = 20_000
"""Of a message of the person; the rest of a longer one is told and not drawn."""
_ENDS = {
    "stopped": "stopped · /continue goes on",
    "cut": "cut at its length · /continue goes on",
    "failed": "broken off · /continue goes on",
}


class TurnView(Vertical, can_focus=True):
    """What one side said, and what can be done with it.

    Its gutter is a column of background: no glyph stands inside what is selected.
    """

    BINDINGS: ClassVar[list[BindingType]] = [*TURN]
    HELP = """A turn of the conversation. `y` copies it, `c` its last code block; `r` asks for
another reply in its place, `e` edits it into a version beside it, `o` goes on with a cut reply.
Left and right show the other versions, `+` and `-` rate a reply, `t` shows it token by token.
Escape goes back to the prompt."""

    def __init__(self, turn: Turn, *, place: tuple[int, int], is_raw: bool) -> None:
        super().__init__(classes=f"turn -{turn.role}")
        self.turn = turn
        self._place = place
        self._is_raw = is_raw
        self.body = ReplyBody(is_markdown=turn.role == "assistant" and not is_raw)
        self._facts = Static("", classes="facts", markup=False)
        self._drawn = 0  # characters of the reply

    def compose(self) -> ComposeResult:
        """The text, and a line about it."""
        yield self.body
        yield self._facts

    def on_mount(self) -> None:
        """Draw what is there already."""
        if self.turn.state == "writing":
            self.grow()
        else:
            self.body.set_text(_shown(self.turn))
            self._drawn = len(self.turn.text)
        self.tell()

    def grow(self) -> None:
        """Draw what was written of a reply since the last time."""
        new = self.turn.text[self._drawn :]
        self._drawn += len(new)
        if new:
            self.body.append(new)

    def look(self, tokens: Sequence[TokenGenerated] | None, index: int | None) -> None:
        """Show the tokens of the reply, one of them marked, and scroll to it; None shows the text.

        A token that is marked anew in the same reply moves the mark alone.
        """
        self.body.set_lens(tokens, index)
        if index is not None:
            # Where the token is on the screen is known once the tokens are laid out.
            self.call_after_refresh(self._show_token, index)

    def _show_token(self, index: int) -> None:
        line = self.body.line_of_token(index)
        place = Region(0, self.virtual_region.y + line, max(1, self.body.region.width), 1)
        self.screen.query_one("#transcript").scroll_to_region(place, animate=False)

    def end(self) -> None:
        """The reply is at its end."""
        if self.body.text != self.turn.text:  # what was held back, or given up
            self.body.set_text(self.turn.text)
        self._drawn = len(self.turn.text)
        self.body.finish()
        self.tell()

    def tell(self, place: tuple[int, int] | None = None) -> None:
        """Draw the line about the turn anew; ``place`` is its number among its versions."""
        self._place = place or self._place
        facts = Content.styled(" · ".join(_facts(self.turn, self._place)), "dim")
        self._facts.update(facts)
        self._facts.display = bool(facts.plain)

    def action_copy(self) -> None:
        """Copy the text."""
        self._want("copy")

    def action_copy_code(self) -> None:
        """Copy the last code block."""
        self._want("code")

    def action_retry(self) -> None:
        """Ask for another reply."""
        self._want("retry")

    def action_edit(self) -> None:
        """Edit into another version."""
        self._want("edit")

    def action_go_on(self) -> None:
        """Go on with a reply that was cut."""
        self._want("continue")

    def action_sibling(self, step: int) -> None:
        """Show the version before or after."""
        self._want("older" if step < 0 else "newer")

    def action_rate(self, rating: int) -> None:
        """Rate a reply."""
        self._want("good" if rating > 0 else "bad")

    def action_lens(self) -> None:
        """Show it token by token."""
        self._want("lens")

    def action_move(self, step: int) -> None:
        """Focus another turn."""
        self.post_message(Moved(self.turn, step))

    def action_first(self) -> None:
        """Focus the first turn."""
        self.post_message(Moved(self.turn, -1_000_000))

    def action_last(self) -> None:
        """Focus the last turn."""
        self.post_message(Moved(self.turn, 1_000_000))

    def on_click(self, event: events.Click) -> None:
        """A click on the versions shows the next one; one on a token looks at it."""
        offset = event.get_content_offset(self.body)
        index = None if offset is None else self.body.token_at(offset.x, offset.y)
        if index is not None:
            self.post_message(TokenPicked(index))
        elif event.widget is self._facts and self._place[1] > 1:
            self._want("newer" if self._place[0] < self._place[1] else "older")

    def _want(self, wish: Wish) -> None:
        self.post_message(Wanted(self.turn, wish))


def _shown(turn: Turn) -> str:
    text = turn.text
    if turn.role == "assistant" or len(text) <= _SHOWN_CHARACTERS:
        return text
    return f"{text[:_SHOWN_CHARACTERS]}\n… {len(text):,} characters in all"


def _facts(turn: Turn, place: tuple[int, int]) -> list[str]:
    number, total = place
    facts = [f"‹{number}/{total}›"] if total > 1 else []  # noqa: RUF001  meant
    if turn.role == "user" or turn.state == "writing":
        return facts
    facts.append(sanitize_line(turn.model))
    if turn.end is not None:
        speed = turn.end.tokens_per_second
        count = turn.end.new_tokens
        facts.append(f"{count:,} token{'s' * (count != 1)}")
        facts += [f"{speed:.1f} tok/s"] if speed else []
    facts += [_ENDS[turn.state]] if turn.state in _ENDS else []
    facts += {1: ["+ good"], -1: ["- bad"], 0: []}[turn.rating]
    return facts
