"""Tables for people; the same facts go out as JSON with ``--json``."""

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.table import Table
from rich.text import Text

from tissu_cli.render import numbers
from tissu_core.sanitize import sanitize_line

if TYPE_CHECKING:
    from tissu_core.runs.catalog import ModelEntry, RunEntry
    from tissu_core.runs.follow import RunFacts
    from tissu_core.runs.models.known import KnownModel
    from tissu_core.runs.models.other_programs import FoundModel
    from tissu_core.runs.models.show import ModelFacts


def facts_table(rows: Sequence[tuple[str, object]]) -> Table:
    """Names and values in two columns."""
    table = Table.grid(padding=(0, 2))
    for name, value in rows:
        table.add_row(Text(name, style="dim"), Text(sanitize_line(value), overflow="fold"))
    return table


def runs_table(runs: "Sequence[RunEntry]") -> Table:
    """One run a row."""
    table = _table("run", "state", "step", "bits/byte", "parameters", "size", "last written")
    for run in runs:
        facts = run.facts
        state = "running" if run.is_running else facts.state
        table.add_row(
            Text(sanitize_line(run.name)),
            state,
            steps_done(facts),
            "" if facts.bits_per_byte is None else f"{facts.bits_per_byte:.4f}",
            numbers.count(facts.num_parameters),
            numbers.size(run.num_bytes),
            numbers.ago(time.time() - facts.updated) if facts.updated else "",
        )
    return table


def steps_done(facts: "RunFacts") -> str:
    """How far a run came, of how much where that is known."""
    return f"{facts.step:,} of {facts.steps:,}" if facts.steps else f"{facts.step:,}"


def models_table(models: "Sequence[ModelEntry]") -> Table:
    """One model a row."""
    table = _table("model", "from", "bits/byte", "size", "path")
    for model in models:
        table.add_row(
            Text(sanitize_line(model.name), overflow="fold"),
            model.source,
            "" if model.bits_per_byte is None else f"{model.bits_per_byte:.4f}",
            numbers.size(model.num_bytes),
            Text(sanitize_line(model.path), overflow="fold"),
        )
    return table


def known_table(models: "Sequence[KnownModel]") -> Table:
    """One short name a row."""
    table = _table("model", "parameters", "from")
    for model in models:
        sources = ", else ".join(model.sources)
        table.add_row(model.name, numbers.count(model.num_parameters), sources)
    return table


def found_table(models: "Sequence[FoundModel]") -> Table:
    """One model of another program a row."""
    table = _table("model", "from", "size")
    for model in models:
        name = Text(sanitize_line(model.name), overflow="fold")
        table.add_row(name, model.program, numbers.size(model.num_bytes))
    return table


def model_facts(facts: "ModelFacts") -> Table:
    """What is known of a model, then its files."""
    context, template, count = facts.context_tokens, facts.has_template, facts.num_parameters
    precision = (f"{numbers.size(n)} {name}" for name, n in facts.bytes_by_dtype.items())
    rows = [
        ("model", facts.name),
        ("from", facts.source),
        ("revision", facts.revision),
        ("licence", facts.license),
        ("problem", facts.problem),
        ("architecture", facts.architecture),
        ("parameters", "" if count is None else f"{count:,}"),
        ("weights", ", ".join(precision)),
        ("context", "" if context is None else f"{context:,} tokens"),
        ("template", "" if template is None else "yes" if template else "none: a base model"),
        ("size", numbers.size(facts.num_bytes)),
        ("path", facts.path),
        *(("file", f"{file.name}, {numbers.size(file.num_bytes)}") for file in facts.files),
    ]
    return facts_table([(name, value) for name, value in rows if value])


def _table(*columns: str) -> Table:
    table = Table(box=None, pad_edge=False, header_style="dim")
    for column in columns:
        table.add_column(column, justify="right" if column in ("bits/byte", "size") else "left")
    return table
