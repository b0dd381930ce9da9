"""Whether a run is compiled; torch's own "eager" backend stands in for the slow compiler."""

import gc
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch

from tests.core.training.loop import make_parts, make_settings
from tests.samples import make_config, make_model, random_ids
from tissu_core.checkpoint.training_state import TrainState
from tissu_core.errors import ResourceError
from tissu_core.events.shared import Noticed, StageAdvanced
from tissu_core.models.decoder import Stack
from tissu_core.runtime import compiler
from tissu_core.runtime.compiler import num_graphs, why_not_compiled
from tissu_core.training import compiling
from tissu_core.training.compiling import CompileTrial
from tissu_core.training.optim import build_optimizer
from tissu_core.training.trainer import Trainer

Backend = Callable[[torch.fx.GraphModule, list[torch.Tensor]], Any]


def make_trainer(**settings: object) -> Trainer:
    model = make_model(make_config())
    model.set_dropout(0.2)
    optimizer = build_optimizer(model, name="muon", learning_rate=0.02, weight_decay=0.1, width=32)
    parts = make_parts(lambda number: random_ids(5, 9, seed=number))
    given: dict[str, object] = {"steps": 3, "micro_batch": 2}
    return Trainer(model, optimizer, make_settings(**{**given, **settings}), parts, TrainState())


@pytest.fixture
def compile_by(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[Any], None]]:
    """Names the backend, and lets any run be long enough."""
    torch.compiler.reset()
    monkeypatch.setattr(compiling, "SECONDS", 0.0)

    def use(backend: Any) -> None:
        def by_backend(stack: Stack, **how: Any) -> None:
            torch.nn.Module.compile(stack, backend=backend, **how)

        monkeypatch.setattr(Stack, "compile", by_backend)

    yield use
    torch.compiler.reset()
    gc.collect()


def run(trial: CompileTrial, *, is_asked: bool = False) -> list[str]:
    events = trial.run(threading.Event(), is_asked=is_asked)
    return [event.text for event in events if isinstance(event, Noticed)]


def trained(trainer: Trainer) -> dict[str, torch.Tensor]:
    list(trainer.run(lambda: False))
    return dict(trainer.model.state_dict()) | trainer.optimizer.state_tensors()


@pytest.mark.parametrize("is_faster", [True, False])
def test_a_trial_changes_nothing_of_the_run_and_keeps_what_is_faster(
    compile_by: Callable[[Any], None], monkeypatch: pytest.MonkeyPatch, is_faster: bool
) -> None:
    expected = trained(make_trainer())
    compile_by("eager")
    monkeypatch.setattr(compiling, "_FASTER", 1e9 if is_faster else 0.0)
    trainer = make_trainer()
    torch.manual_seed(5)
    before = torch.get_rng_state()
    trial = CompileTrial(trainer)
    (said,) = run(trial)
    assert torch.equal(torch.get_rng_state(), before)
    assert all(parameter.grad is None for parameter in trainer.model.parameters())
    assert trial.is_compiled is is_faster
    assert ("as it is written" in said) is not is_faster
    assert "compiled in" in said
    found = trained(trainer)
    is_equal = all(torch.equal(found[name], tensor) for name, tensor in expected.items())
    assert is_equal is not is_faster, "the compiler sees a plain norm, which rounds otherwise"


def test_no_step_is_compiled_again_though_its_last_micro_batch_is_smaller(
    compile_by: Callable[[Any], None],
) -> None:
    compile_by("eager")
    trainer = make_trainer()
    trial = CompileTrial(trainer)
    run(trial, is_asked=True)
    assert trial.is_compiled
    graphs = num_graphs()
    assert graphs >= 2
    trained(trainer)
    assert num_graphs() == graphs
    assert trial.recompiled() is None
    trainer.model.model(random_ids(3, 7))
    assert "again 1 times" in getattr(trial.recompiled(), "text", "")


def test_a_stop_is_answered_while_it_compiles(compile_by: Callable[[Any], None]) -> None:
    entered, left = threading.Event(), threading.Event()

    def endless(graph: torch.fx.GraphModule, inputs: list[torch.Tensor]) -> Any:
        entered.set()
        try:
            while True:
                left.wait(0.01)
        finally:
            left.set()

    compile_by(endless)
    trainer, stop = make_trainer(), threading.Event()
    expected = trained(make_trainer())
    trial = CompileTrial(trainer)
    for event in trial.run(stop, is_asked=True):
        if isinstance(event, StageAdvanced) and entered.is_set():
            stop.set()
    assert left.is_set(), "the compiler was ended"
    assert trial.is_compiled is None
    found = trained(trainer)
    assert all(torch.equal(found[name], tensor) for name, tensor in expected.items())


def broken(graph: torch.fx.GraphModule, inputs: list[torch.Tensor]) -> Any:
    raise ValueError("no such instruction")


def test_where_compiling_fails_the_run_goes_on_as_it_is_written(
    compile_by: Callable[[Any], None],
) -> None:
    compile_by(broken)
    trainer = make_trainer()
    trial = CompileTrial(trainer)
    (said,) = run(trial)
    assert "no such instruction" in said
    assert trial.is_compiled is False
    trained(trainer)


def test_by_name_a_failure_is_an_error(compile_by: Callable[[Any], None]) -> None:
    compile_by(broken)
    with pytest.raises(ResourceError, match="no such instruction") as caught:
        run(CompileTrial(make_trainer()), is_asked=True)
    assert "--no-compile" in caught.value.hint


def test_a_run_that_turns_out_short_is_not_compiled() -> None:
    trial = CompileTrial(make_trainer())
    (said,) = run(trial)
    assert "too few to pay back" in said
    assert trial.is_compiled is False


def test_what_is_not_even_tried_is_told_with_its_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "minutes and more" in why_not_compiled("cpu", 100)
    assert "mps" in why_not_compiled("mps", 1e5)
    monkeypatch.setattr(compiler, "find_compiler", lambda: "/usr/bin/c++")
    assert why_not_compiled("cpu", 1e5) == ""
    monkeypatch.setattr(compiler, "find_compiler", lambda: None)
    assert compiler.install_command() in why_not_compiled("cpu", 1e5)
