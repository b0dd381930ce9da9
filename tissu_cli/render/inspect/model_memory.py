"""Where a model's bytes go, in the terminal: one table, the bars of a part on one scale."""

from collections.abc import Iterator

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from tissu_cli.render import numbers
from tissu_cli.render.tables import facts_table
from tissu_core.events.model_memory import MemoryCounted
from tissu_core.sanitize import sanitize_line

_BESIDE = 53
_LEAST_BAR, _MOST_BAR = 8, 60
_EIGHTHS = " ▏▎▍▌▋▊▉"
Row = tuple[str, str, int, str]
"""What, a word on it, bytes, and a style."""


def memory_view(counted: MemoryCounted, width: int) -> RenderableType:
    """Weights, use and training in one table, then the device."""
    room = max(_LEAST_BAR, min(_MOST_BAR, width - _BESIDE))
    table = Table(box=None, pad_edge=False, show_header=False, padding=(0, 1, 0, 0))
    table.add_column(no_wrap=True)
    table.add_column(no_wrap=True)
    table.add_column(justify="right", no_wrap=True)
    table.add_column(no_wrap=True)
    for heading, rows in _parts(counted):
        if table.row_count:
            table.add_row()
        table.add_row(Text(heading, style="bold"))
        top = max(num_bytes for _, _, num_bytes, _ in rows)
        for name, word, num_bytes, style in rows:
            cells = (f"  {name}", word, numbers.size(num_bytes))
            bar = _bar(num_bytes / max(1, top), room)
            table.add_row(*(Text(cell, style=style) for cell in cells), bar)
    return Group(table, Text(), facts_table([*_facts(counted)]))


def _parts(counted: MemoryCounted) -> Iterator[tuple[str, list[Row]]]:
    stored = sum(part.num_bytes for part in counted.weights)
    loaded = sum(part.loaded_bytes for part in counted.weights)
    yield (
        "on disk",
        [
            *(
                (part.part, sanitize_line(part.dtype), part.num_bytes, "")
                for part in counted.weights
            ),
            ("all weights", "", stored, "bold"),
        ],
    )
    yield (
        f"to use it, {_size(counted)}",
        [
            ("weights as loaded", "", loaded, ""),
            ("keys and values", "fp32", counted.cache_bytes, ""),
            ("together", *_verdict(counted.use_bytes, is_fitting=counted.is_use_fitting)),
        ],
    )
    kept, *others = counted.training
    words = {"moments": "AdamW's", "activations": "all kept"}
    yield (
        f"to train it, {_size(counted)}",
        [
            *((name, words.get(name, ""), num_bytes, "") for name, num_bytes in kept.parts),
            ("together", *_verdict(kept.num_bytes, is_fitting=kept.is_fitting)),
            *(
                (f"recomputing {o.recompute}", *_verdict(o.num_bytes, is_fitting=o.is_fitting))
                for o in others
            ),
        ],
    )
    yield (
        "what an optimizer keeps",
        [(name, "", num_bytes, "") for name, num_bytes in counted.optimizer_bytes],
    )


def _size(counted: MemoryCounted) -> str:
    sequences = f"{counted.batch:,} x " if counted.batch > 1 else ""
    return f"{sequences}{counted.context_tokens:,} tokens"


def _verdict(num_bytes: int, *, is_fitting: bool) -> tuple[str, int, str]:
    return ("fits", num_bytes, "bold") if is_fitting else ("does not fit", num_bytes, "bold red")


def _bar(share: float, width: int) -> Text:
    """A bar in eighths of a cell; what is there at all is seen."""
    eighths = max(1, round(8 * width * share))
    return Text("█" * (eighths // 8) + _EIGHTHS[eighths % 8].rstrip(), style="cyan")


def _facts(counted: MemoryCounted) -> Iterator[tuple[str, object]]:
    yield "model", counted.model
    yield "parameters", f"{counted.num_parameters:,}"
    yield "cache", f"{numbers.size(counted.cache_bytes_per_token)} a token of a sequence"
    yield (
        "training",
        f"an estimate, products in {counted.precision}; tissu train --dry-run measures",
    )
    yield "recomputing", "tissu train --checkpoint-activations ffn, or block"
    yield "device", f"{counted.device}, {numbers.size(counted.free_bytes)} free"
