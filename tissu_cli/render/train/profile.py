"""Where steps spent their time or memory, in the terminal."""

from collections.abc import Sequence

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from tissu_cli.render import numbers
from tissu_cli.render.tables import facts_table
from tissu_core.events.training import ProfileFinished
from tissu_core.sanitize import sanitize_line

_ROWS = 12


def profile_report(profile: ProfileFinished) -> RenderableType:
    """Phases, modules and operators, the largest first."""
    parts = _memory(profile) if profile.kind == "memory" else _times(profile)
    facts: list[tuple[str, object]] = [
        ("profiled", f"{profile.steps} steps up to {profile.step:,}"),
        ("step", f"{profile.step_seconds:.3g} s while it was watched"),
    ]
    if profile.kind == "memory":
        facts.append(("held", f"{numbers.size(profile.held_bytes)}: weights and moments"))
    return Group(facts_table(facts), Text(), *parts)


def _times(profile: ProfileFinished) -> list[RenderableType]:
    total = sum(seconds for _, seconds in profile.phases) or 1.0
    modules = [
        (name, _seconds(forward), _seconds(backward), f"{(forward + backward) / total:.1%}")
        for name, forward, backward in profile.modules
    ]
    return [
        _table(
            ("phase", "time", "share"),
            [(name, _seconds(time), f"{time / total:.1%}") for name, time in profile.phases],
        ),
        _table(("module", "forward", "backward", "share"), modules),
        _table(
            ("operator", "calls", "time", "share"),
            [
                (name, f"{calls:,}", _seconds(time), f"{time / total:.1%}")
                for name, calls, time in profile.operators
            ],
        ),
    ]


def _memory(profile: ProfileFinished) -> list[RenderableType]:
    size = numbers.size
    return [
        _table(("phase", "peak"), [(name, size(peak)) for name, peak in profile.phases]),
        _table(
            ("module", "keeps for backward", "takes at most"),
            [(name, size(kept), size(most)) for name, kept, most in profile.modules],
        ),
    ]


def _table(names: Sequence[str], rows: Sequence[Sequence[str]]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="dim")
    first, *others = names
    table.add_column(first, overflow="fold")
    for name in others:
        table.add_column(name, justify="right")
    for name, *figures in rows[:_ROWS]:
        table.add_row(Text(sanitize_line(name)), *figures)
    if len(rows) > _ROWS:
        table.add_row(Text(f"and {len(rows) - _ROWS} more in the trace", "dim"))
    table.add_row()
    return table


def _seconds(seconds: float) -> str:
    return f"{seconds * 1000:.2f} ms"
