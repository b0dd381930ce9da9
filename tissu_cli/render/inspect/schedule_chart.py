"""The learning rate over a run, drawn."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.console import Group, RenderableType
from rich.text import Text

from tissu_cli.render.braille import line_chart
from tissu_core.config.optimizer import OptimizerConfig

if TYPE_CHECKING:
    from tissu_core.runs.inspect.schedule import ScheduledStep

_ROWS = 8
_AXIS = 10
_WIDEST = 120


def schedule_chart(
    config: OptimizerConfig, steps: "Sequence[ScheduledStep]", width: int
) -> RenderableType:
    """A line over the run, the learning rate on its left and the steps below; fits ``width``."""
    width = max(2 * _AXIS, min(width, _WIDEST))
    top = max(step.learning_rate for step in steps)
    rows = line_chart(
        [step.step for step in steps],
        [step.learning_rate for step in steps],
        width=width - _AXIS,
        height=_ROWS,
        x_range=(0.0, steps[-1].step or 1.0),
        y_range=(0.0, top),
    )
    labels = {0: f"{top:.3g}", _ROWS // 2: f"{top / 2:.3g}", _ROWS - 1: "0"}
    body = Text(no_wrap=True)
    for row, line in enumerate(rows):
        body.append(f"{labels.get(row, ''):>{_AXIS - 1}} ", "dim")
        body.append(line + "\n", "cyan")
    last = f"{steps[-1].step:,}"
    body.append(" " * _AXIS + "0" + last.rjust(width - _AXIS - 1), "dim")
    facts = (config.name, config.schedule, f"warm-up {config.warmup}")
    head = Text(", ".join(fact for fact in facts if fact), overflow="fold")
    return Group(head, body)
