"""The verb inspect: what is inside a model, and what a run would do."""

from collections.abc import Iterator
from dataclasses import dataclass

from tissu_core.config.optimizer import OptimizerConfig
from tissu_core.events import TensorSummarized
from tissu_core.runs.catalog import find_model


def inspect_weights(query: str, model: str | None) -> Iterator[TensorSummarized]:
    """Statistics of each tensor that a forgiving path names.

    Raises:
        InputError: If there is no such model.
        ConfigError: If no tensor matches.
    """
    path = find_model(model)
    from tissu_core.checkpoint.model_directory import refuse_pickles
    from tissu_core.interpret.weights import summarize

    refuse_pickles(path)
    yield from summarize(path, query)


@dataclass(frozen=True, slots=True, kw_only=True)
class ScheduledStep:
    """The learning rate of one step, and its share of the peak."""

    step: int
    factor: float
    learning_rate: float


_MOST_STEPS = 1000
_WIDTH = 256


def inspect_schedule(config: OptimizerConfig, steps: int) -> list[ScheduledStep]:
    """The learning rate over a run of ``steps``; of a long run, evenly spaced steps and the ends.

    Without a learning rate it is the default of a model 256 wide.
    """
    from tissu_core.training.optim import default_learning_rate
    from tissu_core.training.schedules import build_schedule

    peak = config.learning_rate or default_learning_rate(config.name, _WIDTH)
    schedule, last = build_schedule(config, steps), steps - 1
    count = min(steps, _MOST_STEPS)
    shown = [round(i * last / max(1, count - 1)) for i in range(count)]
    factors = [(step, schedule(step, step / steps)) for step in shown]
    return [
        ScheduledStep(step=step, factor=factor, learning_rate=peak * factor)
        for step, factor in factors
    ]
