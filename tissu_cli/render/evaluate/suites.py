"""Scores of suites, for people."""

from collections.abc import Sequence

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from tissu_cli.render.tables import facts_table
from tissu_core.events.suites import ItemScored, KindScored, SuiteListed, SuiteScored
from tissu_core.sanitize import sanitize_line

_PLOT = 24
_NOUNS = {
    "choice": "right",
    "exact": "right",
    "contains": "right",
    "code": "passed",
    "bleu": "BLEU",
    "rouge": "ROUGE-L",
}


def suites_table(suites: Sequence[SuiteListed]) -> Table:
    """One suite a row."""
    table = Table(box=None, pad_edge=False, header_style="dim")
    table.add_column("suite", no_wrap=True)
    table.add_column("metric", no_wrap=True)
    table.add_column("items", justify="right", no_wrap=True)
    table.add_column("about")
    for each in suites:
        about = Text(sanitize_line(each.problem or each.about), "red" if each.problem else "")
        if not each.is_bundled:
            about.append(f"{'  ' if about.plain else ''}{sanitize_line(each.path)}", style="dim")
        table.add_row(
            Text(sanitize_line(each.name)),
            each.metric,
            f"{each.num_items:,}" if each.num_items else "",
            about,
        )
    return table


def short_score(score: SuiteScored) -> str:
    """A score with its interval, in a few letters."""
    return f"{score.suite} {100 * score.value:.1f} {_NOUNS[score.metric]} ({interval(score)})"


def interval(score: SuiteScored | KindScored) -> str:
    """In percent."""
    if score.low is None or score.high is None:
        return "too few"
    return f"{100 * score.low:.0f}-{100 * score.high:.0f}"


def scores_view(scores: Sequence[SuiteScored]) -> RenderableType:
    """The model, a row for each suite and each kind, and what else is known of each."""
    table = Table(box=None, pad_edge=False, header_style="dim")
    table.add_column("suite", no_wrap=True, overflow="ellipsis", max_width=20)
    table.add_column("score", justify="right", no_wrap=True)
    table.add_column("", no_wrap=True, max_width=7)
    table.add_column("95 %", justify="right", no_wrap=True)
    table.add_column(_scale(), no_wrap=True, min_width=_PLOT)
    table.add_column("items", justify="right", no_wrap=True)
    for score in scores:
        table.add_row(
            Text(sanitize_line(score.suite), style="bold"),
            Text(f"{100 * score.value:.1f}", style="bold"),
            Text(_NOUNS[score.metric], style="dim"),
            interval(score),
            _plot(score, score.chance, "cyan"),
            f"{score.num_items:,}",
        )
        for kind in score.kinds:
            table.add_row(
                Text(f"  {sanitize_line(kind.kind)}", style="dim"),
                Text(f"{100 * kind.value:.1f}", style="dim"),
                "",
                Text(interval(kind), style="dim"),
                _plot(kind, score.chance, "dim"),
                Text(f"{kind.num_items:,}", style="dim"),
            )
    facts = [("model", scores[0].model), *((score.suite, _further(score)) for score in scores)]
    return Group(table, Text(), facts_table([(name, value) for name, value in facts if value]))


def _scale() -> Text:
    return Text("0".ljust(_PLOT // 2) + "50".ljust(_PLOT // 2 - 3) + "100", style="dim")


def _plot(score: SuiteScored | KindScored, chance: float, style: str) -> Text:
    """The interval as a line, the score as a block on it, and chance as an upright stroke."""
    low, at, high = (
        _cell(score.value if bound is None else bound)
        for bound in (score.low, score.value, score.high)
    )
    plot = Text()
    for cell in range(_PLOT):
        if cell == at:
            plot.append("█", style)
        elif chance and cell == _cell(chance):
            plot.append("|", "yellow")
        elif low <= cell <= high:
            plot.append("─", style)
        else:
            plot.append("·", "dim")
    return plot


def _cell(value: float) -> int:
    return min(_PLOT - 1, max(0, int(value * _PLOT)))


def _further(score: SuiteScored) -> str:
    """Chance, the other figures, and how it was asked."""
    parts = [f"chance {100 * score.chance:.0f} %"] if score.chance else []
    for name, value in score.figures:
        is_share = not name.startswith("bits")
        parts.append(f"{name} {100 * value:.1f}" if is_share else f"{value:.3f} {name}")
    if score.num_skipped:
        parts.append(f"{score.num_skipped:,} items left out")
    parts.append("through the chat template" if score.is_chat else "as plain text")
    return ", ".join(parts)


def items_table(items: Sequence[ItemScored]) -> Table:
    """One item a row: what the model said, and what was right."""
    names = {item.suite for item in items}
    table = Table(box=None, pad_edge=False, header_style="dim", expand=True)
    table.add_column("item", no_wrap=True, overflow="ellipsis", max_width=24)
    table.add_column("", no_wrap=True, justify="right")
    table.add_column("the model's answer", no_wrap=True, overflow="ellipsis", ratio=1)
    table.add_column("the right one", no_wrap=True, overflow="ellipsis", ratio=1)
    for item in items:
        name = item.id if len(names) == 1 else f"{item.suite}:{item.id}"
        table.add_row(
            Text(sanitize_line(name)),
            _worth(item),
            Text(_one_line(item.given)),
            Text(_one_line(item.note or item.answer), style="dim"),
        )
    return table


def _worth(item: ItemScored) -> Text:
    if item.value in (0.0, 1.0):
        return Text("right", "green") if item.value else Text("wrong", "red")
    return Text(f"{100 * item.value:.0f}")


def _one_line(text: str) -> str:
    return sanitize_line(" ".join(text.split()))
