"""Tokens that a model writes beside those of its text, in the terminal."""

import math
from collections.abc import Iterator, Sequence

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from tissu_cli.render import numbers
from tissu_cli.render.braille import line_chart
from tissu_cli.render.tables import facts_table
from tissu_core.events.token_use import TextVariety, TokenShare, TokensMeasured
from tissu_core.sanitize import sanitize_line

_ROWS, _AXIS, _WIDEST = 8, 9, 72
_SHOWN_IDS = 12
_GENERATED, _TRAINING = "cyan", "magenta"
Points = Sequence[tuple[float, float]]


def token_use_view(measured: TokensMeasured, width: int) -> RenderableType:
    """Figures of both, the tokens that stand out, two charts, and what is never used."""
    side_by_side = width >= 2 * 40
    chart = min(_WIDEST, (width - 2) // 2 if side_by_side else width)
    zipf = _chart(
        "share by rank, both logarithmic",
        _logs(measured.generated.ranks),
        _logs(measured.training.ranks),
        chart,
    )
    growth = _chart(
        "different tokens by tokens read",
        measured.generated.growth,
        measured.training.growth,
        chart,
    )
    charts: RenderableType = Group(zipf, growth)
    if side_by_side:
        charts = Table.grid(padding=(0, 2, 0, 0))
        charts.add_row(zipf, growth)
    return Group(
        _varieties(measured.generated, measured.training),
        Text(),
        *_tables(measured, width),
        charts,
        Text("  line: generated   ", _GENERATED).append("dots: training, cut alike", _TRAINING),
        Text(),
        facts_table([*_facts(measured)]),
    )


def _varieties(generated: TextVariety, training: TextVariety) -> Table:
    table = Table(box=None, pad_edge=False, header_style="dim")
    table.add_column("", style="dim")
    table.add_column("generated", justify="right")
    table.add_column("training, cut alike", justify="right")
    pairs = (generated, training)
    rows: dict[str, list[str]] = {
        "tokens": [f"{each.num_tokens:,}" for each in pairs],
        "texts": [f"{each.num_texts:,}" for each in pairs],
        "different tokens": [f"{each.num_types:,}" for each in pairs],
        **{f"distinct-{n + 1}": [f"{each.distinct[n]:.3f}" for each in pairs] for n in range(3)},
        "entropy, bits": [f"{each.entropy_bits:.2f}" for each in pairs],
        "4-grams repeated": [f"{each.repetition:.1%}" for each in pairs],
        "divergence, bits": [f"{each.divergence_bits:.4f}" for each in pairs],
    }
    for name, values in rows.items():
        table.add_row(name, *values)
    return table


def _tables(measured: TokensMeasured, width: int) -> Iterator[RenderableType]:
    room = max(8, min(32, (width - 66) // 2))
    pair = Table.grid(padding=(0, 4, 0, 0))
    left = _shares("used too often", measured.overused, measured, room)
    right = _shares("used too rarely", measured.underused, measured, room)
    pair.add_row(left, right)
    yield pair
    yield Text()


def _shares(
    title: str, shares: Sequence[TokenShare], measured: TokensMeasured, room: int
) -> RenderableType:
    table = Table(box=None, pad_edge=False, header_style="dim", padding=(0, 1, 0, 0))
    table.add_column("token", no_wrap=True, max_width=room + 8, overflow="ellipsis")
    for name in ("times", "written", "expected"):
        table.add_column(name, justify="right", no_wrap=True)
    scale = measured.generated.num_tokens / max(1, measured.corpus_tokens)
    for share in shares:
        table.add_row(
            Text(sanitize_line(repr(share.token))),
            _times(share.log2_ratio),
            numbers.count(share.generated),
            f"{share.training * scale:.1f}",
        )
    if not shares:
        table.add_row(Text("none", style="dim"))
    return Group(Text(title, style="bold"), table)


def _times(log2_ratio: float) -> str:
    times = 2 ** abs(log2_ratio)
    return f"x {times:.3g}" if log2_ratio > 0 else f"1/{times:.3g}"


def _logs(points: Points) -> Points:
    return [(math.log10(rank), math.log10(share)) for rank, share in points]


def _chart(title: str, generated: Points, training: Points, width: int) -> RenderableType:
    """Two lines; where both have dots, those of what is generated are drawn."""
    both = [*generated, *training]
    xs, ys = [x for x, _ in both], [y for _, y in both]
    across, down = (min(xs), max(xs)), (min(ys), max(ys))
    drawn = [
        line_chart(
            [x for x, _ in points],
            [y for _, y in points],
            width=max(8, width - _AXIS),
            height=_ROWS,
            x_range=across,
            y_range=down,
            is_joined=points is generated,
        )
        for points in (generated, training)
    ]
    is_log = "log" in title
    body = Text(title + "\n", "bold", no_wrap=True)
    for row, (mine, other) in enumerate(zip(*drawn, strict=True)):
        label = {0: down[1], _ROWS - 1: down[0]}.get(row)
        body.append(f"{'' if label is None else _label(label, is_log=is_log):>{_AXIS - 1}} ", "dim")
        for cell, behind in zip(mine, other, strict=True):
            is_mine = cell != chr(0x2800)
            body.append(cell if is_mine else behind, _GENERATED if is_mine else _TRAINING)
        body.append("\n")
    low, high = (_label(x, is_log=is_log) for x in across)
    body.append(" " * _AXIS + low + high.rjust(max(1, width - _AXIS - len(low))), "dim")
    return body


def _label(number: float, *, is_log: bool) -> str:
    return (
        f"{10**number:.2g}"
        if is_log and number < 0
        else (numbers.count(round(10**number)) if is_log else numbers.count(round(number)))
    )


def _facts(measured: TokensMeasured) -> Iterator[tuple[str, object]]:
    vocabulary = measured.vocab_size
    shown = ", ".join(map(str, measured.unused_ids[:_SHOWN_IDS]))
    more = "" if len(measured.unused_ids) <= _SHOWN_IDS else ", ..."
    never = f"{measured.never_at_all:,}" + (f": ids {shown}{more}" if shown else "")
    new = ", ".join(f"{share.token!r} {share.generated:,}" for share in measured.new)
    yield "model", measured.model
    yield "generated", measured.source
    yield "training text", f"{measured.corpus_tokens:,} tokens"
    yield "vocabulary", f"{vocabulary:,} tokens of text"
    yield "never in the text", f"{measured.never_in_corpus:,}"
    yield "never generated", f"{measured.never_generated:,}"
    yield "in neither", never
    yield "generated, not in it", f"{measured.num_new:,}" + (f": {new}" if new else "")
