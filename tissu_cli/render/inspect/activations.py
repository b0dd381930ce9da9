"""What a model computes, block by block, in the terminal."""

from collections.abc import Callable, Iterator, Sequence
from itertools import groupby

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from tissu_cli.render import numbers
from tissu_cli.render.inspect.sizes_of_values import SizeAxis
from tissu_core.events.activations import (
    ActivationsMeasured,
    ActivationSummarized,
    MassiveActivation,
)
from tissu_core.sanitize import sanitize_line

_BESIDE_BARS = 66
"""Columns of the widest table beside its bars."""
_LEAST_BARS, _MOST_BARS = 12, 40
_SHOWN = 8
"""Units of a layer that are named; all are with --json."""
Cells = Callable[[ActivationSummarized], tuple[str, ...]]


def activations_view(measured: ActivationsMeasured, width: int) -> RenderableType:
    """The stream after each block, what is inside of the blocks, and what stands out."""
    room = max(_LEAST_BARS, min(_MOST_BARS, width - _BESIDE_BARS))
    streams = [place for place in measured.places if place.part in ("embedding", "stream")]
    units = [place for place in measured.places if place.part == "units"]
    parts: list[RenderableType] = [
        *_section("the stream after each block", _STREAM, _stream_cells, streams, room),
    ]
    if len(streams) == 1:  # one layer was asked for
        added = [place for place in measured.places if place.part in ("attention", "mlp")]
        parts += _section("what is added to it", _ADDED, _added_cells, added, room)
    parts += _section("units of the feed-forward", _UNITS, _unit_cells, units, room)
    parts += _findings(measured)
    return Group(*parts)


def _section(
    title: str,
    columns: Sequence[str],
    cells: Cells,
    places: Sequence[ActivationSummarized],
    room: int,
) -> Iterator[RenderableType]:
    """A table of these places, their sizes on one axis."""
    if not places:
        return
    axis = SizeAxis.of((place.histogram for place in places), places[0].edges)
    table = Table(box=None, pad_edge=False, header_style="dim", padding=(0, 1, 0, 0))
    for column in columns:
        table.add_column(column, justify="left" if column == "layer" else "right", no_wrap=True)
    table.add_column("sizes", no_wrap=True)
    for place in places:
        drawn = Text(axis.bars(place.histogram, room), style="cyan")
        if place.not_finite:
            drawn = Text(f"{place.not_finite:,} NaN or infinite", style="bold red")
        table.add_row(*cells(place), drawn)
    yield Text(title, style="bold")
    yield table
    yield Text(axis.words(), style="dim")
    yield Text()


_STREAM = ("layer", "norm", "growth", "mean", "std", "max", "kurtosis", "largest channel")
_ADDED = ("layer", "norm", "mean", "std", "max", "zeros", "kurtosis")
_UNITS = ("layer", "units", "dead", "mean", "std", "max", "zeros", "kurtosis")


def _stream_cells(place: ActivationSummarized) -> tuple[str, ...]:
    return (
        "embed" if place.layer is None else str(place.layer),
        figure(place.norm),
        "" if place.growth is None else f"x {figure(place.growth)}",
        figure(place.mean),
        figure(place.std),
        figure(place.max_abs),
        figure(place.kurtosis),
        f"{place.largest_channel} (x {figure(place.largest_ratio)})",
    )


def _added_cells(place: ActivationSummarized) -> tuple[str, ...]:
    return (
        f"{place.layer} {place.part}",
        figure(place.norm),
        *map(figure, (place.mean, place.std, place.max_abs)),
        f"{place.zeros:.1%}",
        figure(place.kurtosis),
    )


def _unit_cells(place: ActivationSummarized) -> tuple[str, ...]:
    _, is_expert, expert = place.name.removesuffix(".down_proj").partition(".experts.")
    return (
        f"{place.layer} expert {expert}" if is_expert else str(place.layer),
        f"{place.width:,}" if place.num_tokens else "not used",
        f"{len(place.dead_units):,}" if place.dead_units else "",
        *map(figure, (place.mean, place.std, place.max_abs)),
        f"{place.zeros:.1%}",
        figure(place.kurtosis),
    )


def _findings(measured: ActivationsMeasured) -> Iterator[RenderableType]:
    """What stands out, each by its name."""
    if measured.first_not_finite:
        where = sanitize_line(measured.first_not_finite)
        yield Text(f"NaN or infinities appear first in {where}", style="bold red")
    for name, count in measured.bad_weights:
        text = f"{count:,} values of {sanitize_line(name)} are NaN or infinite"
        yield Text(text, style="bold red")
    by_channel = sorted(measured.massive, key=lambda each: each.channel)
    for channel, found in groupby(by_channel, key=lambda each: each.channel):
        yield _massive_line(channel, list(found))
    dead = [place for place in measured.places if place.dead_units]
    for place in dead:
        name = sanitize_line(place.name.removeprefix("model.").removesuffix(".down_proj"))
        shown = ", ".join(map(str, place.dead_units[:_SHOWN]))
        more = len(place.dead_units) - _SHOWN
        text = f"dead in {name}: {shown}" + (f" and {more:,} more" if more > 0 else "")
        yield Text(text, style="yellow")
    tokens = f"{numbers.many(measured.num_tokens, 'token')} read"
    if not (measured.first_not_finite or measured.massive or dead):
        tokens += "; no massive activations, no dead units, no NaN"
    yield Text(tokens, style="dim")


def _massive_line(channel: int, found: Sequence[MassiveActivation]) -> Text:
    """All layers in which one channel is massive, and where it is largest."""
    top = max(found, key=lambda each: abs(each.value))
    layers = [-1 if each.layer is None else each.layer for each in found]
    named = _ranges(layers)
    text = (
        f"massive: channel {channel} after {named}, up to {figure(top.value)}, "
        f"{figure(top.ratio)} times the median, at {sanitize_line(repr(top.token))} "
        f"(position {top.position}, {numbers.many(top.num_tokens, 'token')})"
    )
    return Text(text, style="yellow")


def _ranges(layers: Sequence[int]) -> str:
    """Numbers in ranges, and the embedding, which is -1.

    >>> _ranges([-1, 2, 3, 4, 9])
    'the embedding and layers 2-4, 9'
    """
    numbered = sorted(layer for layer in layers if layer >= 0)
    runs: list[list[int]] = []
    for layer in numbered:
        if runs and layer == runs[-1][-1] + 1:
            runs[-1].append(layer)
        else:
            runs.append([layer])
    words = ", ".join(str(run[0]) if len(run) == 1 else f"{run[0]}-{run[-1]}" for run in runs)
    named = f"layer{'s' * (len(numbered) > 1)} {words}" if words else ""
    return " and ".join(filter(None, ["the embedding" if -1 in layers else "", named]))


def figure(number: float) -> str:
    """At most seven characters.

    >>> figure(-0.00012), figure(3.14159), figure(41_200)
    ('-0.0001', '3.14', '41.2k')
    """
    if abs(number) >= 1000:
        return numbers.count(number)
    return f"{number:.1g}" if 0 < abs(number) < 1e-3 else f"{number:.3g}"
