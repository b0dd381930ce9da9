"""Sizes that fit this corpus, this machine and this budget; every choice with its reason.

The default budget is time: 10 minutes on a CPU, 30 on a GPU. Time and speed give tokens; tokens
give the size, the batch and how often the text is seen.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

from tissu_core.config.model import ModelConfig
from tissu_core.config.runs import TrainRun
from tissu_core.config.shape import HEAD_DIM, ModelShape, asked_size, resolve_shape
from tissu_core.config.training import TrainingConfig, parse_batch_ramp
from tissu_core.data.batch_sizes import batch_sizes
from tissu_core.errors import ConfigError, InputError
from tissu_core.models.count import num_parameters, train_bytes, train_flops_per_token
from tissu_core.models.fit import too_large
from tissu_core.runs.micro_batch import choose_micro_batch

MEMORISING_PASSES = 4.0
"""Text seen up to four times teaches nearly as much as new text; Muennighoff et al. 2023,
arXiv:2305.16264, figure 1."""
_LARGEST_DEFAULT_PASSES = 8.0
_LARGEST_TUNING_PASSES = 3.0
_DEFAULT_SECONDS = {"cpu": 600.0, "mps": 900.0, "cuda": 1800.0}
_EFFICIENCY = {"cpu": 0.55, "mps": 0.35, "cuda": 0.35}
"""Share of a large matrix product's speed that a training step reaches."""
_DEPTHS = (1, 2, 3, 4, 5, 6, 8, 10, 12, 16, 20, 24, 32)
_EVALUATIONS = 10
_TUNING_EVALUATIONS = 4
"""Each saves first, and a model that others trained is large beside the few steps it takes."""
_PREPARATION_SECONDS = 8.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """What the plan knows of the machine."""

    device: str
    flops: float
    """Of all that train together."""
    free_bytes: float
    num_ranks: int = 1
    """Processes, or groups of those that hold a model together, that share a step's rows."""
    num_stages: int = 1
    recompute: str = "none"
    """Whose activations are not kept: "block", "ffn", or those of "none"."""


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
    training = run.training
    reasons: list[str] = []
    context = _choose_context(run.model, machine, train_tokens, vocab_size)
    budget = _token_budget(training, train_tokens)
    if given is None:
        model, why = _choose_model(run, machine, context, vocab_size, train_tokens, budget)
    else:
        model = replace(given, max_position_embeddings=min(context, given.max_position_embeddings))
        context, why = model.max_position_embeddings, f"goes on from {run.tuning.origin}"
    if train_bytes(model, 1, machine.recompute) > machine.free_bytes:
        raise too_large(model, machine.free_bytes, machine.recompute)
    reasons.append(why)
    speed = machine.flops * _EFFICIENCY[machine.device] / train_flops_per_token(model)
    if budget is None:
        passes = _LARGEST_DEFAULT_PASSES if given is None else _LARGEST_TUNING_PASSES
        budget, why = _budget_from_time(training, machine, speed, passes * train_tokens)
        reasons.append(why)
    sequences = _choose_batch(training, context, budget, train_tokens)
    reasons.extend(_ramp_reasons(training, machine.num_ranks))
    if uneven := sequences % machine.num_ranks:
        sequences += machine.num_ranks - uneven
        reasons.append(f"{sequences} sequences a step are even shares of {machine.num_ranks} ranks")
    step_tokens = sequences * context
    sizes = batch_sizes(replace(training, batch_tokens=step_tokens), context)
    steps = training.steps or sizes.steps_for(budget / context)
    tokens = sizes.before(steps) * context
    passes = tokens / train_tokens
    num_evaluations = _EVALUATIONS if given is None else _TUNING_EVALUATIONS
    eval_every = training.eval_every or math.ceil(steps / num_evaluations)
    training = replace(training, eval_every=eval_every)
    resolved = _fill_loop(training, machine, model, sequences, steps, step_tokens / speed)
    if training.minutes is None:
        resolved = replace(resolved, steps=steps, tokens=None, epochs=None)
    return Plan(
        run=replace(run, training=resolved, model=_asked_shape(run.model, model)),
        model=model,
        steps=steps,
        passes=passes,
        seconds=tokens / speed,
        reasons=tuple(reasons),
    )


def _token_budget(training: TrainingConfig, train_tokens: int) -> float | None:
    """Tokens to train on, where they were asked for; None when time decides."""
    if training.tokens is not None:
        return float(training.tokens)
    if training.epochs is not None:
        return training.epochs * train_tokens
    if training.steps is not None:
        return float(training.steps * (training.batch_tokens or 4096))
    return None


def _budget_from_time(
    training: TrainingConfig, machine: Machine, speed: float, most_tokens: float
) -> tuple[float, str]:
    if training.minutes is not None:
        return speed * _training_seconds(
            training, machine
        ), f"{training.minutes:g} minutes asked for"
    tokens = speed * _training_seconds(training, machine)
    minutes = _DEFAULT_SECONDS[machine.device] / 60
    if tokens <= most_tokens:
        return tokens, f"about {minutes:g} minutes on this machine; --minutes or --steps changes it"
    return most_tokens, "as many passes over the text as still teach; --epochs changes it"


def _training_seconds(training: TrainingConfig, machine: Machine) -> float:
    if training.minutes is None:
        return _DEFAULT_SECONDS[machine.device]
    return max(1.0, training.minutes * 60 - min(_PREPARATION_SECONDS, training.minutes * 20))


def _choose_context(shape: ModelShape, machine: Machine, train_tokens: int, vocab_size: int) -> int:
    if shape.context_tokens is not None:
        needed = shape.context_tokens + 1
        if train_tokens < needed:
            raise InputError(
                f"the training text has {train_tokens:,} tokens, and one context needs {needed:,}",
                hint=f"--context {max(8, _power_below(train_tokens / 4))}, or more text",
            )
        return shape.context_tokens
    context = 256 if machine.device == "cpu" else 1024
    while context > 32 and train_tokens < 32 * context:
        context //= 2
    if train_tokens < context + 1:
        raise InputError(
            f"the training text has {train_tokens:,} tokens, and one context needs {context + 1:,}",
            hint="name more text, or --context 8",
        )
    return context


def _choose_model(
    run: TrainRun,
    machine: Machine,
    context: int,
    vocab_size: int,
    train_tokens: int,
    budget: float | None,
) -> tuple[ModelConfig, str]:
    """The size asked for, or the largest whose budget gives each parameter enough tokens."""

    def shaped(layers: int, width: int) -> ModelConfig:
        return resolve_shape(
            run.model, layers=layers, width=width, context_tokens=context, vocab_size=vocab_size
        )

    asked = asked_size(run.model)
    if asked is not None:
        return shaped(*asked), f"{asked[0]} layers x {asked[1]} as asked for"
    fitting = [(depth, depth * HEAD_DIM) for depth in _DEPTHS if _heads_fit(run, depth)]
    chosen = shaped(*(fitting or [(_DEPTHS[0], HEAD_DIM)])[0])
    for size in fitting:
        model = shaped(*size)
        speed = machine.flops * _EFFICIENCY[machine.device] / train_flops_per_token(model)
        tokens = budget or speed * _training_seconds(run.training, machine)
        tokens = min(tokens, _LARGEST_DEFAULT_PASSES * train_tokens)
        if tokens < _tokens_per_parameter(tokens) * num_parameters(model):
            break
        if train_bytes(model, 1, machine.recompute) > 0.8 * machine.free_bytes:
            break
        chosen = model
    return chosen, (
        f"{chosen.num_hidden_layers} layers x {chosen.hidden_size} is the largest that this text "
        "and time can teach; --depth changes it"
    )


def _heads_fit(run: TrainRun, depth: int) -> bool:
    """Whether the heads asked for divide this width, and --tp and --pp what they cut."""
    heads = run.model.num_attention_heads or depth
    is_odd = (run.model.num_key_value_heads or heads) % run.machine.tp or depth < run.machine.pp
    return not is_odd and depth * HEAD_DIM % (2 * heads) == 0


def _tokens_per_parameter(tokens: float) -> float:
    """How many tokens a parameter should see: 0.3 of a million, 3 of a hundred million, then 12.

    The small end was measured on 2 cores (docs/recipes.md); 12 is nanochat's default. Between them
    it grows with the square root of the tokens, as tokens and parameters should grow together
    (Hoffmann et al. 2022, arXiv:2203.15556).
    """
    return min(12.0, 0.3 * math.sqrt(tokens / 1e6))


def _choose_batch(training: TrainingConfig, context: int, budget: float, train_tokens: int) -> int:
    """Sequences of a step: more tokens in all allow larger steps, as D^0.4.

    The exponent is nanochat's fit (0.383 over 2^18 to 2^21); the anchor is ours: 2,048 tokens for
    300,000, the best of three on 2 cores (docs/recipes.md).
    """
    asked = training.batch_tokens and max(1, round(training.batch_tokens / context))
    if ramp := parse_batch_ramp(training.batch_ramp):
        if asked not in (None, ramp[1]):
            raise ConfigError(
                f"--batch-ramp ends with {ramp[1]} sequences of {context} tokens, and "
                f"--batch-tokens {training.batch_tokens} are {asked}",
                field="batch_ramp",
                hint=f"--batch-ramp {training.batch_ramp} without --batch-tokens",
            )
        return ramp[1]
    if asked is not None:
        return asked
    tokens = min(2048 * (budget / 300_000) ** 0.4, 524_288, train_tokens / 16)
    return max(1, _power_below(tokens / context * math.sqrt(2)))


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
        or round(min(1 << 18, max(1 << 14, steps * step_tokens / 40))),
        save_every=training.save_every or training.eval_every,
        log_every=training.log_every or _twice_a_second(step_seconds, steps),
    )


def _twice_a_second(step_seconds: float, steps: int) -> int:
    """Steps between reports; small models are slower than the estimate and get more reports."""
    return max(1, min(round(0.5 / max(1e-6, step_seconds)), steps // 50))


def _asked_shape(shape: ModelShape, model: ModelConfig) -> ModelShape:
    """The shape with every number filled in."""
    return replace(
        shape,
        num_hidden_layers=model.num_hidden_layers,
        hidden_size=model.hidden_size,
        num_attention_heads=model.num_attention_heads,
        num_key_value_heads=model.num_key_value_heads,
        context_tokens=model.max_position_embeddings,
        qk_norm=model.qk_norm,
    )


def _power_below(number: float) -> int:
    return 1 << max(0, int(math.log2(max(1.0, number))))
