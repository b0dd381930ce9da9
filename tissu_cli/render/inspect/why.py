"""What a step read, and what it cost, in the terminal."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from tissu_cli.render.tables import facts_table
from tissu_cli.render.token_costs import costliest, costly_text, costs_legend
from tissu_core.sanitize import sanitize_line

if TYPE_CHECKING:
    from tissu_core.runs.inspect.spikes import Measured, StepReport
    from tissu_core.runs.inspect.why import DocumentRead, SequenceRead, StepExplained

_SEQUENCES, _DOCUMENTS, _TEXTS = 10, 3, 2
"""How much is drawn: rows of sequences, documents of each, and texts."""
_SPIKE = 3.0
"""Deviations above the usual, from where a loss is called a spike."""


def why_report(step: "StepExplained", *, is_coloured: bool) -> RenderableType:
    """The log, the checkpoint that read the batch, its sequences, and the worst of them as text."""
    worst_first = sorted(
        enumerate(step.sequences, 1), key=lambda each: each[1].loss or 0.0, reverse=True
    )
    parts: list[RenderableType] = [facts_table([*_facts(step)]), Text()]
    if step.report is not None:
        parts += [_neighbours(step.report), Text()]
    parts.append(_sequences(worst_first))
    for number, sequence in worst_first[:_TEXTS]:
        parts += [Text(), _worst_tokens(number, sequence)]
        parts.append(
            costly_text(sequence.tokens, sequence.losses, step.loss or 0.0, is_coloured=is_coloured)
        )
    parts.append(costs_legend("the batch's loss", is_coloured=is_coloured))
    return Group(*parts)


def _facts(step: "StepExplained") -> Iterator[tuple[str, object]]:
    yield "run", step.run
    chosen = ""
    if step.is_chosen:
        tried = f", the hardest of {step.num_tried} batches" if step.num_tried > 1 else ""
        chosen = f", {_rank(step.report)}{tried}"
    yield "step", f"{step.step:,}{chosen}"
    report = step.report
    if report is None:
        yield "log", "has no report of this step"
    else:
        steps = f"steps {report.first_step:,} to {report.last_step:,}"
        if report.first_step == report.last_step:
            steps = f"step {report.last_step:,}"
        yield "log", f"of {steps}"
        yield "  loss", _measured(report.loss)
        yield "  gradient", _measured(report.grad_norm)
        yield "  rate", f"{report.learning_rate:.3e}"
        for notice in report.notices:
            yield "  said", notice
    yield "read by", _reader(step)
    loss = "nothing of it is learned" if step.loss is None else f"{step.loss:.4f} nats per token"
    yield "loss there", loss


def _rank(report: "StepReport | None") -> str:
    far = report.loss.deviations if report is not None else None
    if far is not None and far >= _SPIKE:
        return "the worst spike of the run"
    return "where the loss is furthest above the usual, and no spike"


def _reader(step: "StepExplained") -> str:
    behind = step.step - 1 - step.checkpoint_step
    name = f"the checkpoint of step {step.checkpoint_step:,}"
    if behind < 0:
        return f"{name}, which has learned from this batch: none from before is kept"
    return f"{name}, " + (f"{behind:,} steps earlier" if behind else "where this step began")


def _measured(figure: "Measured") -> str:
    if figure.usual is None or figure.deviations is None:
        return f"{figure.value:.4f}; too few reports around it to say what is usual"
    return f"{figure.value:.4f}, usually {figure.usual:.4f}: {figure.deviations:+.1f} deviations"


def _neighbours(report: "StepReport") -> Table:
    table = _table("step", "loss", "gradient", "rate")
    for step, loss, norm, rate in report.neighbours:
        style = "bold" if step == report.last_step else ""
        table.add_row(f"{step:,}", f"{loss:.4f}", f"{norm:.3f}", f"{rate:.3e}", style=style)
    return table


def _sequences(worst_first: "Sequence[tuple[int, SequenceRead]]") -> Table:
    table = _table("sequence", "loss")
    table.add_column("documents", overflow="fold")
    for number, sequence in worst_first[:_SEQUENCES]:
        places = [_place(document) for document in sequence.documents[:_DOCUMENTS]]
        left = len(sequence.documents) - len(places)
        places += [f"and {left} more"] if left else []
        table.add_row(f"{number}", _loss(sequence.loss), Text(sanitize_line("; ".join(places))))
    if (left := len(worst_first) - _SEQUENCES) > 0:
        table.add_row("", "", Text(f"and {left} more, whose losses are lower", "dim"))
    return table


def _place(document: "DocumentRead") -> str:
    if document.line is None:
        return f"{document.path}, text {document.document}"
    byte = "" if document.byte is None else f" (byte {document.byte:,})"
    return f"{document.path}:{document.line}{byte}"


def _worst_tokens(number: int, sequence: "SequenceRead") -> Text:
    shown = costliest(sequence.tokens, sequence.losses)
    return Text(f"sequence {number}, loss {_loss(sequence.loss)}: {shown}")


def _loss(loss: float | None) -> str:
    return "none" if loss is None else f"{loss:.4f}"


def _table(*columns: str) -> Table:
    table = Table(box=None, pad_edge=False, header_style="dim")
    for column in columns:
        table.add_column(column, justify="right")
    return table
