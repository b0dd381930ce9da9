"""Ways to compute an operation give the same, and are of the model's shapes."""

import pytest
import torch
from torch import Tensor

from tests.samples import make_config
from tissu_core.config.model import ModelConfig
from tissu_core.evals import operations
from tissu_core.evals.operations import iter_timed

CPU = torch.device("cpu")
ROUGH = {"gelu": 0.03, "matmul": 0.1}
"""Where a way is known to be another function, or of fewer digits."""


CASES = [*((name, "rmsnorm") for name in operations.operations()), ("norm", "layernorm")]


@pytest.mark.parametrize(("operation", "norm"), CASES)
def test_all_ways_agree(operation: str, norm: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(operations, "_SECONDS", 0.001)
    config = make_config(norm=norm)
    timed = [*iter_timed(config, [operation], 4096, CPU)]
    assert len(timed) > 2 and timed[0].largest_error == 0
    assert all(way.median_seconds > 0 for way in timed)
    assert max(way.largest_error for way in timed) < ROUGH.get(operation, 1e-3)


def test_as_many_threads_are_timed_as_compute(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(operations, "_SECONDS", 0.001)
    seen = []

    def made(config: ModelConfig, draw: operations.Draw, lut_size: int) -> operations.Made:
        def compute() -> Tensor:
            seen.append(torch.get_num_threads())
            return torch.zeros(1)

        return "1", [operations.Way("counted", compute)]

    monkeypatch.setitem(operations._MAKERS, "norm", made)
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(2)
        assert [*iter_timed(make_config(), ["norm"], 16, CPU)] and {*seen} == {2}
    finally:
        torch.set_num_threads(before)


def test_a_larger_table_is_closer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(operations, "_SECONDS", 0.001)
    small, large = [*iter_timed(make_config(), ["gelu"], 256, CPU)][-2:]
    assert small.largest_error > 3 * large.largest_error > 0
