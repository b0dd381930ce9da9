"""Token Lens: what else the model might have said, token by token."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from rich.cells import cell_len, set_cell_size
from textual.binding import BindingType
from textual.content import Content
from textual.message import Message
from textual.widget import Widget

from tissu_cli.sessions.conversation import Turn
from tissu_cli.tui.keys import LENS
from tissu_core.events.replies import Alternative, TokenGenerated
from tissu_core.sanitize import sanitize_line

SHOWN = 8
"""Alternatives of a token."""
_BAR_CELLS = 20
_TOKEN_CELLS = 18
_SAID = "  said"
_NARROW_CELLS = 60
"""Below it, tokens have half as much room, and bars what is left."""


class LensPanel(Widget, can_focus=True):
    """The token under the cursor: how sure the model was, and its likeliest tokens."""

    BINDINGS: ClassVar[list[BindingType]] = [*LENS]
    HELP = """Every token of the reply, tinted by how likely the model found it. Left and Right
move between tokens, `n` to the next one it was unsure of. Up and Down choose another token, Enter
lets the model go on from there in a version of its own."""

    @dataclass
    class Moved(Message):
        """The cursor is on another token."""

        index: int

    @dataclass
    class Taken(Message):
        """The reply should go on from another token."""

        turn: Turn
        index: int
        choice: Alternative

    class Left(Message):
        """The person has seen enough."""

    def __init__(self) -> None:
        super().__init__(id="lens-panel")
        self.turn: Turn | None = None
        self.index = 0
        self._chosen = 0

    def look_at(self, turn: Turn, index: int) -> None:
        """Show a token of a reply."""
        self.turn = turn
        self.index = min(max(index, 0), len(turn.tokens) - 1)
        token = self._token
        ids = [each.token_id for each in token.alternatives] if token else []
        self._chosen = ids.index(token.token_id) if token and token.token_id in ids else 0
        self.refresh(layout=True)

    @property
    def _token(self) -> TokenGenerated | None:
        return self.turn.tokens[self.index] if self.turn and self.turn.tokens else None

    def render(self) -> Content:
        """A line about the token, and one for each alternative."""
        token = self._token
        if token is None or self.turn is None:
            return Content.styled("no token of this reply is known", "dim")
        head = (
            f"token {self.index + 1:,} of {len(self.turn.tokens):,}  {_spelled(token.text)}"
            f"  id {token.token_id}  p {_share(token.logprob)}"
        )
        if token.entropy is not None:
            head += f"  entropy {token.entropy / math.log(2):.2f} bits"
        lines = [Content.styled(head, "bold")]
        lines += [
            self._row(each, is_said=each.token_id == token.token_id, number=number)
            for number, each in enumerate(token.alternatives)
        ]
        if not token.alternatives:
            lines.append(Content.styled("what else was likely is not known", "dim"))
        return Content("\n").join(lines)

    def _row(self, each: Alternative, *, is_said: bool, number: int) -> Content:
        is_chosen, cells = number == self._chosen, self.content_size.width
        token_cells = _TOKEN_CELLS if cells >= _NARROW_CELLS else _TOKEN_CELLS // 2
        text = set_cell_size(_spelled(each.text), token_cells)
        label = f"{'▸' if is_chosen else ' '} {text} {_share(each.logprob):>7} "
        bar_cells = max(1, min(_BAR_CELLS, cells - cell_len(label) - cell_len(_SAID)))
        drawn = "█" * round(math.exp(each.logprob) * bar_cells)
        return Content.assemble(
            (label, "reverse" if is_chosen else ""),
            (drawn or "▏", "$primary"),
            (_SAID if is_said else "", "$text-success"),
        )

    def action_move(self, step: int) -> None:
        """Look at another token."""
        if self.turn is not None:
            self.look_at(self.turn, self.index + step)
            self.post_message(self.Moved(self.index))

    def action_unsure(self) -> None:
        """Look at the next token that was less likely than not."""
        if self.turn is None:
            return
        tokens = self.turn.tokens
        order: Sequence[int] = [*range(self.index + 1, len(tokens)), *range(self.index)]
        unsure = next((n for n in order if tokens[n].logprob < math.log(0.5)), None)
        if unsure is not None:
            self.action_move(unsure - self.index)

    def action_choose(self, step: int) -> None:
        """Choose another alternative."""
        if self._token is not None and self._token.alternatives:
            last = len(self._token.alternatives) - 1
            self._chosen = min(max(self._chosen + step, 0), last)
            self.refresh()

    def action_take(self) -> None:
        """Let the model go on from the chosen one."""
        if self.turn is not None and self._token is not None and self._token.alternatives:
            choice = self._token.alternatives[self._chosen]
            self.post_message(self.Taken(self.turn, self.index, choice))

    def action_leave(self) -> None:
        """Close the lens."""
        self.post_message(self.Left())


def _share(logprob: float) -> str:
    share = math.exp(logprob)
    return f"{share:.1%}" if share >= 0.0005 else f"{share:.0e}"


def _spelled(text: str) -> str:
    """A token with its spaces visible."""
    return sanitize_line(text).replace(" ", "·") or "(part of a character)"
