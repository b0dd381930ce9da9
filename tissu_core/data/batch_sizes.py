"""How many windows each step reads, where a batch may grow at the beginning of a run."""

from bisect import bisect_left, bisect_right

from tissu_core.config.training import TrainingConfig, parse_batch_ramp


class BatchSizes:
    """The size of a step's batch, in windows, and how many the steps before it have read.

    A batch that grows does so by its first size, in even stages, and is whole from the ramp's last
    step on: few sizes, and all of them multiples of the first.
    """

    def __init__(self, last: int, ramp: tuple[int, int] | None = None) -> None:
        """``ramp`` is the first size, of which ``last`` is a multiple, and how many steps it takes.

        >>> sizes = BatchSizes(6, ramp=(2, 4))
        >>> [sizes.at(step) for step in range(6)]
        [2, 2, 4, 4, 6, 6]
        >>> sizes.before(5)
        18
        """
        self._last, (self._first, steps) = last, ramp or (last, 0)
        stages = last // self._first
        self._begins = [-(-stage * steps // max(1, stages - 1)) for stage in range(stages)]

    def at(self, step: int) -> int:
        """The windows of a step."""
        return self._first * bisect_right(self._begins, step)

    def before(self, step: int) -> int:
        """The windows of all earlier steps."""
        begins = self._begins[: bisect_right(self._begins, step)]
        return self._first * sum(step - begin for begin in begins)

    def steps_for(self, windows: float) -> int:
        """How many steps read about so many."""
        whole = self._begins[-1]  # the first step whose batch is
        if windows < self.before(whole):
            return bisect_left(range(whole), windows, key=self.before)
        return max(1, whole + round((windows - self.before(whole)) / self._last))


def batch_sizes(training: TrainingConfig, context: int) -> BatchSizes:
    """Those of a resolved run, whose windows have ``context`` targets."""
    assert training.batch_tokens
    ramp = parse_batch_ramp(training.batch_ramp)
    last = max(1, training.batch_tokens // context)
    return BatchSizes(last, ramp and (ramp[0], ramp[2]))
