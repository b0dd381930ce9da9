"""What of evaluations stands in a corpus, for people."""

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from tissu_cli.render import numbers
from tissu_cli.render.inspect.source import place_in_corpus
from tissu_cli.render.tables import facts_table
from tissu_core.events.sources import BITS_PER_BYTE, LeaksFound
from tissu_core.sanitize import sanitize_line

_SHOWN_ITEMS = 40


def leaks_view(event: LeaksFound) -> RenderableType:
    """A row for each evaluation, then one for each item that leaked."""
    corpus = f"{', '.join(event.corpus)}: {numbers.size(event.corpus_bytes)}"
    facts = [
        ("corpus", corpus),
        ("a leak is", f"{event.ngram} words in a row, or all of a shorter item"),
    ]
    if event.model:
        facts.append(("model", event.model))
    parts: list[RenderableType] = [facts_table(facts), Text(), _sources_table(event)]
    if event.leaked:
        parts += [Text(), _items_table(event)]
    return Group(*parts)


def _sources_table(event: LeaksFound) -> Table:
    table = Table(box=None, pad_edge=False, header_style="dim")
    table.add_column("evaluation", overflow="fold")
    for title in ("items", "too short", "leaked"):
        table.add_column(title, justify="right")
    if event.model:
        table.add_column("scored by")
        for title in ("all", "without", "leaked"):
            table.add_column(title, justify="right")
    for each in event.sources:
        share = f"{each.num_leaked / max(1, each.num_items):.1%}"
        row = [f"{each.num_items:,}", f"{each.num_short:,}", f"{each.num_leaked:,} ({share})"]
        if event.model:
            scores = (each.score, each.score_clean, each.score_leaked)
            row += [each.metric, *(_score(score, each.metric) for score in scores)]
        table.add_row(Text(sanitize_line(each.source)), *row)
    return table


def _items_table(event: LeaksFound) -> Table:
    table = Table(box=None, pad_edge=False, header_style="dim", expand=True)
    table.add_column("item", overflow="fold", max_width=28)
    table.add_column("n-grams", justify="right", no_wrap=True)
    table.add_column("stands in", overflow="fold", max_width=32)
    table.add_column("words", overflow="fold", ratio=1)
    for each in event.leaked[:_SHOWN_ITEMS]:
        table.add_row(
            Text(sanitize_line(each.item)),
            f"{each.leaked_ngrams:,} of {each.num_ngrams:,}",
            Text(sanitize_line(place_in_corpus(each.place, event.corpus))),
            Text(sanitize_line(each.ngram), style="dim"),
        )
    if (left := len(event.leaked) - _SHOWN_ITEMS) > 0:
        table.add_row(Text(f"and {left:,} more, which --json names", "dim"), "", "", "")
    return table


def _score(value: float | None, metric: str) -> str:
    if value is None:
        return ""
    return f"{value:.4f}" if metric == BITS_PER_BYTE else f"{value:.1%}"
