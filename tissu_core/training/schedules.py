"""Learning-rate schedules: pure functions of progress in [0, 1] to a factor on the peak rate."""

import math


def warmup_factor(step: int, warmup_steps: int) -> float:
    """Linear climb: step N (from 0) of N warm-up steps is the first at the peak."""
    return min(1.0, (step + 1) / (warmup_steps + 1))


def cosine_factor(progress: float, floor: float) -> float:
    """From 1 to ``floor`` along half a cosine. Source: Loshchilov and Hutter, arXiv:1608.03983."""
    return floor + (1 - floor) * 0.5 * (1 + math.cos(math.pi * min(1.0, max(0.0, progress))))


def warmup_then_cosine(
    step: int, progress: float, *, warmup_steps: int, total_steps: int, floor: float
) -> float:
    """Climb for ``warmup_steps``, then anneal over the rest of the run.

    ``step`` counts from 0; ``progress`` is the run's before this step, by steps or by time, of
    which the warm-up is the share ``warmup_steps / total_steps``.
    """
    if step < warmup_steps:
        return warmup_factor(step, warmup_steps)
    share = min(0.99, warmup_steps / total_steps)
    return cosine_factor((progress - share) / (1 - share), floor)
