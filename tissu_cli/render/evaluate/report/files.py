"""A report as text of each format; pure functions of its event."""

import html
import io
import re
from collections.abc import Callable, Sequence
from typing import Any

from rich.console import Console

from tissu_cli.render import numbers
from tissu_cli.render.evaluate.report.findings import section_view, summary
from tissu_cli.render.evaluate.report.plots import plots
from tissu_cli.render.pictures import PAGE_STYLE, to_fragment
from tissu_core.events.records import to_record
from tissu_core.events.report import ReportMade, SectionMade
from tissu_core.sanitize import sanitize_line

BEGIN, END = "<!-- tissu report: begin -->", "<!-- tissu report: end -->"
"""What stands around the table that ``refresh`` writes into a README."""
_WIDTH = 96
Rows = Sequence[tuple[str, str]]


def to_json(report: ReportMade) -> dict[str, Any]:
    """All of it, each finding with its kind."""
    sections = [
        {**to_record(section), "findings": [to_record(found) for found in section.findings]}
        for section in report.sections
    ]
    return {**to_record(report), "sections": sections}


def to_markdown(report: ReportMade) -> str:
    """Facts and results as tables, and the drawing of each section as it is in a terminal."""
    parts = [f"# {_escape(report.model)}", _markdown_table("model", "", _facts(report))]
    parts += ["## Results", _results(report), "## Sections"]
    parts += [_markdown_section(section) for section in report.sections]
    parts += ["## Architecture", _markdown_table("setting", "value", report.settings)]
    parts += ["## Machine", _markdown_table("machine", "", report.machine), _made(report)]
    return "\n\n".join(parts) + "\n"


def to_page(report: ReportMade) -> str:
    """The same as a page that loads nothing."""
    parts = [f"<h1>{_safe(report.model)}</h1>", _html_table(_facts(report))]
    parts += ["<h2>Results</h2>", _html_table([*summary(report)])]
    for section in report.sections:
        parts += [f"<h2>{_safe(section.title)}</h2>", f"<p><code>{_safe(section.command)}</code>"]
        if section.error:
            parts.append(f'<p class="failed">{_safe(_failure(section))}')
        else:
            parts += [to_fragment(section_view(section, is_coloured=True)), *plots(section)]
    parts += ["<h2>Architecture</h2>", _html_table(report.settings)]
    parts += ["<h2>Machine</h2>", _html_table(report.machine), f"<p>{_safe(_made(report))}"]
    head = f'<meta charset="UTF-8"><title>{_safe(report.model)}</title><style>{PAGE_STYLE}</style>'
    body = "\n".join(parts)
    return f'<!DOCTYPE html>\n<html lang="en"><head>{head}</head><body>\n{body}\n</body></html>\n'


FORMATS: dict[str, Callable[[ReportMade], Any]] = {
    ".md": to_markdown,
    ".html": to_page,
    ".json": to_json,
}


def find_place(readme: str) -> tuple[int, int] | None:
    """Where results stand: behind the line that begins them, before the one that ends them."""
    between = rf"^{re.escape(BEGIN)}[ \t]*(?=\r?$)(.*?)^{re.escape(END)}[ \t]*\r?$"
    found = re.search(between, readme, re.MULTILINE | re.DOTALL)
    return None if found is None else found.span(1)


def refresh(readme: str, report: ReportMade) -> str | None:
    """The README with the results between its markers; None if it has none, or not both in order.

    >>> refresh("no markers", None) is None
    True
    """
    place = find_place(readme)
    if place is None:
        return None
    begin, end = place
    table = f"\n\n{_results(report)}\n\n{_made(report)}\n\n"
    if "\r\n" in readme:
        table = table.replace("\n", "\r\n")
    return f"{readme[:begin]}{table}{readme[end:]}"


def _facts(report: ReportMade) -> Rows:
    weights = ", ".join(f"{numbers.size(size)} {name}" for name, size in report.weights)
    count, context = report.num_parameters, report.context_tokens
    rows = [
        ("model", report.model),
        ("architecture", report.architecture),
        ("parameters", "" if count is None else f"{count:,}"),
        ("weights", weights),
        ("size", numbers.size(report.num_bytes)),
        ("context", "" if context is None else f"{context:,} tokens"),
        ("seed", str(report.seed)),
    ]
    return [(name, value) for name, value in rows if value]


def _results(report: ReportMade) -> str:
    return _markdown_table("measure", report.model, [*summary(report)])


def _made(report: ReportMade) -> str:
    versions = dict(report.machine)
    return f"Measured by tissu {versions['tissu']} on {report.made}."


def _failure(section: SectionMade) -> str:
    return f"Failed: {section.error}" + (f" (try: {section.hint})" if section.hint else "")


def _markdown_section(section: SectionMade) -> str:
    head = f"### {_escape(section.title)}\n\n`{sanitize_line(section.command)}`\n\n"
    return head + (_escape(_failure(section)) if section.error else _fenced(section))


def _fenced(section: SectionMade) -> str:
    out = io.StringIO()
    console = Console(file=out, width=_WIDTH, highlight=False, emoji=False, no_color=True)
    console.print(section_view(section, is_coloured=False))
    text = "\n".join(line.rstrip() for line in out.getvalue().rstrip().splitlines())
    longest = max(map(len, re.findall(r"`{3,}", text)), default=2)
    fence = "`" * (longest + 1)
    return f"{fence}text\n{text}\n{fence}"


def _markdown_table(name: str, value: str, rows: Rows) -> str:
    lines = [f"| {_escape(name)} | {_escape(value)} |", "|---|---|"]
    return "\n".join([*lines, *(f"| {_escape(a)} | {_escape(b)} |" for a, b in rows)])


def _escape(text: str) -> str:
    return re.sub(r"([\\`*_\[\]<>|#])", r"\\\1", sanitize_line(text))


def _html_table(rows: Rows) -> str:
    cells = (f"<tr><th>{_safe(name)}<td>{_safe(value)}" for name, value in rows)
    return f"<table>{''.join(cells)}</table>"


def _safe(text: str) -> str:
    return html.escape(sanitize_line(text))
