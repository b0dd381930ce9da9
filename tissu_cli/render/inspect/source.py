"""A text with what stands in a corpus marked, and where that is."""

from pathlib import Path

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from tissu_cli.render import numbers
from tissu_cli.render.tables import facts_table
from tissu_core.events.sources import SourcePlace, TextTraced, VerbatimSpan
from tissu_core.sanitize import sanitize, sanitize_line

_STYLES = ("bright_cyan underline", "bright_yellow underline")
_SHOWN_CHARACTERS, _SHOWN_SPANS = 20_000, 40
"""Of a longer text the beginning is drawn, and of many spans the longest are listed."""


def traced_view(event: TextTraced) -> RenderableType:
    """The share of it, the text with numbered brackets, and a row for each span."""
    share = event.verbatim_words / event.num_words
    words = f"{event.verbatim_words:,} of {event.num_words:,} words"
    spans = f"{len(event.spans):,} spans" if len(event.spans) != 1 else "1 span"
    facts = [
        ("verbatim", f"{share:.0%} of this text: {words}"),
        ("spans", f"{spans} of {event.min_words} words or more"),
        (
            "corpus",
            f"{', '.join(event.corpus)}: {numbers.size(event.corpus_bytes)}, "
            f"{event.corpus_words:,} words",
        ),
    ]
    parts: list[RenderableType] = [facts_table(facts), Text(), _marked(event)]
    if event.spans:
        parts += [Text(), _spans_table(event)]
    return Group(*parts)


def _marked(event: TextTraced) -> Text:
    drawn, done = Text(), 0
    for number, span in enumerate(event.spans, 1):
        if span.begin >= _SHOWN_CHARACTERS:
            break
        drawn.append(sanitize(event.text[done : max(done, span.begin)]))
        style = _STYLES[number % 2]
        drawn.append(f"[{number} ", style=style.split()[0])
        drawn.append(sanitize(event.text[max(done, span.begin) : span.end]), style=style)
        drawn.append("]", style=style.split()[0])
        done = span.end
    drawn.append(sanitize(event.text[done : max(done, _SHOWN_CHARACTERS)]))
    drawn.rstrip()
    if (left := len(event.text) - max(done, _SHOWN_CHARACTERS)) > 0:
        drawn.append(f"\nand {left:,} more characters; --json has every span of them", style="dim")
    return drawn


def _spans_table(event: TextTraced) -> Table:
    table = Table(box=None, pad_edge=False, header_style="dim", expand=True)
    for title in ("span", "words", "bytes", "times"):
        table.add_column(title, justify="right", no_wrap=True)
    table.add_column("where", overflow="fold", ratio=2)
    table.add_column("begins", no_wrap=True, overflow="ellipsis", ratio=1)
    numbered = sorted(enumerate(event.spans, 1), key=lambda each: -each[1].num_words)
    for number, span in numbered[:_SHOWN_SPANS]:
        table.add_row(
            f"{number}",
            f"{span.num_words:,}",
            f"{span.num_bytes:,}",
            f"{span.times:,}",
            Text(sanitize_line(_where(span, event.corpus))),
            Text(sanitize_line(" ".join(span.text[:60].split())), style="dim"),
        )
    if (left := len(numbered) - _SHOWN_SPANS) > 0:
        table.add_row("", "", "", "", Text(f"and {left:,} shorter spans", "dim"), "")
    return table


def _where(span: VerbatimSpan, corpus: tuple[str, ...]) -> str:
    places = [place_in_corpus(place, corpus) for place in span.places]
    more = span.times - len(places)
    return ", ".join([*places, *([f"and {more:,} more"] if more else [])])


def place_in_corpus(place: SourcePlace, corpus: tuple[str, ...]) -> str:
    """The file as it is called inside of the corpus, and the line, or the number of the text."""
    path = Path(place.path)
    folders = [Path(given).expanduser() for given in corpus]
    inside = [path.relative_to(folder) for folder in folders if path.is_relative_to(folder)]
    name = str(inside[0]) if inside and inside[0].name else path.name
    return f"{name}, text {place.text}" if place.line is None else f"{name}:{place.line}"
