"""What harder forms of questions cost a model, for people."""

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from tissu_core.events.suites import HardKindScored, HardScored
from tissu_core.sanitize import sanitize_line


def adversarial_report(found: HardScored) -> RenderableType:
    """One kind a row, then a question of each that was answered worse in its harder form."""
    table = Table(box=None, pad_edge=False, header_style="dim")
    table.add_column("kind", no_wrap=True)
    for title in ("pairs", "plain", "harder", "gap", "95 %", "broken", "mended"):
        table.add_column(title, justify="right", no_wrap=True)
    for kind in found.kinds:
        table.add_row(
            Text(sanitize_line(kind.kind)),
            f"{kind.num_pairs:,}",
            f"{kind.plain:.1%}",
            f"{kind.hard:.1%}",
            Text(f"{kind.gap:+.1%}" + (" *" if kind.is_beyond_chance else "  ")),
            _interval(kind),
            f"{kind.num_broken:,}",
            f"{kind.num_mended:,}",
        )
    table.caption = "* a gap beyond chance"
    table.caption_justify = "left"
    return Group(table, *(_example(kind) for kind in found.kinds if kind.example))


def _interval(kind: HardKindScored) -> str:
    if kind.low is None or kind.high is None:
        return "too few pairs"
    return f"{kind.low:+.1%} to {kind.high:+.1%}"


def _example(kind: HardKindScored) -> Text:
    example = kind.example
    assert example is not None
    text = Text(f"\n{kind.kind}: ", style="dim")
    text.append(sanitize_line(example.prompt), "default")
    text.append(f"\n  wants {sanitize_line(example.answer)!r}", "green")
    text.append(f", gets {sanitize_line(example.given)!r}", "red")
    return text
