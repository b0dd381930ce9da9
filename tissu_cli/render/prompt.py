"""The exact prompt of a model, its control tokens told from text."""

from collections.abc import Sequence

from rich.text import Text

from tissu_core.sanitize import sanitize

_CONTROL = "black on bright_yellow"


def prompt_text(pieces: Sequence[tuple[str, bool]]) -> Text:
    """The prompt as it can be drawn; what a person typed has no colour, whatever it spells.

    ``pieces`` are texts, each with whether it is a control token.
    """
    drawn = Text(overflow="fold")
    for text, is_control in pieces:
        drawn.append(sanitize(text), style=_CONTROL if is_control else "")
    return drawn
