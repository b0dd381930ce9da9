"""The speed of a model, for people."""

import math
from collections.abc import Sequence

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from tissu_cli.render import numbers
from tissu_cli.render.tables import facts_table
from tissu_core.events.measures import SpeedMeasured, SpeedPoint
from tissu_core.events.operations import OperationsTimed, TableMeasured


def speed_view(event: SpeedMeasured) -> RenderableType:
    """Facts, then one line for each batch and context."""
    bandwidth = event.memory_bandwidth
    facts = facts_table(
        [
            ("model", event.model),
            ("weights", f"{numbers.count(event.num_parameters)}, {event.precision}"),
            ("device", event.device),
            ("load", f"{event.load_seconds:.2f} s"),
            ("memory", f"{numbers.size(event.peak_bytes)} at most"),
            (
                "reads",
                f"{numbers.size(event.weight_bytes)} for each step of one text, of "
                f"{numbers.size(round(bandwidth))} a second",
            ),
        ]
    )
    return Group(facts, _points_table(event.points))


def _points_table(points: Sequence[SpeedPoint]) -> Table:
    """One batch behind one context a row; what nobody knows has no column."""
    table = Table(box=None, pad_edge=False, header_style="dim", padding=(0, 1, 0, 0))
    heads = ["texts", "tokens", "1st token", "prefill/s", "decode/s", "bandwidth"]
    further = (
        ("p50 ms", [_milliseconds(point.step_p50_seconds) for point in points]),
        ("p99 ms", [_milliseconds(point.step_p99_seconds) for point in points]),
        ("J/token", [_few(point.joules_per_token) for point in points]),
        ("price/M", [_few(point.price_per_million_tokens) for point in points]),
    )
    shown = [(head, column) for head, column in further if any(column)]
    for head in (*heads, *(head for head, _ in shown)):
        table.add_column(head, justify="right", no_wrap=True)
    for number, point in enumerate(points):
        table.add_row(
            f"{point.batch}",
            f"{point.context:,}",
            f"{point.first_token_seconds:.3f} s",
            f"{point.prefill_tokens_per_second:,.0f}",
            f"{point.decode_tokens_per_second:,.1f}",
            f"{point.bandwidth_share:.0%}",
            *(column[number] for _, column in shown),
        )
    return table


def operations_view(event: OperationsTimed) -> RenderableType:
    """One way a row, beside the fastest of its operation."""
    table = Table(box=None, pad_edge=False, header_style="dim", padding=(0, 1, 0, 0))
    table.add_column("operation", no_wrap=True)
    table.add_column("way", overflow="fold")
    for head in ("median", "IQR", "times", "off by"):
        table.add_column(head, justify="right", no_wrap=True)
    best: dict[str, float] = {}
    for way in event.ways:
        best[way.operation] = min(way.median_seconds, best.get(way.operation, math.inf))
    last = ""
    for way in event.ways:
        if way.operation != last:
            table.add_row(Text(way.operation, "bold"), Text(way.shape, "dim"))
        last = way.operation
        times = way.median_seconds / best[way.operation]
        table.add_row(
            "",
            Text(("* " if way.is_used else "  ") + way.way),
            f"{1e6 * way.median_seconds:,.1f} µs",
            f"{1e6 * way.iqr_seconds:,.1f}",
            Text(f"{times:.2f}", "bold" if times == 1 else ""),
            f"{way.largest_error:.1e}" if way.largest_error else "",
        )
    table.caption, table.caption_justify = "* what tissu computes with", "left"
    facts = facts_table([("model", event.model), ("device", event.device)])
    parts: list[RenderableType] = [facts, table]
    if event.table is not None:
        parts.append(_table_view(event.table))
    return Group(*parts)


def _table_view(found: TableMeasured) -> RenderableType:
    """What a text costs, computed and looked up."""
    table = Table(box=None, pad_edge=False, header_style="dim", padding=(0, 2, 0, 0))
    table.add_column(f"{found.num_tokens:,} tokens of text")
    for head in ("perplexity", "bits per byte"):
        table.add_column(head, justify="right", no_wrap=True)
    for name, perplexity, bits in (
        (f"{found.activation} computed", found.computed_perplexity, found.computed_bits_per_byte),
        (f"from a table of {found.lut_size:,}", found.perplexity, found.bits_per_byte),
    ):
        table.add_row(name, f"{perplexity:.5f}", f"{bits:.7f}")
    return table


def _milliseconds(seconds: float | None) -> str:
    return "" if seconds is None else f"{1000 * seconds:.2f}"


def _few(value: float | None) -> str:
    return "" if value is None else f"{value:.3g}"
