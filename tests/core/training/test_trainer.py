from collections.abc import Callable
from dataclasses import asdict, replace

import pytest
import torch

from tests.core.training.loop import make_parts, make_settings
from tests.samples import make_config, make_model, random_ids
from tissu_core.checkpoint.training_state import TrainState
from tissu_core.errors import ResourceError
from tissu_core.events.training import CheckpointSaved, EvalFinished, SampleGenerated, StepFinished
from tissu_core.models.decoder import Decoder
from tissu_core.training import saving
from tissu_core.training.objectives.next_token import LossOutput, next_token
from tissu_core.training.optim import build_optimizer
from tissu_core.training.trainer import LoopParts, LoopSettings, Trainer


def make_trainer(
    settings: LoopSettings,
    parts: LoopParts,
    *,
    state: TrainState | None = None,
    model: Decoder | None = None,
    name: str = "muon",
) -> Trainer:
    model = model or make_model(make_config())
    optimizer = build_optimizer(model, name=name, learning_rate=0.02, weight_decay=0.0, width=32)
    return Trainer(model, optimizer, settings, parts, state or TrainState())


def batch(step: int) -> torch.Tensor:
    return random_ids(4, 9, seed=step)


def never() -> bool:
    return False


def kinds(events: list[object]) -> list[str]:
    short = {StepFinished: "step", CheckpointSaved: "save", EvalFinished: "eval"}
    return [short.get(type(event), "sample") for event in events]


@pytest.mark.parametrize("name", ["muon", "adamw"])
def test_one_batch_is_learned_by_heart(name: str) -> None:
    windows = random_ids(4, 17)
    parts = make_parts(
        lambda step: windows, schedule=lambda step, progress: min(1.0, 2 * (1 - progress))
    )
    trainer = make_trainer(make_settings(steps=80, log_every=1), parts, name=name)
    steps = [event for event in trainer.run(never) if isinstance(event, StepFinished)]
    assert steps[0].loss > 4
    assert steps[-1].loss < 0.3
    assert trainer.end_reason == "finished"


def test_every_step_is_counted() -> None:
    parts = make_parts(batch)
    trainer = make_trainer(make_settings(steps=7, log_every=3), parts)
    events = list(trainer.run(never))
    steps = [event for event in events if isinstance(event, StepFinished)]
    assert [event.step for event in steps] == [3, 6, 7]
    assert [event.tokens for event in steps] == [3 * 32, 6 * 32, 7 * 32]
    assert [event.progress for event in steps] == pytest.approx([3 / 7, 6 / 7, 1.0])
    assert kinds(events) == ["step", "step", "step", "save", "eval", "sample"]


def test_the_reported_loss_is_the_mean_since_the_last_report() -> None:
    def losses(log_every: int) -> list[float]:
        trainer = make_trainer(make_settings(steps=6, log_every=log_every), make_parts(batch))
        return [e.loss for e in trainer.run(never) if isinstance(e, StepFinished)]

    single = losses(1)
    assert losses(3) == pytest.approx([sum(single[:3]) / 3, sum(single[3:]) / 3], rel=1e-6)


def test_each_evaluation_saves_first() -> None:
    trainer = make_trainer(make_settings(steps=5, eval_every=4, save_every=2), make_parts(batch))
    assert kinds(list(trainer.run(never))) == [
        "save",
        *("step", "save", "eval", "sample"),
        *("step", "save", "eval", "sample"),
    ]


def scored_steps(trainer: Trainer) -> list[int]:
    return [event.step for event in trainer.run(never) if isinstance(event, EvalFinished)]


def test_the_last_step_is_scored_when_a_checkpoint_is_due_there_too() -> None:
    trainer = make_trainer(make_settings(steps=6, eval_every=4, save_every=3), make_parts(batch))
    assert scored_steps(trainer) == [4, 6]


def test_a_run_that_died_between_saving_and_scoring_its_last_step_is_scored_on_resume() -> None:
    state = TrainState(step=6, best_step=4, best_bits_per_byte=2.0)
    trainer = make_trainer(make_settings(steps=6, eval_every=2), make_parts(batch), state=state)
    assert scored_steps(trainer) == [6]


def test_the_last_evaluation_is_not_done_twice() -> None:
    trainer = make_trainer(make_settings(steps=4, eval_every=2), make_parts(batch))
    found = kinds(list(trainer.run(never)))
    assert found.count("eval") == 2
    assert found[-1] == "sample"


def test_the_rates_follow_the_schedule() -> None:
    asked: list[tuple[int, float]] = []

    def schedule(step: int, progress: float) -> float:
        asked.append((step, progress))
        return 1.0 - progress

    trainer = make_trainer(
        make_settings(steps=4, log_every=1), make_parts(batch, schedule=schedule)
    )
    events = [event for event in trainer.run(never) if isinstance(event, StepFinished)]
    assert asked == [(0, 0.0), (1, 0.25), (2, 0.5), (3, 0.75)]
    rates = [event.learning_rate for event in events]
    assert rates == pytest.approx([0.02, 0.015, 0.01, 0.005])


def test_the_best_is_marked_when_it_is_better() -> None:
    best: list[int] = []
    parts = make_parts(batch, scores=iter([3.0, 2.0, 2.5, 2.0, 1.0]), best=best)
    trainer = make_trainer(make_settings(steps=5, eval_every=1), parts)
    evals = [event for event in trainer.run(never) if isinstance(event, EvalFinished)]
    assert best == [1, 2, 5]
    assert [event.is_best for event in evals] == [True, True, False, False, True]
    assert trainer.state.best_step == 5


def test_patience_ends_a_run_that_gets_no_better() -> None:
    scores = iter([3.0, 2.0, 2.5, 1.9, 2.0, 2.0, 9.9])
    settings = make_settings(steps=100, eval_every=2, patience=2)
    trainer = make_trainer(settings, make_parts(batch, scores=scores))
    events = list(trainer.run(never))
    assert trainer.end_reason == "patience"
    assert trainer.state.step == 12
    assert trainer.state.best_step == 8
    assert kinds(events).count("eval") == 6


def test_a_better_score_that_the_disk_did_not_take_is_no_lack_of_progress(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(saving, "RETRY_SECONDS", ())
    best: list[int] = []
    parts = make_parts(batch, scores=iter([3.0, 2.0, 2.5, 9.9]), best=best)

    def save(state: TrainState) -> CheckpointSaved:
        if state.step == 4:
            raise ResourceError("full", hint="")
        return parts.save(state)

    settings = make_settings(steps=100, eval_every=2, patience=1)
    trainer = make_trainer(settings, replace(parts, save=save))
    list(trainer.run(never))
    assert best == [2, 6]
    assert trainer.state.step == 8


def test_a_score_that_is_no_number_is_never_the_best() -> None:
    best: list[int] = []
    parts = make_parts(batch, scores=iter([float("nan"), 2.0]), best=best)
    list(make_trainer(make_settings(steps=2, eval_every=1), parts).run(never))
    assert best == [2]


def stop_after(checks: int) -> Callable[[], bool]:
    answers = iter([False] * checks)
    return lambda: next(answers, True)


@pytest.mark.parametrize("steps", [0, 3])
def test_asking_to_stop_saves_and_ends(steps: int) -> None:
    saved: list[TrainState] = []
    trainer = make_trainer(make_settings(steps=10), make_parts(batch, saved=saved))
    events = list(trainer.run(stop_after(steps)))
    assert trainer.end_reason == "stopped"
    assert [state.step for state in saved] == [steps]
    assert isinstance(events[-1], CheckpointSaved)
    assert "eval" not in kinds(events)


def scaled_at(step: int, value: float) -> Callable[[Decoder, torch.Tensor], LossOutput]:
    calls = iter(range(1000))

    def objective(model: Decoder, windows: torch.Tensor) -> LossOutput:
        output = next_token(model, windows)
        factor = value if next(calls) == step else 1.0
        return LossOutput(output.loss_sum * factor, output.num_targets)

    return objective


def test_a_large_gradient_is_clipped_and_reported_as_it_was() -> None:
    parts = make_parts(batch, objective=scaled_at(0, 1e6))
    settings = make_settings(steps=1, log_every=1, clip_norm=1.0)
    (step, *_) = make_trainer(settings, parts).run(never)
    assert isinstance(step, StepFinished)
    assert step.grad_norm > 1e5


def test_time_ends_a_run_when_it_is_asked_for() -> None:
    ticks = iter(range(1000))
    parts = make_parts(batch, clock=lambda: float(next(ticks)))
    trainer = make_trainer(make_settings(steps=1, seconds=30.0), parts)
    list(trainer.run(never))
    assert 1 < trainer.state.step <= 16
    assert trainer.end_reason == "finished"


def dropping(seed: int = 0) -> Decoder:
    model = make_model(make_config(), seed=seed)
    model.set_dropout(0.3)
    return model


@pytest.mark.parametrize("step", [2, 3, 4])
def test_a_run_resumed_at_any_checkpoint_is_a_straight_one_to_the_bit(step: int) -> None:
    settings = make_settings(steps=6, log_every=4, save_every=step)
    straight = make_trainer(settings, make_parts(batch), model=dropping())
    expected = [event for event in straight.run(never) if isinstance(event, StepFinished)]

    killed = make_trainer(settings, make_parts(batch), model=dropping())
    for event in killed.run(never):
        if isinstance(event, CheckpointSaved):
            break
    torch.rand(5)  # another process has other random numbers behind it
    resumed = make_trainer(
        settings,
        make_parts(batch),
        state=TrainState(**asdict(killed.state)),
        model=dropping(seed=5),
    )
    resumed.model.load_state_dict(killed.model.state_dict())
    moments = killed.optimizer.state_tensors()
    resumed.optimizer.load_state_tensors({name: t.clone() for name, t in moments.items()})
    found = [event for event in resumed.run(never) if isinstance(event, StepFinished)]
    assert [(e.step, e.loss, e.tokens) for e in found] == [
        (e.step, e.loss, e.tokens) for e in expected if e.step > step
    ]
    for name, tensor in straight.model.state_dict().items():
        assert torch.equal(tensor, resumed.model.state_dict()[name]), name


@pytest.mark.parametrize(("stored", "asked"), [(0, 2), (4, 2), (2, 4)])
def test_no_more_is_computed_at_once_than_fits_or_is_asked_for(stored: int, asked: int) -> None:
    sizes = []

    def counted(model: Decoder, windows: torch.Tensor) -> LossOutput:
        sizes.append(len(windows))
        return next_token(model, windows)

    parts = make_parts(lambda step: random_ids(4, 9), objective=counted)
    settings = make_settings(micro_batch=asked, steps=1)
    list(make_trainer(settings, parts, state=TrainState(micro_batch=stored)).run(never))
    assert sizes == [2, 2]


def test_samples_are_made_after_each_evaluation() -> None:
    trainer = make_trainer(make_settings(steps=4, eval_every=2), make_parts(batch))
    samples = [e.step for e in trainer.run(never) if isinstance(e, SampleGenerated)]
    assert samples == [2, 4]


def test_time_spent_beside_training_is_not_in_the_speed(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]

    def tick() -> float:
        return now[0]

    def slow_batch(step: int) -> torch.Tensor:
        now[0] += 1.0
        return batch(step)

    monkeypatch.setattr("tissu_core.training.trainer.time.perf_counter", tick)
    parts = make_parts(slow_batch)
    save = parts.save

    def slow_save(state: TrainState) -> CheckpointSaved:
        now[0] += 500.0
        return save(state)

    object.__setattr__(parts, "save", slow_save)
    trainer = make_trainer(make_settings(steps=4, eval_every=2), parts)
    steps = [event for event in trainer.run(never) if isinstance(event, StepFinished)]
    assert [event.tokens_per_second for event in steps] == pytest.approx([32.0, 32.0])


def test_a_report_has_the_share_that_was_waited_for_data_and_the_utilisation(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = [0.0]

    def slow_batch(step: int) -> torch.Tensor:
        now[0] += 1.0
        return batch(step)

    def slow_objective(model: Decoder, windows: torch.Tensor) -> LossOutput:
        now[0] += 3.0
        return next_token(model, windows)

    monkeypatch.setattr("tissu_core.training.trainer.time.perf_counter", lambda: now[0])
    parts = make_parts(slow_batch, objective=slow_objective)
    settings = make_settings(steps=4, log_every=2, mfu_of_token=0.05)
    events = make_trainer(settings, parts).run(never)
    steps = [event for event in events if isinstance(event, StepFinished)]
    assert [event.data_wait for event in steps] == pytest.approx([0.25, 0.25])
    assert [event.tokens_per_second for event in steps] == pytest.approx([8.0, 8.0])
    assert [event.mfu for event in steps] == pytest.approx([0.4, 0.4])
