"""The exact prompt of a model, its control tokens told from text."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.text import Text

from tissu_core.sanitize import sanitize

if TYPE_CHECKING:
    from tissu_core.runs.session import Piece

_CONTROL = "black on bright_yellow"


def prompt_text(pieces: "Sequence[Piece]") -> Text:
    """The prompt as it can be drawn; what a person typed has no colour, whatever it spells."""
    drawn = Text(overflow="fold")
    for piece in pieces:
        drawn.append(sanitize(piece.text), style=_CONTROL if piece.is_control else "")
    return drawn
