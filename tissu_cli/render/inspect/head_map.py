"""What each token reads by a head, as a map in the terminal."""

from collections.abc import Iterator, Sequence

from rich.cells import cell_len
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from tissu_cli.render.heat import LEGEND, heat, shade, shrink
from tissu_cli.render.tokens import token_cells, visible
from tissu_core.events.views import AttentionSeen, HeadScored, HeadShown

_LONGEST = 14
"""Cells of a token before its row."""
_HIGHEST = 6
"""Characters of a token above its column."""
_WORDS = 14
"""Cells of a token that is told to be read, and its share."""
_LEAST = 0.005
"""Shares below it are not told."""
_SMALL = 24
"""Rows and columns of a small map."""
_GAP = 2


def head_map(seen: AttentionSeen, width: int) -> RenderableType:
    """The last tokens that fit, each a row and a column; then what each reads most, in words."""
    head, shown = seen.heads[0], seen.shown[0]
    numbers = len(str(seen.last))
    tokens = seen.tokens[seen.first : seen.last + 1]
    label = numbers + 2 + min(_LONGEST, max(cell_len(visible(token)) for token in tokens))
    first = max(seen.first, seen.last + 1 - max(1, width - label - 2))
    cell = 2 if label + 2 * (seen.last + 2 - first) <= width else 1
    cut, has_earlier = first - seen.first, first > 0
    used = label + cell * (len(tokens) - cut + has_earlier) + _GAP
    is_beside = width - used >= 3 * _WORDS
    drawn = Text(no_wrap=True)
    for line in _column_heads(tokens[cut:], cell, has_earlier=has_earlier):
        drawn.append(" " * label + line + "\n", style="dim")
    for place, (row, earlier, most) in enumerate(
        zip(shown.shares, shown.earlier, shown.most, strict=True)
    ):
        if place < cut:
            continue
        drawn.append(_label(seen, place, label, numbers))
        cells = [earlier + sum(row[:cut]), *row[cut:]] if has_earlier else row
        for share in cells:
            drawn.append(shade(share, "\u00b7") * cell, style=_style(share))
        if is_beside:
            drawn.append(" " * (used - label - cell * len(cells)))
            drawn.append_text(_words(seen, most))
        drawn.append("\n")
    parts = [_title(head), Text(), drawn, *_foot(seen, first)]
    return Group(*parts) if is_beside else Group(*parts, Text(), _list(seen, shown, cut, numbers))


def _style(share: float) -> str:
    return heat(share) if shade(share).strip() else "dim"


def _title(head: HeadScored) -> Text:
    drawn = Text().append(f"layer {head.layer}, head {head.head}  {head.kind}", style="bold")
    drawn.append(f"  entropy {head.entropy:.2f} bits")
    for name in ("previous", "induction", "first", "local"):
        share = getattr(head, name)
        if share is not None:
            drawn.append(f"  {name} {share:.0%}")
    return drawn


def _label(seen: AttentionSeen, place: int, cells: int, numbers: int) -> Text:
    number = seen.first + place
    drawn = Text().append(f"{number:>{numbers}} ", style="dim")
    return drawn.append(token_cells(seen.tokens[number], cells - numbers - 2) + " ")


def _column_heads(tokens: Sequence[str], cell: int, *, has_earlier: bool) -> Iterator[str]:
    """The first characters of each token, downwards, so that they stand on its column."""
    written = ["\u2026"] if has_earlier else []
    written += ["".join(c for c in visible(token) if cell_len(c))[:_HIGHEST] for token in tokens]
    highest = max(map(len, written))
    for line in range(highest):
        chars = (word.rjust(highest)[line] for word in written)
        yield "".join(token_cells(char, cell) for char in chars).rstrip()


def _words(seen: AttentionSeen, most: Sequence[tuple[int, float]]) -> Text:
    drawn = Text()
    for token, share in most:
        if share < _LEAST:
            continue
        percent = f"{share:.0%}"
        written = visible(seen.tokens[token])
        cells = min(cell_len(written), _WORDS - len(percent) - 3)
        drawn.append(token_cells(seen.tokens[token], cells))
        drawn.append(f" {percent}", style=heat(share))
        drawn.append(" " * (_WORDS - cells - len(percent) - 1))
    return drawn


def _list(seen: AttentionSeen, shown: HeadShown, cut: int, numbers: int) -> Text:
    drawn = Text(no_wrap=True).append("what each reads most\n", style="dim")
    for place, most in enumerate(shown.most):
        if place >= cut:
            drawn.append_text(_label(seen, place, numbers + 2 + _LONGEST, numbers))
            drawn.append_text(_words(seen, most))
            drawn.append("\n")
    drawn.right_crop(1)
    return drawn


def _foot(seen: AttentionSeen, first: int) -> Iterator[Text]:
    yield Text(f"{LEGEND} of what a token (row) reads of another (column)", style="dim")
    if first:
        yield Text(f"\u2026 what is read of tokens 0 to {first - 1}", style="dim")
    if first > seen.first:
        text = f"tokens {first} to {seen.last} fit; --from and --to show others"
        yield Text(text, style="yellow")


def small_maps(seen: AttentionSeen, width: int) -> Table:
    """The maps of several heads beside each other, the tokens of a long prompt in blocks."""
    size = min(_SMALL, seen.last + 1 - seen.first)
    cell = max(size, len("00 induction"))
    across = max(1, width // (cell + _GAP))
    grid = Table.grid(padding=(0, _GAP, 1, 0))
    kinds = {(head.layer, head.head): head.kind for head in seen.heads}
    maps = []
    for shown in seen.shown:
        drawn = Text(no_wrap=True).append(f"{shown.head} ", style="bold")
        drawn.append(kinds[shown.layer, shown.head])
        for row in shrink(shown.shares, size):
            drawn.append("\n")
            for share in row:
                drawn.append(shade(share, "\u00b7"), style=_style(share))
        maps.append(drawn)
    for _ in range(across):
        grid.add_column(width=cell, no_wrap=True)
    for start in range(0, len(maps), across):
        beside = maps[start : start + across]
        grid.add_row(*beside, *[Text()] * (across - len(beside)))
    return grid
