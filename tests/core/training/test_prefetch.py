import threading

import pytest
import torch

from tissu_core.training.prefetch import Prefetch


def test_batches_are_those_of_their_numbers_in_any_order() -> None:
    prefetch = Prefetch(lambda number: torch.tensor([number]))
    assert [int(prefetch(number)) for number in (0, 1, 2, 7, 8, 3, 3, 4)] == [
        0,
        1,
        2,
        7,
        8,
        3,
        3,
        4,
    ]


def test_the_next_batch_is_read_while_nobody_asks() -> None:
    read = threading.Event()

    def batch(number: int) -> torch.Tensor:
        if number == 1:
            read.set()
        return torch.tensor([number])

    Prefetch(batch)(0)
    assert read.wait(10)


def test_an_error_is_that_of_the_batch_asked_for() -> None:
    def batch(number: int) -> torch.Tensor:
        if number == 2:
            raise OSError("gone")
        return torch.tensor([number])

    prefetch = Prefetch(batch)
    assert [int(prefetch(number)) for number in (0, 1)] == [0, 1]
    with pytest.raises(OSError, match="gone"):
        prefetch(2)
    assert int(prefetch(5)) == 5
