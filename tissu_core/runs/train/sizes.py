"""How large, how long, how many at once: the rules that were measured (docs/recipes.md)."""

import math
from dataclasses import dataclass

from tissu_core.config.model import ModelConfig
from tissu_core.config.runs import TrainRun
from tissu_core.config.shape import HEAD_DIM, ModelShape, asked_size, resolve_shape
from tissu_core.config.training import TrainingConfig, parse_batch_ramp
from tissu_core.errors import ConfigError, InputError
from tissu_core.models.count import num_parameters, train_bytes, train_flops_per_token

MEMORISING_PASSES = 4.0
"""Text seen up to four times teaches nearly as much as new text; Muennighoff et al. 2023,
arXiv:2305.16264, figure 1."""
_LEAST_DROPOUT_PASSES, _DROPOUT = 2.5, 0.1
"""Held-out text is read 1 % better with dropout after 3.7 passes (docs/recipes.md)."""
_AS_GOOD_AS_NEW = 1.5
"""So many passes count for the size of a step."""
_LARGEST_DEFAULT_PASSES = 8.0
_LARGEST_TUNING_PASSES = 3.0
_DEFAULT_SECONDS = {"cpu": 600.0, "mps": 900.0, "cuda": 1800.0}
_EFFICIENCY = {"cpu": 0.55, "mps": 0.35, "cuda": 0.35}
"""Share of a large matrix product's speed that a training step reaches."""
_DEPTHS = (1, 2, 3, 4, 5, 6, 8, 10, 12, 16, 20, 24, 32)
_PREPARATION_SECONDS = 8.0
_LEAST_CONTEXT = 8
"""What --context takes."""


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
    is_fp32: bool = False
    is_averaged: bool = False
    """Whether a mean of the weights is kept beside them."""

    def train_bytes(self, model: ModelConfig, sequences: int = 1) -> float:
        """Memory that a step of so many sequences at once is expected to take."""
        return train_bytes(
            model,
            sequences,
            self.recompute,
            is_fp32=self.is_fp32,
            is_averaged=self.is_averaged,
        )

    def speed(self, model: ModelConfig) -> float:
        """Tokens that a second of training is expected to take."""
        return self.flops * _EFFICIENCY[self.device] / train_flops_per_token(model)


def choose_budget(
    training: TrainingConfig, machine: Machine, speed: float, train_tokens: int, *, is_tuning: bool
) -> tuple[float, str]:
    """Tokens to train on, with the reason where they were not asked for."""
    if asked := asked_tokens(training, train_tokens):
        return asked, ""
    tokens = speed * _training_seconds(training, machine)
    if training.minutes is not None:
        return tokens, f"{training.minutes:g} minutes asked for"
    passes = _LARGEST_TUNING_PASSES if is_tuning else _LARGEST_DEFAULT_PASSES
    if tokens > passes * train_tokens:
        why = "as many passes over the text as still teach; --epochs changes it"
        return passes * train_tokens, why
    minutes = _DEFAULT_SECONDS[machine.device] / 60
    return tokens, f"about {minutes:g} minutes on this machine; --minutes or --steps changes it"


def asked_tokens(training: TrainingConfig, train_tokens: int) -> float | None:
    """Tokens to train on, where they were asked for; None when time decides."""
    if training.tokens is not None:
        return float(training.tokens)
    if training.epochs is not None:
        return training.epochs * train_tokens
    if training.steps is not None:
        return float(training.steps * (training.batch_tokens or 4096))
    return None


def _training_seconds(training: TrainingConfig, machine: Machine) -> float:
    if training.minutes is None:
        return _DEFAULT_SECONDS[machine.device]
    return max(1.0, training.minutes * 60 - min(_PREPARATION_SECONDS, training.minutes * 20))


def choose_context(shape: ModelShape, machine: Machine, train_tokens: int) -> int:
    """Tokens of a window: as asked for, or what the machine reads well and the text fills.

    Raises:
        InputError: If there is less text than one window.
    """
    if shape.context_tokens is not None:
        needed = shape.context_tokens + 1
        if train_tokens < needed:
            raise InputError(
                f"the training text has {train_tokens:,} tokens, and one context needs {needed:,}",
                hint=_less_or_more(train_tokens),
            )
        return shape.context_tokens
    context = 256 if machine.device == "cpu" else 1024
    while context > 32 and train_tokens < 32 * context:
        context //= 2
    if train_tokens < context + 1:
        raise InputError(
            f"the training text has {train_tokens:,} tokens, and one context needs {context + 1:,}",
            hint=_less_or_more(train_tokens),
        )
    return context


def _less_or_more(train_tokens: int) -> str:
    """The contexts that so little text fills, if there are any."""
    if train_tokens < _LEAST_CONTEXT + 1:
        return "name more text"
    return f"--context {max(_LEAST_CONTEXT, _power_below(train_tokens / 4))}, or more text"


def choose_model(
    run: TrainRun,
    machine: Machine,
    context: int,
    vocab_size: int,
    train_tokens: int,
) -> tuple[ModelConfig, str]:
    """The size asked for, or the largest whose budget gives each parameter enough tokens."""

    def shaped(layers: int, width: int) -> ModelConfig:
        return resolve_shape(
            run.model, layers=layers, width=width, context_tokens=context, vocab_size=vocab_size
        )

    budget = asked_tokens(run.training, train_tokens)
    asked = asked_size(run.model)
    if asked is not None:
        return shaped(*asked), f"{asked[0]} layers x {asked[1]} as asked for"
    fitting = [(depth, depth * HEAD_DIM) for depth in _DEPTHS if _heads_fit(run, depth)]
    chosen = shaped(*(fitting or [(_DEPTHS[0], HEAD_DIM)])[0])
    for size in fitting:
        model = shaped(*size)
        tokens = budget or machine.speed(model) * _training_seconds(run.training, machine)
        tokens = min(tokens, _LARGEST_DEFAULT_PASSES * train_tokens)
        if tokens < _tokens_per_parameter(tokens) * num_parameters(model):
            break
        if machine.train_bytes(model) > 0.8 * machine.free_bytes:
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


def choose_batch(training: TrainingConfig, context: int, budget: float, train_tokens: int) -> int:
    """Sequences of a step: more tokens in all allow larger steps, as D^0.4.

    The exponent is nanochat's fit (0.383 over 2^18 to 2^21); the anchor is ours: 2,048 tokens for
    300,000, the best of three on 2 cores. Text seen again asks for no larger ones: 4,096 tokens
    were better than 8,192 in 3.7 passes over 1.2 million (docs/recipes.md).
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
    new = min(budget, _AS_GOOD_AS_NEW * train_tokens)
    tokens = min(2048 * (new / 300_000) ** 0.4, 524_288, train_tokens / 16)
    return max(1, _power_below(tokens / context * math.sqrt(2)))


def choose_dropout(asked: float | None, passes: float, *, is_tuning: bool) -> tuple[float, str]:
    """The share asked for, or one that keeps a text seen several times from being memorised."""
    if asked is not None or is_tuning or passes < _LEAST_DROPOUT_PASSES:
        return asked or 0.0, ""
    return _DROPOUT, f"dropout {_DROPOUT:g}, for text seen {passes:.1f} times; --dropout changes it"


def _power_below(number: float) -> int:
    return 1 << max(0, int(math.log2(max(1.0, number))))
