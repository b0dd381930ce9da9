import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from tests.core.training.loop import make_parts, make_settings
from tests.samples import make_config, make_model, random_ids
from tissu_core.checkpoint.training_state import TrainState
from tissu_core.events.shared import Noticed
from tissu_core.events.training import ProfileFinished
from tissu_core.models.decoder import Decoder
from tissu_core.training.objectives.next_token import LossOutput, next_token
from tissu_core.training.optim import Optimizer, build_optimizer
from tissu_core.training.profile_tables import OUTSIDE
from tissu_core.training.profiling import StepProfiler
from tissu_core.training.trainer import Trainer

Change = Callable[[Trainer], None]


def batch(step: int) -> Tensor:
    return random_ids(4, 9, seed=step)


def make_trainer(
    directory: Path | None,
    *,
    steps: int = 6,
    is_memory: bool = False,
    batch: Callable[[int], Tensor] = batch,
    objective: Callable[..., LossOutput] = next_token,
) -> Trainer:
    model = make_model(make_config())
    optimizer = build_optimizer(model, name="muon", learning_rate=0.02, weight_decay=0.0, width=32)
    settings = make_settings(steps=steps, log_every=1, micro_batch=2)
    parts = make_parts(batch, objective=objective)
    trainer = Trainer(model, optimizer, settings, parts, TrainState())
    if directory is not None:
        trainer.profiler = StepProfiler(
            model, directory, is_memory=is_memory, steps=2, held=model.parameters
        )
    return trainer


def run(trainer: Trainer) -> tuple[list[Any], dict[str, Tensor]]:
    events = list(trainer.run(lambda: False))
    return events, {name: t.clone() for name, t in trainer.model.state_dict().items()}


def profile_of(trainer: Trainer) -> ProfileFinished:
    (found,) = [event for event in run(trainer)[0] if isinstance(event, ProfileFinished)]
    return found


@pytest.mark.parametrize("is_memory", [False, True])
def test_a_watched_run_is_the_same_to_the_bit(tmp_path: Path, is_memory: bool) -> None:
    events, weights = run(make_trainer(None))
    watched_events, watched = run(make_trainer(tmp_path, is_memory=is_memory))
    assert all(torch.equal(weights[name], watched[name]) for name in weights)
    losses = [[e.loss for e in each if hasattr(e, "loss")] for each in (events, watched_events)]
    assert losses[0] == losses[1]


def test_the_trace_has_every_phase_and_module_of_the_steps_watched(tmp_path: Path) -> None:
    found = profile_of(make_trainer(tmp_path))
    assert (found.kind, found.step, found.steps) == ("cpu", 5, 2)
    trace = json.loads(Path(found.trace).read_text("utf-8"))
    names = [event.get("name") for event in trace["traceEvents"]]
    assert names.count("phase/step") == names.count("phase/data") == 2
    assert names.count("phase/forward") == names.count("phase/backward") == 4  # micro-batches
    assert names.count("module/model.layers.0.mlp") == 4
    phases = dict(found.phases)
    assert phases.keys() == {"data", "forward", "backward", "optimizer", "other"}
    assert sum(phases.values()) == pytest.approx(found.step_seconds, rel=0.05)
    of_modules = sum(forward + backward for _, forward, backward in found.modules)
    assert of_modules == pytest.approx(phases["forward"] + phases["backward"], rel=0.01)
    both_ways = {name for name, forward, backward in found.modules if forward and backward}
    assert {"layers.*.mlp.down_proj", "layers.*.self_attn.q_norm", "norm", OUTSIDE} <= both_ways


def trainer_hooks(model: Decoder) -> Iterator[object]:
    for module in model.modules():
        yield from (*module._forward_pre_hooks.values(), *module._forward_hooks.values())


def test_nothing_stays_behind(tmp_path: Path) -> None:
    trainer = make_trainer(tmp_path)
    run(trainer)
    assert not any(trainer_hooks(trainer.model))


class Slow(torch.autograd.Function):
    """The identity, whose backward takes its time."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        return x.clone()

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        time.sleep(0.2)
        return gradients[0]


def test_a_slow_module_ranks_first(tmp_path: Path) -> None:
    trainer = make_trainer(tmp_path)
    trainer.model.model.layers[1].mlp.up_proj.register_forward_hook(lambda *_: time.sleep(0.2))
    found = profile_of(trainer)
    name, forward, backward = found.modules[0]
    assert name in ("layers.*.mlp", "layers.*.mlp.up_proj")
    assert forward > 0.39 and forward > backward  # twice a step: two micro-batches
    assert found.phases[0][0] == "forward"


def test_a_slow_way_back_ranks_first_in_its_module(tmp_path: Path) -> None:
    trainer = make_trainer(tmp_path)
    norm = trainer.model.model.norm
    plain = norm.forward
    norm.forward = lambda x: plain(Slow.apply(x))  # type: ignore[method-assign]
    found = profile_of(trainer)
    name, forward, backward = found.modules[0]
    assert (name, found.phases[0][0]) == ("norm", "backward")
    assert backward > 0.39 and backward > forward


def test_slow_data_and_a_slow_optimizer_rank_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def slow(step: int) -> Tensor:
        time.sleep(0.2)
        return batch(step)

    assert profile_of(make_trainer(tmp_path, batch=slow)).phases[0][0] == "data"
    step = Optimizer.step

    def slow_step(self: Optimizer, *given: Any) -> None:
        time.sleep(0.2)
        step(self, *given)

    monkeypatch.setattr(Optimizer, "step", slow_step)
    assert profile_of(make_trainer(tmp_path)).phases[0][0] == "optimizer"


def test_what_a_module_keeps_for_its_way_back_is_found(tmp_path: Path) -> None:
    trainer = make_trainer(tmp_path, is_memory=True)
    numbers = torch.zeros(250_000)

    def keep(module: Any, given: Any, output: Tensor) -> Tensor:
        much = numbers * 2  # a million bytes, which the product needs to go back
        return output * (1 + (much * output.mean()).sum())

    trainer.model.model.layers[0].mlp.down_proj.register_forward_hook(keep)
    found = profile_of(trainer)
    assert found.kind == "memory"
    parameters = sum(p.nbytes for p in trainer.model.parameters())
    assert found.held_bytes == parameters
    kept, most = {name: figures for name, *figures in found.modules}["layers.*.mlp"]
    assert kept == pytest.approx(2 * 1e6, rel=0.3)  # of two micro-batches
    assert most > 1.9e6, "and the product itself"
    assert found.modules[0][0] == "model", "with all that is in it"
    peaks = dict(found.phases)
    assert max(peaks.values()) > parameters + 1.9e6
    assert peaks["optimizer"] < peaks["forward"]


def test_recomputed_layers_count_where_they_are_computed(tmp_path: Path) -> None:
    plain = profile_of(make_trainer(tmp_path, is_memory=True))
    trainer = make_trainer(tmp_path, is_memory=True)
    trainer.model.set_recompute("block")
    thrifty = profile_of(trainer)

    def kept(found: ProfileFinished) -> float:
        return next(row[1] for row in found.modules if row[0] == "layers.*")

    assert kept(thrifty) < kept(plain) / 5


def test_a_run_that_is_too_short_says_so(tmp_path: Path) -> None:
    events, _ = run(make_trainer(tmp_path, steps=4))
    trainer = make_trainer(tmp_path, steps=4)
    list(trainer.run(lambda: False))
    assert trainer.profiler is not None
    (notice,) = trainer.profiler.close()
    assert isinstance(notice, Noticed) and "takes 5 steps" in notice.text
    assert not any(trainer_hooks(trainer.model))
    assert not any(isinstance(event, ProfileFinished) for event in events)


def test_a_trace_that_cannot_be_written_ends_no_run(tmp_path: Path) -> None:
    (tmp_path / "profile").write_text("in the way")
    events, _ = run(make_trainer(tmp_path / "profile"))
    assert any(isinstance(event, Noticed) and "is not written" in event.text for event in events)
    assert any(isinstance(event, ProfileFinished) for event in events)
