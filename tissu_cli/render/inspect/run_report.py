"""A run's history in the terminal: facts and its loss curve."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.console import Group, RenderableType
from rich.text import Text

from tissu_cli.render import numbers
from tissu_cli.render.tables import facts_table, steps_done
from tissu_cli.render.train.panel import TrainPanel, loss_chart
from tissu_core.events.training import EvalFinished, Planned, TrainEvent

if TYPE_CHECKING:
    from tissu_core.runs.catalog import RunEntry

_CHART_ROWS = 12


def run_report(run: "RunEntry", events: Sequence[TrainEvent], width: int) -> RenderableType:
    """Facts, the loss curve and the evaluations of a run."""
    panel = TrainPanel()
    for event in events:
        panel.take(event)
    parts: list[RenderableType] = [facts_table(_facts(run, events)), Text()]
    if panel.steps:
        parts.append(loss_chart(panel.steps, panel.smoothed, min(width, 120), _CHART_ROWS))
        first, last = panel.steps[0].step, panel.steps[-1].step
        parts.append(Text(f"       loss, raw and smoothed, steps {first:,} to {last:,}", "dim"))
    return Group(*parts)


def _facts(run: "RunEntry", events: Sequence[TrainEvent]) -> list[tuple[str, object]]:
    facts = run.facts
    plan = next((event for event in events if isinstance(event, Planned)), None)
    scores = [event for event in events if isinstance(event, EvalFinished) and not event.is_asked]
    rows: list[tuple[str, object]] = [
        ("run", run.name),
        ("directory", run.directory),
        ("state", "running" if run.is_running else facts.state),
        ("steps", steps_done(facts)),
        ("trained", f"{numbers.count(facts.tokens)} tokens"),
        ("took", numbers.duration(facts.elapsed_seconds)),
    ]
    if plan is not None:
        parameters = numbers.part_of(plan.learning_parameters, plan.num_parameters)
        rows += [
            ("model", f"{plan.model}, {parameters} parameters"),
            ("vocabulary", f"{plan.vocab_size:,} tokens, context {plan.context_tokens}"),
            ("optimizer", f"{plan.optimizer} at {plan.learning_rate:.3g}, {plan.precision}"),
            ("machine", plan.device),
            ("because", "; ".join(plan.reasons)),
        ]
    if facts.loss is not None:
        rows.append(("training loss", f"{facts.loss:.4f} nats per token"))
    if scores:
        best = min(scores, key=lambda score: score.bits_per_byte)
        rows.append(("validation", f"{best.bits_per_byte:.4f} bits per byte at step {best.step:,}"))
    return rows
