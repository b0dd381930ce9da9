"""What fewer bits would cost each layer, for people."""

from collections.abc import Sequence

from rich.table import Table
from rich.text import Text

from tissu_core.events.measures import LayerRounded


def rounding_table(found: Sequence[LayerRounded]) -> Table:
    """One layer a row: decibels in each number of bits, then bits per byte where measured."""
    bits = sorted({each.bits for each in found}, reverse=True)
    is_scored = any(each.bits_per_byte is not None for each in found)
    table = Table(box=None, pad_edge=False, header_style="dim", padding=(0, 1, 0, 0))
    table.add_column("\nlayer", overflow="fold", min_width=12)
    for count in bits:
        table.add_column(f"{count} bits\ndB", justify="right", no_wrap=True)
    if is_scored:
        for count in bits:
            table.add_column(f"{count} bits\nbits/byte", justify="right", no_wrap=True)
    by_layer: dict[str, dict[int, LayerRounded]] = {}
    for each in found:
        by_layer.setdefault(each.layer, {})[each.bits] = each
    worst = {
        count: max(by_layer[name][count].bits_per_byte or 0 for name in list(by_layer)[:-1])
        for count in bits
    }
    for name, row in by_layer.items():
        cells: list[str | Text] = [f"{row[count].sqnr_db:.1f}" for count in bits]
        if is_scored:
            for count in bits:
                score = row[count].bits_per_byte or 0.0
                is_worst = score == worst[count]
                cells.append(Text(f"{score:.4f}", style="bold" if is_worst else ""))
        table.add_row(name, *cells)
    return table
