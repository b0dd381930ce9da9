"""Two processes that train together end with the weights of one, however the model lies on them."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from tests.parity.ranks import (
    DTYPES,
    TOLERANCES,
    Case,
    one_thread,
    require_equal,
    train_together,
    trained,
)
from tissu_core.parallel.ranks import ALONE

CASES = [
    Case(shard=shard, optimizer=optimizer, micro_batch=micro_batch, dtype=dtype)
    for dtype in DTYPES
    for shard, optimizer, micro_batch in (
        ("none", "adamw", 8),
        ("none", "adamw", 1),  # accumulates: one exchange a step
        ("none", "muon", 8),
        ("optim", "adamw", 8),
        ("optim", "muon", 2),
        ("grad", "adamw", 8),
        ("full", "adamw", 8),
        ("full", "adamw", 1),
        ("full", "sgd", 3),
    )
]


@pytest.fixture(scope="module")
def together(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What two processes came to in each case."""
    return train_together(tmp_path_factory.mktemp("ranks"), 2, CASES)


@pytest.fixture(autouse=True)
def alone_in_one_thread() -> Iterator[None]:
    with one_thread():
        yield


@pytest.mark.parametrize("case", CASES, ids=str)
def test_two_processes_come_to_the_weights_and_moments_of_one(together: Path, case: Case) -> None:
    found = torch.load(together / f"{CASES.index(case)}.pt", weights_only=True)
    require_equal(found, trained(ALONE, case), TOLERANCES[case.dtype])
