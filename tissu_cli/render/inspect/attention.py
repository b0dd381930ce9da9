"""What heads of attention read, in the terminal."""

from collections.abc import Iterator, Sequence

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from tissu_cli.render.heat import LEGEND, heat
from tissu_cli.render.inspect.head_map import head_map, small_maps
from tissu_core.config.inspection import HeadConfig
from tissu_core.events.views import AttentionSeen, HeadKind, HeadScored

KINDS: dict[HeadKind, tuple[str, str, str]] = {
    "previous": ("P", "black on #50afa5", "the token before"),
    "induction": ("I", "black on #eb7a50", "what followed the same token earlier"),
    "first": ("f", "#6e8cbe", "the first token"),
    "local": ("l", "#5f9f5f", "itself and the three before"),
    "broad": ("\u00b7", "dim", "none of these mainly"),
}
"""The mark of each kind of head, its style, and what such a one reads."""
_NOTABLE = (("induction", 5), ("previous", 4), ("local", 2), ("first", 2))
"""How many of the strongest heads of each kind are listed."""
_ALL_LISTED = 12
"""More heads than these are listed by the strongest."""
_LABEL = 7
"""Cells before the heads of a layer."""
_GAP = 3


def attention_view(seen: AttentionSeen, view: HeadConfig, width: int) -> RenderableType:
    """All heads by their kind; a layer's with a small map each; or one as a map of tokens."""
    if view.head is not None:
        return head_map(seen, width)
    if view.layer is not None:
        maps = small_maps(seen, width)
        legend = Text(f"{LEGEND} of what a token (row) reads of another (column)", style="dim")
        return Group(_figures(seen.heads), Text(), maps, legend, _legend(seen.heads, width))
    grid, listed = _grid(seen, width), _figures([*_notable(seen.heads)])
    grid_width = _LABEL + _cell(seen.num_heads, width) * seen.num_heads
    parts: list[RenderableType] = [grid, Text(), listed]
    if grid_width + _GAP + _width(listed) <= width:
        beside = Table.grid(padding=(0, _GAP, 0, 0))
        beside.add_row(grid, listed)
        parts = [beside]
    return Group(*parts, Text(), _legend(seen.heads, width))


def _width(table: Table) -> int:
    return sum(int(column.width or 0) + 2 for column in table.columns)


def _cell(num_heads: int, width: int) -> int:
    return 2 if _LABEL + 2 * num_heads <= width else 1


def _grid(seen: AttentionSeen, width: int) -> Text:
    """A line for each layer, a mark for each head."""
    cell, drawn = _cell(seen.num_heads, width), Text(no_wrap=True)
    for line in number_lines(range(seen.num_heads), cell):
        drawn.append(f"{'layer' if line[1] else '':>{_LABEL - 1}} {line[0]}\n", style="dim")
    by_layer: dict[int, list[HeadScored]] = {}
    for head in seen.heads:
        by_layer.setdefault(head.layer, []).append(head)
    for layer, heads in by_layer.items():
        drawn.append(f"{layer:>{_LABEL - 1}} ", style="dim")
        for head in heads:
            mark, style, _ = KINDS[head.kind]
            drawn.append(mark, style=style)
            drawn.append(" " * (cell - 1))
        drawn.append("\n")
    drawn.right_crop(1)
    return drawn


def number_lines(numbers: Sequence[int], cell: int) -> Iterator[tuple[str, bool]]:
    """Numbers of columns, a digit a line; with each line whether it is the last."""
    places = len(str(numbers[-1]))
    for place in range(places):
        digits = (f"{number:>{places}}"[place] for number in numbers)
        yield "".join(digit.ljust(cell) for digit in digits), place == places - 1


def _notable(heads: Sequence[HeadScored]) -> Iterator[HeadScored]:
    """The strongest of each kind, or all of a few."""
    if len(heads) <= _ALL_LISTED:
        yield from heads
        return
    for kind, count in _NOTABLE:
        of_kind = [head for head in heads if head.kind == kind]
        yield from sorted(of_kind, key=lambda head: -(getattr(head, kind) or 0.0))[:count]


def _figures(heads: Sequence[HeadScored]) -> Table:
    """A head's scores in a line."""
    table = Table(box=None, pad_edge=False, header_style="dim")
    table.add_column("head", width=7)
    table.add_column("kind", width=9)
    for name in ("previous", "induction", "first", "local"):
        table.add_column(name, justify="right", width=9 if name == "induction" else 8)
    table.add_column("entropy", justify="right", width=9)
    for head in heads:
        _, style, _ = KINDS[head.kind]
        figures = (head.previous, head.induction, head.first, head.local)
        table.add_row(
            f"{head.layer}.{head.head}",
            Text(head.kind, style=style),
            *(_share(figure) for figure in figures),
            f"{head.entropy:.2f} bits",
        )
    return table


def _share(share: float | None) -> Text:
    return Text("-", "dim") if share is None else Text(f"{share:.0%}", style=heat(share))


def _legend(heads: Sequence[HeadScored], width: int) -> Text:
    """What the marks say, and how many heads have each."""
    drawn, used = Text(), 0
    for kind, (mark, style, reads) in KINDS.items():
        count = sum(head.kind == kind for head in heads)
        said = f" {kind}: {reads} ({count})"
        if used and used + len(said) + _GAP > width:
            drawn.append("\n")
            used = 0
        elif used:
            drawn.append(" " * _GAP)
        drawn.append(mark, style=style)
        drawn.append(said, style="dim")
        used += len(said) + _GAP + 1
    return drawn
