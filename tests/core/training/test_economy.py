"""What a step costs in operations and in memory does not grow with what it need not grow with."""

import gc
from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from tests.core.training.loop import make_parts, make_settings
from tests.samples import CPU, make_config, make_model, random_ids
from tissu_core.checkpoint.training_state import TrainState
from tissu_core.events.training import StepFinished
from tissu_core.models.build import build_empty, build_model
from tissu_core.training.ema import WeightAverage
from tissu_core.training.objectives.next_token import next_token
from tissu_core.training.optim import build_optimizer
from tissu_core.training.trainer import Trainer


class _Counting(TorchDispatchMode):
    def __init__(self) -> None:
        super().__init__()
        self.names: list[str] = []

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):  # type: ignore[no-untyped-def]
        self.names.append(str(func))
        return func(*args, **(kwargs or {}))


def operations(deed: Callable[[], object]) -> list[str]:
    """What torch is asked for, by name."""
    with _Counting() as counting:
        deed()
    return counting.names


@pytest.mark.parametrize("kv_heads", [1, 4])
def test_a_forward_takes_as_many_operations_for_any_batch_length_and_heads(kv_heads: int) -> None:
    def count(batch: int, time: int, heads: int) -> int:
        config = make_config(
            num_attention_heads=heads,
            num_key_value_heads=kv_heads,
            hidden_size=8 * heads,
            max_position_embeddings=300,
        )
        model = make_model(config)
        with torch.no_grad():
            model(random_ids(batch, time))  # tables are made once
            return len(operations(lambda: model(random_ids(batch, time))))

    assert len({count(2, 9, 4), count(16, 9, 4), count(2, 280, 4), count(2, 9, 16)}) == 1


def test_documents_in_one_row_take_no_more_operations_when_there_are_more() -> None:
    model = make_model(make_config())
    model.read_documents_apart(0)
    few, many = random_ids(2, 30), random_ids(2, 30)
    many[:, ::3] = 0
    model(few)
    assert len(operations(lambda: model(few))) == len(operations(lambda: model(many)))


def stepped(layers: int) -> tuple[list[str], list[str]]:
    """The operations of one step of the optimizer, and of the average of its weights."""
    model = make_model(make_config(num_hidden_layers=layers))
    optimizer = build_optimizer(model, name="adamw", learning_rate=1e-3, weight_decay=0.1, width=32)
    average = WeightAverage(model.named_parameters(), 0.99)
    next_token(model, random_ids(2, 9)).loss_sum.backward()
    good = torch.tensor(False)
    return (
        operations(lambda: optimizer.step(1.0, good)),
        operations(lambda: average.update(3, good)),
    )


def test_a_step_takes_as_many_operations_for_any_number_of_parameters() -> None:
    (small, small_mean), (large, large_mean) = stepped(1), stepped(6)
    fused = [name for name in small if "_fused_adamw" in name]
    assert fused == [name for name in large if "_fused_adamw" in name]
    assert len(small_mean) == len(large_mean) < 10


def test_the_fused_step_is_that_of_a_loop_over_parameters() -> None:
    # In fp64: where a gradient is nearly zero, Adam makes a step of its last bits.
    model, other = (make_model(make_config()).double() for _ in range(2))
    optimizer = build_optimizer(model, name="adamw", learning_rate=1e-2, weight_decay=0.1, width=32)
    matrices = [p for n, p in other.named_parameters() if p.ndim > 1 and "embed" not in n]
    rest = [p for n, p in other.named_parameters() if p.ndim < 2 or "embed" in n]
    groups = [{"params": matrices, "weight_decay": 0.1}, {"params": rest, "weight_decay": 0.0}]
    plain = torch.optim.AdamW(groups, lr=1e-2, betas=(0.9, 0.95), eps=1e-8, foreach=False)
    for step in range(10):
        for each in (model, other):
            next_token(each, random_ids(2, 9, seed=step)).loss_sum.backward()
        optimizer.step(1.0)
        plain.step()
        plain.zero_grad()
    for (name, mine), theirs in zip(model.named_parameters(), other.parameters(), strict=True):
        assert (mine - theirs).abs().max() < 1e-12, name


def test_a_billion_parameters_are_built_without_memory_and_loading_draws_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    large = build_empty(
        make_config(
            hidden_size=2048,
            intermediate_size=5632,
            num_hidden_layers=24,
            num_attention_heads=32,
            num_key_value_heads=8,
            head_dim=64,
            vocab_size=50304,
        )
    )
    assert sum(each.numel() for each in large.parameters()) > 1e9
    assert all(each.is_meta for each in large.parameters())
    weights = make_model(make_config()).state_dict()
    before = torch.get_rng_state()

    def refuse(*given: object, **named: object) -> None:
        raise AssertionError("a weight that is loaded was drawn first")

    for name in ("normal_", "uniform_"):
        monkeypatch.setattr(torch.Tensor, name, refuse)
    loaded = build_empty(make_config())
    loaded.load_state_dict(weights, assign=True)
    assert torch.equal(torch.get_rng_state(), before)
    with pytest.raises(AssertionError, match="drawn"):
        build_model(make_config(), device=CPU, seed=1)


def test_no_tensor_is_left_behind_by_a_step() -> None:
    model = make_model(make_config(num_hidden_layers=1)).train()
    optimizer = build_optimizer(model, name="adamw", learning_rate=1e-3, weight_decay=0.1, width=32)
    average = WeightAverage(model.named_parameters(), 0.99)
    parts = make_parts(lambda number: random_ids(2, 9, seed=number))
    parts = replace(parts, after_step=average.update)
    settings = make_settings(steps=600, log_every=10)
    tensors = []
    for event in Trainer(model, optimizer, settings, parts, TrainState()).run(lambda: False):
        if isinstance(event, StepFinished) and event.step in (100, 590):
            gc.collect()
            tensors.append(sum(issubclass(type(each), torch.Tensor) for each in gc.get_objects()))
    assert tensors[1] <= tensors[0], "what other tests left may go"
