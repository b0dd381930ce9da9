"""Tokenizers beside each other: where they cut, and what comes of it."""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.cells import cell_len, set_cell_size
from rich.table import Table
from rich.text import Text

from tissu_core.events.replies import TokenGenerated
from tissu_core.sanitize import sanitize_line

if TYPE_CHECKING:
    from tissu_core.runs.tokenize.figures import TokenizerMeasured
    from tissu_core.runs.tokenize.show import ConversationShown
    from tissu_core.runs.tokenize.tokenize import TokensCompared

_TOKEN_COLUMNS = 16
_STYLES = ("black on bright_cyan", "black on bright_yellow", "black on bright_magenta")


def figures_table(measured: "Sequence[TokenizerMeasured]") -> Table:
    """One tokenizer a column."""
    table = Table(box=None, pad_edge=False, header_style="dim")
    table.add_column("tokenizer", style="dim")
    for each in measured:
        table.add_column(Text(sanitize_line(each.tokenizer), overflow="fold"), justify="right")
    rows = {
        "vocabulary": [f"{each.vocab_size:,}" for each in measured],
        "tokens": [f"{each.num_tokens:,}" for each in measured],
        "bytes per token": [f"{each.bytes_per_token:.3f}" for each in measured],
        "tokens per character": [f"{each.tokens_per_character:.3f}" for each in measured],
        "tokens per word": [f"{each.tokens_per_word:.3f}" for each in measured],
        "fall back to parts": [f"{each.fallback_rate:.1%}" for each in measured],
        "unused ids": [f"{each.unused_ids:,}" for each in measured],
        "round trip exact": ["yes" if each.is_exact else "no" for each in measured],
        "longest tokens": ["\n".join(map(_shortened, each.longest_tokens)) for each in measured],
    }
    for name, values in rows.items():
        table.add_row(name, *(Text(value, overflow="fold") for value in values))
    return table


def _shortened(token: str) -> str:
    """A token in one narrow line, its spaces visible."""
    line = visible(token)
    return line if len(line) <= _TOKEN_COLUMNS else f"{line[:_TOKEN_COLUMNS]}… ({len(line)})"


def visible(token: str) -> str:
    """A token on one line, its spaces as dots; one that would not be seen is spelled out."""
    line = sanitize_line(token).replace(" ", "\u00b7")
    is_seen = cell_len(line) and not line.isspace()
    return line if is_seen else token.encode("unicode_escape").decode("ascii")


def token_cells(token: str, cells: int) -> str:
    """A token in exactly so many cells, its spaces visible; a longer one loses its end."""
    line = visible(token)
    return (
        set_cell_size(line, cells)
        if cell_len(line) <= cells
        else set_cell_size(line, cells - 1) + "…"
    )


def boundaries(compared: "TokensCompared", *, is_coloured: bool) -> Text:
    """A text with its tokens told apart: by colour, else by a bar between them."""
    drawn = Text(overflow="fold")
    for number, token in enumerate(compared.tokens):
        safe = sanitize_line(token).replace("\u240a", "\u240a\n")
        if is_coloured:
            drawn.append(safe, style=_STYLES[number % len(_STYLES)])
        else:
            drawn.append(f"|{safe}" if number else safe)
    return drawn


def learned(shown: "ConversationShown", *, is_coloured: bool, has_ids: bool) -> Text:
    """A conversation in which learned tokens are green, else in brackets; ids stand behind each."""
    drawn = Text(overflow="fold")
    for token, id, is_learned in zip(shown.tokens, shown.ids, shown.mask, strict=True):
        safe = sanitize_line(token)
        break_after = "\n" * safe.count("\u240a")
        safe = f"{safe}:{id}" if has_ids else safe
        if not is_coloured:
            safe = f"[{safe}]" if is_learned else f"|{safe}"
        drawn.append(safe, style="bold green" if is_learned else "dim")
        drawn.append(break_after or (" " if has_ids else ""))
    return drawn


def token_lines(tokens: Sequence[TokenGenerated]) -> list[str]:
    """Each token of a reply in a line: its probability, its text, what else was likely."""
    return [
        f"{math.exp(token.logprob):6.1%}  {_quoted(token.text)}"
        + "".join(
            f"  {_quoted(other.text)} {math.exp(other.logprob):.1%}"
            for other in token.alternatives
            if other.token_id != token.token_id
        )
        for token in tokens
    ]


def _quoted(text: str) -> str:
    return f"“{text.replace(' ', '·')}”"
