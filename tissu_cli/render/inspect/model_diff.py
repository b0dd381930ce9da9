"""Two models against each other: settings, a table of layers by kinds, what moved most and when."""

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Literal

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from tissu_cli.render.braille import BLOCKS, bars
from tissu_cli.render.inspect.odd_values import shape_of
from tissu_cli.render.numbers import percent
from tissu_cli.render.tables import facts_table
from tissu_core.events.tensors import LayerMoved, PartCompared, TensorCompared, WeightsCompared
from tissu_core.sanitize import sanitize_line

_RANKED, _LISTED = 10, 6
_SPARK_WIDTH = 24
_WHOLE = "all"
_HEAT = ("dim", "blue", "cyan", "yellow", "bold red")
"""From what changed least to what changed most."""
_KINDS = ("q", "k", "v", "qkv", "o", "router", "gate", "up", "down", "norm", _WHOLE)
_Cell = Callable[[PartCompared, str], str]


def diff_view(found: WeightsCompared) -> RenderableType:
    """All that is known of the difference."""
    return Group(*_between(_views(found), Text()))


def _views(found: WeightsCompared) -> Iterator[RenderableType]:
    whole = next(part for part in found.parts if part.layer == part.kind == _WHOLE)
    count = len(found.tensors)
    moved = sum(tensor.change != 0 for tensor in found.tensors)
    yield facts_table(
        [
            ("before", found.before),
            ("after", found.after),
            ("change", f"{percent(whole.change)}, cosine {whole.cosine:.6f}"),
            ("tensors", f"{moved:,} of {count:,} changed"),
        ]
    )
    if found.settings:
        yield _settings(found.settings)
    if rest := [*_unpaired(found)]:
        yield Group(*rest)
    if not_finite := [*_not_finite(found.tensors)]:
        yield Group(*not_finite)
    if moved:
        yield _heat("change, %", found.parts, _change_cell)
        yield _heat("cosine", found.parts, _cosine_cell)
        yield _ranking(found.tensors)
    if found.moved:
        yield _moved(found.moved)


def _between(views: Iterable[RenderableType], gap: Text) -> Iterator[RenderableType]:
    for number, view in enumerate(views):
        if number:
            yield gap
        yield view


def _table(*columns: str) -> Table:
    """A column of names, then numbers."""
    table = Table(box=None, pad_edge=False, header_style="dim", padding=(0, 1, 0, 0))
    for number, name in enumerate(columns):
        is_first = not number
        justify: Literal["left", "right"] = "left" if is_first else "right"
        table.add_column(name, justify=justify, no_wrap=not is_first, overflow="fold")
    return table


def _settings(settings: Sequence[tuple[str, str, str]]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="dim")
    for name in ("setting", "before", "after"):
        table.add_column(name, overflow="fold")
    for row in settings:
        table.add_row(*(Text(sanitize_line(cell)) for cell in row))
    return table


def _unpaired(found: WeightsCompared) -> Iterator[Text]:
    for label, names in (("only before", found.only_before), ("only after", found.only_after)):
        if names:
            yield _listed(label, names)
    shapes = [
        f"{name} {shape_of(older)} / {shape_of(newer)}" for name, older, newer in found.other_shapes
    ]
    if shapes:
        yield _listed("other shape", shapes)


def _listed(label: str, names: Sequence[str]) -> Text:
    text = ", ".join(sanitize_line(name) for name in names[:_LISTED])
    more = f" and {len(names) - _LISTED} more" if len(names) > _LISTED else ""
    return Text(f"{label}  ", style="dim").append(f"{len(names):,}: {text}{more}", "yellow")


def _heat(title: str, parts: Sequence[PartCompared], cell: _Cell) -> Table:
    """Layers by kinds, each cell in the colour of where it is between the least and the most."""
    kinds = sorted({part.kind for part in parts}, key=_place)
    layers = [layer for layer in dict.fromkeys(part.layer for part in parts) if layer != _WHOLE]
    known = {(part.layer, part.kind): part for part in parts}
    changes = [part.change for part in parts if part.change]
    ends = math.log(min(changes, default=1.0)), math.log(max(changes, default=1.0))
    table = _table(title, *kinds)
    for layer in (*layers, _WHOLE):
        cells = []
        for kind in kinds:
            part = known.get((layer, kind))
            level = 0 if part is None else _level(part.change, ends)
            style = _HEAT[level * len(_HEAT) // len(BLOCKS)]
            cells.append(Text("" if part is None else cell(part, BLOCKS[level]), style))
        table.add_row(Text(sanitize_line(layer.removeprefix("layers."))), *cells)
    return table


def _place(kind: str) -> tuple[int, str]:
    """Attention before the feed-forward layer, what else there is behind them."""
    return (_KINDS.index(kind), "") if kind in _KINDS else (len(_KINDS) - 2, kind)


def _level(change: float | None, ends: tuple[float, float]) -> int:
    """Of eight, by the logarithm; what was zero before is at the top."""
    if change is None or not change:
        return 0 if change == 0 else len(BLOCKS) - 1
    low, high = ends
    share = (math.log(change) - low) / (high - low) if high > low else 1.0
    return min(len(BLOCKS) - 1, max(0, int(share * len(BLOCKS))))


def _change_cell(part: PartCompared, bar: str) -> str:
    """At most five characters, and a bar."""
    if not part.change:
        return "0 " if part.change == 0 else f"new{bar}"
    hundredths = 100 * part.change
    if hundredths < 1e-3:
        return f"{hundredths:.0e}{bar}"
    return f"{hundredths:.{max(0, 2 - max(0, math.floor(math.log10(hundredths))))}f}{bar}"


def _cosine_cell(part: PartCompared, _: str) -> str:
    return f"{part.cosine:.4f}"


def _ranking(tensors: Sequence[TensorCompared]) -> Table:
    ranked = sorted(tensors, key=lambda each: math.inf if each.change is None else each.change)
    table = _table("changed most", "change", "cosine", "largest", "at")
    for tensor in reversed(ranked[-_RANKED:]):
        place = ", ".join(map(str, tensor.place))
        table.add_row(
            Text(sanitize_line(_short(tensor.name))),
            percent(tensor.change),
            f"{tensor.cosine:.4f}",
            f"{tensor.largest:+.3g}",
            f"[{place}]",
        )
    return table


def _not_finite(tensors: Sequence[TensorCompared]) -> Iterator[Text]:
    for tensor in tensors:
        if tensor.left_out:
            text = f"{tensor.left_out:,} values are no numbers in one of both, and left out"
            yield Text(sanitize_line(_short(tensor.name))).append(f"  {text}", "red")


def _moved(layers: Sequence[LayerMoved]) -> Table:
    """When each layer began to move; the curve is its change from the first checkpoint on."""
    first, last = layers[0].steps[0], layers[0].steps[-1]
    table = _table(f"steps {first:,} to {last:,}", "change", "over the run", "began")
    table.columns[2].justify = table.columns[3].justify = "left"
    for layer in layers:
        began = "never moved"
        if layer.moved_between is not None:
            began = "between {:,} and {:,}".format(*layer.moved_between)
        cells = max(1, _SPARK_WIDTH // len(layer.changes))
        wide = [change for change in layer.changes for _ in range(cells)]
        table.add_row(
            Text(sanitize_line(layer.layer)),
            percent(layer.changes[-1]),
            Text(bars(wide, _SPARK_WIDTH), "cyan"),
            began,
        )
    return table


def _short(name: str) -> str:
    return name.removeprefix("model.").removesuffix(".weight")
