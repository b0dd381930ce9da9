"""Histograms of a step: all values are counted, and nothing of training changes."""

import pytest
import torch
from torch import Tensor

from tests.core.training.loop import make_parts, make_settings
from tests.samples import make_config, make_model, random_ids
from tissu_core.checkpoint.training_state import TrainState
from tissu_core.events.histograms import HistogramsTaken
from tissu_core.models.bins import bin_edges
from tissu_core.training.compiling import compile_stack
from tissu_core.training.histograms import StepHistograms, histogram_of
from tissu_core.training.optim import build_optimizer
from tissu_core.training.trainer import Trainer


def make_trainer(every: int, *, dropout: float = 0.0, **changes: object) -> Trainer:
    model = make_model(make_config())
    model.set_dropout(dropout)
    optimizer = build_optimizer(model, name="muon", learning_rate=0.02, weight_decay=0.0, width=32)
    settings = make_settings(steps=7, micro_batch=2, **changes)
    parts = make_parts(lambda step: random_ids(4, 9, seed=step))
    trainer = Trainer(model, optimizer, settings, parts, TrainState())
    taken: list[HistogramsTaken] = []
    if every:
        looking = StepHistograms(model, every, settings.precision, 2, taken.append)
        object.__setattr__(trainer.parts, "before_update", looking.look)
    trainer.taken = taken  # type: ignore[attr-defined]
    return trainer


def run(trainer: Trainer) -> tuple[dict[str, Tensor], list[HistogramsTaken]]:
    list(trainer.run(lambda: False))
    return trainer.model.state_dict(), trainer.taken  # type: ignore[attr-defined]


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_weights_are_those_of_a_run_without_to_the_bit(precision: str) -> None:
    plain, none = run(make_trainer(0, dropout=0.1, precision=precision))
    looked, taken = run(make_trainer(3, dropout=0.1, precision=precision))
    assert not none and [each.step for each in taken] == [1, 3, 6]
    assert all(torch.equal(plain[name], looked[name]) for name in plain)


def test_every_tensor_is_counted_whole() -> None:
    trainer = make_trainer(3)
    weights = {n: p.detach().clone() for n, p in trainer.model.named_parameters()}
    first = run(trainer)[1][0]
    of_kind = {
        k: [t for t in first.tensors if t.kind == k] for k in ("weight", "grad", "activation")
    }
    assert [t.name for t in of_kind["weight"]] == [*weights]
    assert [t.name for t in of_kind["grad"]] == [*weights]
    for tensor in first.tensors:
        assert sum(tensor.counts) == tensor.numel and tensor.not_finite == 0
        assert tensor.counts[0] and tensor.counts[-1]
    for tensor in of_kind["weight"]:
        assert tensor.norm == pytest.approx(float(weights[tensor.name].norm()))
        values, edges = weights[tensor.name].double(), torch.tensor(bin_edges()).double()
        found = torch.histogram(values, edges).hist.long().tolist()
        end = tensor.first_bin + len(tensor.counts)
        assert found[tensor.first_bin : end] == list(tensor.counts)
    names = [t.name for t in of_kind["activation"]]
    assert names == [f"model.layers.{i}{end}" for i in (0, 1) for end in (".mlp.down_proj", "")]
    assert of_kind["activation"][1].numel == 2 * 8 * 32


def test_gradients_are_those_of_the_whole_batch_before_clipping() -> None:
    trainer = make_trainer(1, clip_norm=1e-6)
    events = []
    for event in trainer.run(lambda: trainer.state.step >= 1):
        events.append(event)
    (first, *_) = trainer.taken  # type: ignore[attr-defined]
    total = sum(t.norm**2 for t in first.tensors if t.kind == "grad") ** 0.5
    assert total == pytest.approx(float(trainer._grad_norm), rel=1e-4)
    assert total > 0.1


def test_dead_units_and_values_that_are_no_numbers_are_kept() -> None:
    units = torch.rand(5, 6) + 0.5
    units[:, [1, 4]] = 0.0
    found = histogram_of("model.layers.0.mlp.down_proj", "activation", units, are_units=True)
    assert (found.num_units, int(found.dead, 16)) == (6, 0b010010)
    odd = histogram_of("x", "grad", torch.tensor([3.0, torch.nan, torch.inf, 4.0]))
    assert (odd.not_finite, sum(odd.counts), odd.norm) == (2, 2, 5.0)
    assert histogram_of("x", "grad", torch.full((3,), torch.nan)).counts == (0,)


def test_a_compiled_model_is_seen_as_it_is_written(monkeypatch: pytest.MonkeyPatch) -> None:
    trainer = make_trainer(1)
    calls: list[int] = []
    original = type(trainer.model.model).forward
    compile_stack(trainer.model.model)
    monkeypatch.setattr(
        trainer.model.model,
        "_compiled_call_impl",
        lambda *a, **k: calls.append(1) or original(trainer.model.model, *a, **k),
    )
    looking = StepHistograms(trainer.model, 1, "fp32", 2, trainer.taken.append)  # type: ignore[attr-defined]
    looking.look(0, random_ids(4, 9))
    (taken,) = trainer.taken  # type: ignore[attr-defined]
    assert sum(t.kind == "activation" for t in taken.tensors) == 4


def test_activations_are_those_without_dropout_and_the_mode_is_put_back() -> None:
    trainer, windows = make_trainer(1, dropout=0.5), random_ids(4, 9)
    model = trainer.model.train()
    StepHistograms(model, 1, "fp32", 3, trainer.taken.append).look(0, windows)  # type: ignore[attr-defined]
    assert model.training and all(p.grad is None for p in model.parameters())
    (taken,) = trainer.taken  # type: ignore[attr-defined]
    found = {t.name: t for t in taken.tensors if t.kind == "activation"}["model.layers.0"]
    seen: list[Tensor] = []
    hook = model.model.layers[0].register_forward_hook(lambda m, i, o: seen.append(o))
    model.eval()(windows[:3, :-1])
    hook.remove()
    assert found == histogram_of("model.layers.0", "activation", seen[0])
