"""What a turn on the screen asks for."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from textual.message import Message

if TYPE_CHECKING:
    from tissu_cli.sessions.conversation import Turn

Wish = Literal["copy", "code", "retry", "edit", "continue", "older", "newer", "good", "bad", "lens"]


@dataclass
class Wanted(Message):
    """Something should be done with this turn."""

    turn: "Turn"
    wish: Wish


@dataclass
class Moved(Message):
    """Another turn should have the focus: so many further, or the first or the last."""

    turn: "Turn"
    step: int


@dataclass
class TokenPicked(Message):
    """A token should be looked at."""

    index: int
