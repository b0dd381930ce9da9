"""Where one of two processes runs out of memory, both go on, to the weights of one that did not."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from tests.parity.ranks import Case, Short, one_thread, require_equal, train_together, trained
from tissu_core.parallel.ranks import ALONE

SMALL = 0.001
"""Buckets of a kilobyte, of which some are on their way when a backward ends early."""
CASES = [
    Case(short=Short(where="forward"), bucket_mb=SMALL),
    Case(short=Short(where="backward"), bucket_mb=SMALL),
    Case(short=Short(where="middle"), bucket_mb=SMALL),
    Case(short=Short(where="middle", step=0), bucket_mb=SMALL),
    Case(short=Short(where="entry", step=1), bucket_mb=SMALL),
    Case(short=Short(where="middle", ranks=(0, 1)), bucket_mb=SMALL, dtype="fp64"),
    Case(short=Short(where="middle", micro=1), micro_batch=2, shard="optim", bucket_mb=SMALL),
    Case(short=Short(where="forward", micro=0), micro_batch=2, optimizer="muon", bucket_mb=SMALL),
    Case(
        short=Short(where="middle"),
        changes={"num_local_experts": 4, "num_experts_per_tok": 2},
        bucket_mb=SMALL,
    ),
]
LASTING = Case(short=Short(is_lasting=True), micro_batch=4, bucket_mb=SMALL)


@pytest.fixture(scope="module")
def together(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What two processes came to in each case."""
    return train_together(tmp_path_factory.mktemp("ranks"), 2, [*CASES, LASTING])


@pytest.fixture(autouse=True)
def alone_in_one_thread() -> Iterator[None]:
    with one_thread():
        yield


@pytest.mark.parametrize("case", CASES, ids=str)
def test_one_that_runs_out_once_halves_both_and_changes_no_weight(
    together: Path, case: Case
) -> None:
    found = torch.load(together / f"{CASES.index(case)}.pt", weights_only=True)
    alone = trained(ALONE, replace(case, short=None))
    assert (found.pop("said"), alone.pop("said")) == (1, 0)
    assert found.pop("micro_batch") == min(4, case.micro_batch) // 2
    del alone["micro_batch"]
    require_equal(found, alone, 1e-10 if case.dtype == "fp64" else 1e-5)


def test_one_that_runs_out_whatever_is_done_ends_both(together: Path) -> None:
    told = [(together / f"{len(CASES)}.{rank}.txt").read_text() for rank in range(2)]
    assert told[0] == told[1]
    assert told[0].startswith("4: 2 layers x 32 with a context of")
    assert " GB free on rank 1; " in told[0]
