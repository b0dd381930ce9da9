"""What single documents cost a model, for people."""

from collections.abc import Sequence
from pathlib import Path

from rich.table import Table
from rich.text import Text

from tissu_core.events.measures import DocumentScored
from tissu_core.sanitize import sanitize_line


def documents_table(documents: Sequence[DocumentScored]) -> Table:
    """One document a row, by its file and its number there."""
    table = Table(box=None, pad_edge=False, header_style="dim", expand=True)
    for title in ("bits/byte", "bytes", "tokens"):
        table.add_column(title, justify="right", no_wrap=True)
    table.add_column("document", no_wrap=True, overflow="ellipsis", max_width=28)
    table.add_column("begins", no_wrap=True, overflow="ellipsis", ratio=1)
    for each in documents:
        name = Path(each.path).name
        table.add_row(
            f"{each.bits_per_byte:.4f}",
            f"{each.num_bytes:,}",
            f"{each.num_tokens:,}",
            Text(sanitize_line(f"{name}:{each.number}")),
            Text(sanitize_line(each.begins), style="dim"),
        )
    return table
