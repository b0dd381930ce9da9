"""Prompts that end inside a token.

"def " ends with a space of its own, yet in the text a model learned from that space belongs to the
next word (" add"), so after a lone space it has seen next to nothing. Healing takes the last token
back and lets the first new one be any that begins with it. Source: Lundberg 2023, "The art of
prompt design: prompt boundaries and token healing".
"""

from collections.abc import Sequence
from dataclasses import dataclass

from tissu_core.text.tokenizer import Tokenizer


@dataclass(frozen=True, slots=True)
class Healed:
    """A prompt without its last token, and what must come back first."""

    prompt_ids: list[int]
    prefix: str
    """The text that was taken back; the reply begins after it."""
    allowed: list[int]
    """Ids of text that begins with it; empty where nothing was taken back."""


def heal(tokenizer: Tokenizer, prompt_ids: Sequence[int], written: Sequence[int] = ()) -> Healed:
    """Take back the last token, unless it is a control token, half a character or the only one.

    Where a reply is ``written`` that begins with it, the same is taken back; with another, nothing.
    """
    ids = list(prompt_ids)
    untouched = Healed(ids, "", [])
    if len(ids) < 2:
        return untouched
    piece = tokenizer.piece(ids[-1])
    prefix = piece.decode("utf-8", "replace")
    if not prefix or "\ufffd" in prefix:
        return untouched
    allowed = tokenizer.ids_beginning(piece)
    if len(allowed) < 2 or (written and written[0] not in allowed):
        return untouched
    return Healed(ids[:-1], prefix, allowed)
