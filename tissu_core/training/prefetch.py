"""The next batch, read while a step computes."""

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor

from torch import Tensor


class Prefetch:
    """A function from numbers to batches, asked for the next one ahead of time by one thread.

    What it returns is a function of the number alone, so this changes when a batch is read and
    nothing else. A number that was not expected, as after a rollback, is read when it is asked for.
    """

    def __init__(self, batch: Callable[[int], Tensor]) -> None:
        self._batch = batch
        self._reader = ThreadPoolExecutor(1, thread_name_prefix="batches")
        self._ahead: tuple[int, Future[Tensor]] | None = None

    def __call__(self, number: int) -> Tensor:
        """The batch of this number."""
        ahead, self._ahead = self._ahead, None
        is_expected = ahead is not None and ahead[0] == number
        batch = ahead[1].result() if ahead and is_expected else self._batch(number)
        self._ahead = (number + 1, self._reader.submit(self._batch, number + 1))
        return batch
