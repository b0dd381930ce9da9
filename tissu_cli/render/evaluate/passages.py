"""The passages that a model predicts worst, for people."""

import math

from rich.console import Group, RenderableType
from rich.text import Text

from tissu_cli.render import numbers
from tissu_cli.render.tables import facts_table
from tissu_cli.render.token_costs import costliest, costly_text, costs_legend
from tissu_core.events.compared import PassageScored, WorstFound
from tissu_core.sanitize import sanitize_line


def passages_view(found: WorstFound, *, is_coloured: bool) -> RenderableType:
    """What was read, then each passage with its place, its text and its costliest tokens."""
    documents = numbers.many(found.num_documents, "document")
    usual = found.loss / math.log(2)
    parts: list[RenderableType] = [
        facts_table(
            [
                ("model", found.model),
                ("text", f"{found.num_bytes:,} bytes, {documents}"),
                ("bits", f"{found.bits_per_byte:.4f} per byte, {usual:.2f} per token"),
                ("passages", f"{found.num_passages:,} of {found.passage_tokens} tokens"),
            ]
        )
    ]
    for rank, passage in enumerate(found.passages, 1):
        bits = [None if loss is None else loss / math.log(2) for loss in passage.losses]
        parts += [Text(), _heading(rank, passage)]
        parts.append(costly_text(passage.tokens, bits, usual, is_coloured=is_coloured))
        parts.append(Text(f"bits: {costliest(passage.tokens, bits)}", "dim"))
    legend = costs_legend("the bits of a usual token", is_coloured=is_coloured)
    return Group(*parts, Text(), legend)


def _heading(rank: int, passage: PassageScored) -> Text:
    heading = Text()
    heading.append(f"{rank}  {passage.bits_per_byte:.3f} bits/byte", "bold")
    size = f"{passage.num_tokens} tokens, {passage.num_bytes} bytes"
    return heading.append(f"  {sanitize_line(place(passage))}, {size}", "dim")


def place(passage: PassageScored) -> str:
    """Where a passage begins: its line in a text, else the number of its document."""
    if passage.line is not None:
        return f"{passage.path}:{passage.line}"
    return f"{passage.path}, text {passage.document} (byte {passage.byte:,})"
