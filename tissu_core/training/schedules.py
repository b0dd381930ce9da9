"""Learning-rate schedules: pure functions of progress in [0, 1] to a factor on the peak rate."""

import math
from bisect import bisect_right
from collections.abc import Callable
from functools import partial

from tissu_core.config.optimizer import OptimizerConfig, parse_milestones, parse_warmup

Shape = Callable[[float], float]
"""Progress since the end of the warm-up, in [0, 1], to a factor."""


def build_schedule(config: OptimizerConfig, total_steps: int) -> Callable[[int, float], float]:
    """(step, progress) to a factor on the learning rates."""
    warmup_steps, share = parse_warmup(config.warmup)
    return partial(
        after_warmup,
        _choose_shape(config),
        warmup_steps=warmup_steps or round(share * total_steps),
        total_steps=total_steps,
    )


def _choose_shape(config: OptimizerConfig) -> Shape:
    floor = config.final_fraction
    match config.schedule:
        case "cosine":
            return partial(cosine, floor=floor)
        case "linear":
            return partial(linear, floor=floor)
        case "wsd":
            return partial(warmup_stable_decay, decay_fraction=config.decay_fraction, floor=floor)
        case "step":
            milestones = parse_milestones(config.milestones)
            return partial(multi_step, milestones=milestones, gamma=config.gamma)
        case _:
            return constant


def after_warmup(
    shape: Shape, step: int, progress: float, *, warmup_steps: int, total_steps: int
) -> float:
    """Climb for ``warmup_steps``, then follow ``shape`` over the rest of the run.

    ``step`` counts from 0; ``progress`` is the run's before this step, by steps or by time, of
    which the warm-up is the share ``warmup_steps / total_steps``.
    """
    if step < warmup_steps:
        return warmup_factor(step, warmup_steps)
    share = min(0.99, warmup_steps / total_steps)
    return shape(min(1.0, max(0.0, (progress - share) / (1 - share))))


def warmup_factor(step: int, warmup_steps: int) -> float:
    """Linear climb: step N (from 0) of N warm-up steps is the first at the peak."""
    return min(1.0, (step + 1) / (warmup_steps + 1))


def constant(progress: float) -> float:
    """The peak all along."""
    del progress
    return 1.0


def cosine(progress: float, *, floor: float) -> float:
    """From 1 to ``floor`` along half a cosine. Source: Loshchilov and Hutter, arXiv:1608.03983."""
    return floor + (1 - floor) * 0.5 * (1 + math.cos(math.pi * progress))


def linear(progress: float, *, floor: float) -> float:
    """From 1 to ``floor`` along a line."""
    return floor + (1 - floor) * (1 - progress)


def warmup_stable_decay(progress: float, *, decay_fraction: float, floor: float) -> float:
    """1, then to ``floor`` as 1 - sqrt over the last ``decay_fraction``.

    Sources: the three phases, Hu et al. 2024, arXiv:2404.06395; the root, which ended lower than a
    line there, Hägele et al. 2024, arXiv:2405.18392.
    """
    fallen = min(1.0, max(0.0, progress - (1 - decay_fraction)) / decay_fraction)
    return floor + (1 - floor) * (1 - math.sqrt(fallen))


def multi_step(progress: float, *, milestones: tuple[float, ...], gamma: float) -> float:
    """``gamma`` to the number of milestones behind."""
    # Progress behind a warm-up is rounded; without the margin a milestone may come a step late.
    return float(gamma ** bisect_right(milestones, progress + 1e-9))
