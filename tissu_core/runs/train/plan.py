"""Sizes that fit this corpus, this machine and this budget; every choice with its reason.

The default budget is time: 10 minutes on a CPU, 30 on a GPU. Time and speed give tokens; tokens
give the size, the batch and how often the text is seen.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

from tissu_core.config.model import ModelConfig
from tissu_core.config.runs import TrainRun
from tissu_core.config.shape import ModelShape
from tissu_core.config.training import TrainingConfig, parse_batch_ramp
from tissu_core.data.batch_sizes import batch_sizes
from tissu_core.errors import ConfigError
from tissu_core.models.fit import too_large
from tissu_core.runs.train.micro_batch import choose_micro_batch
from tissu_core.runs.train.sizes import (
    Machine,
    choose_batch,
    choose_budget,
    choose_context,
    choose_dropout,
    choose_model,
)

_EVALUATIONS = 10
_TUNING_EVALUATIONS = 4
"""Each saves first, and a model that others trained is large beside the few steps it takes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """A run with every choice made."""

    run: TrainRun
    model: ModelConfig
    steps: int
    passes: float
    seconds: float
    """Expected training time."""
    reasons: tuple[str, ...]


def make_plan(
    run: TrainRun,
    machine: Machine,
    train_tokens: int,
    vocab_size: int,
    given: ModelConfig | None = None,
) -> Plan:
    """Resolve what the run leaves open; ``given`` is the model it goes on from.

    Raises:
        ConfigError: If shape settings, or those of the batch, contradict each other.
        InputError: If there is less text than one context.
        ResourceError: If the model does not fit memory.
    """
    training, is_tuning = run.training, given is not None
    reasons: list[str] = []
    context = choose_context(run.model, machine, train_tokens)
    if given is None:
        model, why = choose_model(run, machine, context, vocab_size, train_tokens)
    else:
        model = replace(given, max_position_embeddings=min(context, given.max_position_embeddings))
        context, why = model.max_position_embeddings, f"goes on from {run.tuning.origin}"
    if machine.train_bytes(model) > machine.free_bytes:
        raise too_large(
            model,
            machine.free_bytes,
            machine.recompute,
            is_fp32=machine.is_fp32,
            is_averaged=machine.is_averaged,
        )
    reasons.append(why)
    speed = machine.speed(model)
    budget, why = choose_budget(training, machine, speed, train_tokens, is_tuning=is_tuning)
    reasons.append(why)
    sequences = choose_batch(training, context, budget, train_tokens)
    reasons.extend(_ramp_reasons(training, machine.num_ranks))
    if uneven := sequences % machine.num_ranks:
        sequences += machine.num_ranks - uneven
        reasons.append(f"{sequences} sequences a step are even shares of {machine.num_ranks} ranks")
    step_tokens = sequences * context
    sizes = batch_sizes(replace(training, batch_tokens=step_tokens), context)
    steps = training.steps or sizes.steps_for(budget / context)
    tokens = sizes.before(steps) * context
    passes = tokens / train_tokens
    dropout, why = choose_dropout(run.model.dropout, passes, is_tuning=is_tuning)
    reasons.append(why)
    num_evaluations = _TUNING_EVALUATIONS if is_tuning else _EVALUATIONS
    eval_every = training.eval_every or math.ceil(steps / num_evaluations)
    training = replace(training, eval_every=eval_every)
    resolved = _fill_loop(training, machine, model, sequences, steps, step_tokens / speed)
    if training.minutes is None:
        resolved = replace(resolved, steps=steps, tokens=None, epochs=None)
    return Plan(
        run=replace(run, training=resolved, model=_asked_shape(run.model, model, dropout)),
        model=model,
        steps=steps,
        passes=passes,
        seconds=tokens / speed,
        reasons=tuple(filter(None, reasons)),
    )


def _ramp_reasons(training: TrainingConfig, num_ranks: int) -> Iterator[str]:
    """That the batch grows, if it does."""
    if ramp := parse_batch_ramp(training.batch_ramp):
        if ramp[0] % num_ranks:
            raise ConfigError(
                f"--batch-ramp begins with {ramp[0]} sequences, which are no even shares of "
                f"{num_ranks} ranks",
                field="batch_ramp",
                hint="--batch-ramp of multiples of that number",
            )
        yield f"the batch grows from {ramp[0]} sequences to {ramp[1]} in {ramp[2]} steps"


def _fill_loop(
    training: TrainingConfig,
    machine: Machine,
    model: ModelConfig,
    sequences: int,
    steps: int,
    step_seconds: float,
) -> TrainingConfig:
    step_tokens = sequences * model.max_position_embeddings
    return replace(
        training,
        batch_tokens=step_tokens,
        micro_batch=choose_micro_batch(training, machine, model, sequences // machine.num_ranks),
        grad_accum=None,
        eval_tokens=training.eval_tokens
        or round(min(1 << 18, max(1 << 14, steps * step_tokens / 80))),
        save_every=training.save_every or training.eval_every,
        log_every=training.log_every or _twice_a_second(step_seconds, steps),
    )


def _twice_a_second(step_seconds: float, steps: int) -> int:
    """Steps between reports; small models are slower than the estimate and get more reports."""
    return max(1, min(round(0.5 / max(1e-6, step_seconds)), steps // 50))


def _asked_shape(shape: ModelShape, model: ModelConfig, dropout: float) -> ModelShape:
    """The shape with every number filled in."""
    return replace(
        shape,
        num_hidden_layers=model.num_hidden_layers,
        hidden_size=model.hidden_size,
        num_attention_heads=model.num_attention_heads,
        num_key_value_heads=model.num_key_value_heads,
        context_tokens=model.max_position_embeddings,
        qk_norm=model.qk_norm,
        dropout=dropout,
    )
