"""The verb inspect schedule: the learning rate over a run that would be trained."""

from dataclasses import dataclass

from tissu_core.config.optimizer import OptimizerConfig

_MOST_STEPS = 1000
_WIDTH = 256


@dataclass(frozen=True, slots=True, kw_only=True)
class ScheduledStep:
    """The learning rate of one step, and its share of the peak."""

    step: int
    factor: float
    learning_rate: float


def inspect_schedule(config: OptimizerConfig, steps: int) -> list[ScheduledStep]:
    """The learning rate over a run of ``steps``; of a long run, evenly spaced steps and the ends.

    Without a learning rate it is the default of a model 256 wide.
    """
    from tissu_core.training.optim import default_learning_rate
    from tissu_core.training.schedules import build_schedule

    peak = config.learning_rate or default_learning_rate(config.name or "muon", _WIDTH)
    schedule, last = build_schedule(config, steps), steps - 1
    count = min(steps, _MOST_STEPS)
    shown = [round(i * last / max(1, count - 1)) for i in range(count)]
    factors = [(step, schedule(step, step / steps)) for step in shown]
    return [
        ScheduledStep(step=step, factor=factor, learning_rate=peak * factor)
        for step, factor in factors
    ]
