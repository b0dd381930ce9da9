from dataclasses import replace

import pytest

from tests.samples import make_config
from tissu_core.config.load import build_config, to_table
from tissu_core.config.machine import MachineConfig
from tissu_core.config.runs import TrainRun
from tissu_core.config.shape import ModelShape
from tissu_core.config.training import TrainingConfig
from tissu_core.errors import ConfigError, InputError, ResourceError
from tissu_core.models.count import num_parameters, train_bytes
from tissu_core.runs.train.plan import Plan, make_plan
from tissu_core.runs.train.sizes import Machine

CPU = Machine(device="cpu", flops=1e11, free_bytes=8e9)
GPU = Machine(device="cuda", flops=4e14, free_bytes=8e10)
SHAPE = ModelShape(num_hidden_layers=2, hidden_size=64, context_tokens=32)


def plan(
    training: TrainingConfig | None = None,
    *,
    shape: ModelShape = SHAPE,
    train_tokens: int = 100_000,
    machine: Machine = CPU,
) -> Plan:
    run = TrainRun(model=shape, training=training or TrainingConfig())
    return make_plan(run, machine, train_tokens, 1024)


def test_steps_are_what_was_asked_for() -> None:
    found = plan(TrainingConfig(steps=77))
    assert found.steps == found.run.training.steps == 77


def test_tokens_are_what_was_asked_for() -> None:
    found = plan(TrainingConfig(tokens=640_000))
    batch = found.run.training.batch_tokens
    assert batch is not None
    assert found.steps * batch == pytest.approx(640_000, rel=0.01)
    assert found.passes == pytest.approx(6.4, rel=0.01)


def test_epochs_are_what_was_asked_for() -> None:
    found = plan(TrainingConfig(epochs=3))
    assert found.passes == pytest.approx(3, rel=0.01)
    assert found.run.training.epochs is None, "a resolved run says it in steps"


def test_minutes_are_what_was_asked_for() -> None:
    short, long = plan(TrainingConfig(minutes=1)), plan(TrainingConfig(minutes=10))
    assert short.seconds < 60
    assert 500 < long.seconds < 600
    assert long.run.training.minutes == 10
    assert long.run.training.steps is None
    assert long.steps > 5 * short.steps


def test_without_a_length_it_is_minutes_or_passes() -> None:
    little, much = plan(train_tokens=20_000), plan(train_tokens=10**9)
    assert little.passes == pytest.approx(8, rel=0.05)
    assert "passes over the text" in " ".join(little.reasons)
    assert much.seconds == pytest.approx(600, rel=0.05)
    assert "10 minutes" in " ".join(much.reasons)


def test_the_batch_is_whole_sequences_of_what_was_asked_for() -> None:
    assert plan(TrainingConfig(batch_tokens=320)).run.training.batch_tokens == 320
    assert plan(TrainingConfig(batch_tokens=1)).run.training.batch_tokens == 32


def test_every_choice_is_made_and_can_be_stored() -> None:
    found = plan(shape=ModelShape(), train_tokens=10**6)
    training = found.run.training
    for name in ("steps", "batch_tokens", "micro_batch", "eval_every", "eval_tokens"):
        assert getattr(training, name) >= 1, name
    assert training.save_every
    assert training.log_every
    assert training.eval_every <= found.steps
    assert found.run.model.num_hidden_layers == found.model.num_hidden_layers
    assert found.run.model.context_tokens == found.model.max_position_embeddings
    assert build_config(TrainRun, to_table(found.run)) == found.run


def test_planning_a_plan_changes_nothing() -> None:
    first = plan(TrainingConfig(epochs=2))
    again = make_plan(first.run, CPU, 100_000, 1024)
    assert (again.run, again.model, again.steps) == (first.run, first.model, first.steps)


def test_what_was_asked_for_is_kept() -> None:
    asked = TrainingConfig(
        steps=50, eval_every=7, eval_tokens=99, save_every=3, log_every=2, micro_batch=1
    )
    found = plan(asked).run.training
    assert (found.eval_every, found.eval_tokens, found.save_every) == (7, 99, 3)
    assert (found.log_every, found.micro_batch) == (2, 1)


def test_more_text_time_and_speed_give_larger_models() -> None:
    def size(machine: Machine, train_tokens: int) -> int:
        found = plan(shape=ModelShape(), machine=machine, train_tokens=train_tokens)
        return num_parameters(found.model)

    assert size(CPU, 30_000) < size(CPU, 10**7) < size(GPU, 10**10)


def test_a_model_fits_the_memory() -> None:
    tight = Machine(device="cuda", flops=4e14, free_bytes=3e8)
    found = plan(shape=ModelShape(), machine=tight, train_tokens=10**9)
    assert train_bytes(found.model, found.run.training.micro_batch or 0) < 3e8


@pytest.mark.parametrize("more", ["is_fp32", "is_averaged"])
def test_what_takes_more_memory_is_planned_for(more: str) -> None:
    shape = ModelShape(depth=8, context_tokens=64)
    model = plan(shape=shape).model
    less, much = CPU.train_bytes(model), replace(CPU, **{more: True}).train_bytes(model)
    tight = replace(CPU, free_bytes=(less + much) / 2)
    assert plan(shape=shape, machine=tight).model == model
    with pytest.raises(ResourceError, match=f"needs {much / 1e9:.1f} GB"):
        plan(shape=shape, machine=replace(tight, **{more: True}))


def test_a_model_that_does_not_fit_is_refused_with_a_size_that_does() -> None:
    tight = Machine(device="cpu", flops=1e11, free_bytes=1e9)
    shape = ModelShape(num_hidden_layers=16, hidden_size=1024, context_tokens=128)
    with pytest.raises(ResourceError, match=r"needs 3\.\d GB, 1\.0 GB free") as caught:
        plan(shape=shape, machine=tight)
    depth = int(caught.value.hint.split("--depth ")[1].split()[0])
    fitting = plan(shape=ModelShape(depth=depth, context_tokens=128), machine=tight)
    assert train_bytes(fitting.model, 1) < 1e9
    with pytest.raises(ResourceError):
        plan(shape=ModelShape(depth=depth + 2, context_tokens=128), machine=tight)


@pytest.mark.parametrize(("parts", "micro_batch"), [(1, 10), (2, 5), (3, 4), (4, 3), (10, 1)])
def test_a_step_is_cut_into_as_many_parts_as_asked_for(parts: int, micro_batch: int) -> None:
    found = plan(TrainingConfig(batch_tokens=320, grad_accum=parts)).run.training
    assert (found.micro_batch, found.grad_accum) == (micro_batch, None)
    assert -(-10 // micro_batch) == parts


def test_a_step_is_not_cut_below_a_sequence_nor_in_two_ways() -> None:
    with pytest.raises(ConfigError, match="10 sequences"):
        plan(TrainingConfig(batch_tokens=320, grad_accum=11))
    with pytest.raises(ConfigError, match="micro_batch"):
        TrainingConfig(grad_accum=2, micro_batch=2)


def test_a_size_asked_for_is_the_size() -> None:
    found = plan(shape=ModelShape(depth=3), train_tokens=10**6)
    assert (found.model.num_hidden_layers, found.model.hidden_size) == (3, 192)
    assert "as asked for" in found.reasons[0]


def test_little_text_gets_a_short_context() -> None:
    contexts = [
        plan(shape=ModelShape(), train_tokens=tokens).model.max_position_embeddings
        for tokens in (100, 2_000, 5_000, 10**6)
    ]
    assert contexts == [32, 32, 128, 256]


@pytest.mark.parametrize(
    ("shape", "train_tokens"),
    [(ModelShape(context_tokens=256), 256), (ModelShape(), 32), (ModelShape(), 9)],
)
def test_less_text_than_one_context_is_an_input_error(shape: ModelShape, train_tokens: int) -> None:
    with pytest.raises(InputError, match=f"{train_tokens} tokens") as caught:
        plan(shape=shape, train_tokens=train_tokens)
    assert "--context" in caught.value.hint


@pytest.mark.parametrize("asked", [None, 512])
@pytest.mark.parametrize("train_tokens", [2, 8])
def test_text_that_fills_no_context_asks_for_more(train_tokens: int, asked: int | None) -> None:
    with pytest.raises(InputError) as caught:
        plan(shape=ModelShape(context_tokens=asked), train_tokens=train_tokens)
    assert caught.value.hint == "name more text"
    with pytest.raises(ConfigError):
        ModelShape(context_tokens=train_tokens - 1)


@pytest.mark.parametrize("train_tokens", [9, 33, 200])
def test_the_hint_for_little_text_is_one_that_works(train_tokens: int) -> None:
    with pytest.raises(InputError) as caught:
        plan(shape=ModelShape(context_tokens=512), train_tokens=train_tokens)
    context = int(caught.value.hint.split("--context ")[1].split(",")[0])
    found = plan(shape=ModelShape(context_tokens=context), train_tokens=train_tokens)
    assert found.steps >= 1


def test_one_context_of_text_is_enough() -> None:
    found = plan(shape=ModelShape(depth=1, context_tokens=8), train_tokens=9)
    assert found.steps >= 1


def test_shapes_that_contradict_themselves_are_refused_here_too() -> None:
    with pytest.raises(ConfigError, match="--heads"):
        plan(shape=ModelShape(depth=2, num_attention_heads=7))


def test_a_run_that_goes_on_from_a_model_is_measured_less_often() -> None:
    model = make_config()
    run = TrainRun(training=TrainingConfig(steps=40))
    fresh, tuned = (
        make_plan(run, CPU, 100_000, model.vocab_size, given).run.training.eval_every
        for given in (None, model)
    )
    assert (fresh, tuned) == (4, 10)


def test_a_batch_that_grows_keeps_the_budget_of_tokens() -> None:
    found = plan(TrainingConfig(tokens=640_000, batch_ramp="5:20:100"))
    training = found.run.training
    assert training.batch_tokens == 20 * 32
    assert found.steps > 1000, "it would be 1,000 with whole batches from the start"
    assert found.passes == pytest.approx(6.4, rel=0.01)
    assert "grows from 5 sequences to 20" in " ".join(found.reasons)
    again = make_plan(found.run, CPU, 100_000, 1024)
    assert (again.run, again.steps) == (found.run, found.steps)


def test_a_ramp_and_another_batch_contradict_each_other() -> None:
    assert plan(TrainingConfig(batch_ramp="5:20:9", batch_tokens=640)).run.training.batch_ramp
    with pytest.raises(ConfigError, match="--batch-ramp ends with 20") as caught:
        plan(TrainingConfig(batch_ramp="5:20:9", batch_tokens=320))
    assert caught.value.field == "batch_ramp"


def test_a_ramp_is_of_even_shares() -> None:
    two = replace(CPU, num_ranks=2)
    assert plan(TrainingConfig(batch_ramp="4:20:9"), machine=two).run.training.batch_tokens == 640
    with pytest.raises(ConfigError, match="2 ranks"):
        plan(TrainingConfig(batch_ramp="5:20:9"), machine=two)


@pytest.mark.parametrize(("tp", "pp"), [(2, 1), (4, 1), (1, 4), (2, 2)])
def test_a_depth_that_is_chosen_can_be_cut(tp: int, pp: int) -> None:
    machine = MachineConfig(procs=tp * pp, device="cpu", tp=tp, pp=pp)
    run = TrainRun(machine=machine)
    for tokens in (20_000, 10**6, 10**8):
        model = make_plan(run, replace(CPU, num_stages=pp), tokens, 1024).model
        assert model.num_key_value_heads % tp == 0
        assert model.num_hidden_layers >= pp


def test_a_pipeline_has_several_micro_batches_a_stage() -> None:
    asked = TrainingConfig(batch_tokens=64 * 32)
    assert plan(asked).run.training.micro_batch == 64
    two = plan(asked, machine=replace(CPU, num_stages=2))
    assert two.run.training.micro_batch == 8


@pytest.mark.parametrize(
    ("epochs", "asked", "expected"), [(2, None, 0.0), (4, None, 0.1), (4, 0.0, 0.0), (2, 0.3, 0.3)]
)
def test_text_seen_again_and_again_gets_dropout_unless_it_was_asked_for(
    epochs: int, asked: float | None, expected: float
) -> None:
    found = plan(TrainingConfig(epochs=epochs), shape=replace(SHAPE, dropout=asked))
    assert found.run.model.dropout == expected
    assert any("dropout" in why for why in found.reasons) == (expected > 0 and asked is None)


def test_a_model_that_goes_on_gets_no_dropout_of_itself() -> None:
    run = TrainRun(training=TrainingConfig(epochs=4))
    assert make_plan(run, CPU, 100_000, 1024, make_config()).run.model.dropout == 0
