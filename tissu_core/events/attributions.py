"""What part of a prompt an answer came from."""

from dataclasses import dataclass
from typing import TypeAlias

from tissu_core.events.shared import Noticed, StageAdvanced


@dataclass(frozen=True, slots=True, kw_only=True)
class PartAttributed:
    """A word or a token of a prompt. Units: nats of the target's log-probability."""

    text: str
    first_token: int
    """Its place in the prompt, from 0."""
    num_tokens: int
    value: float
    """What it adds: above 0 it speaks for the target, below 0 against it."""
    error: float
    """Standard error of the value; 0 where nothing is left to chance."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PromptExplained:
    """What each part of a prompt adds to log p(target | prompt). Units: nats."""

    model: str
    method: str
    """shap, lime or ig."""
    by: str
    """word or token."""
    prompt: str
    target: str
    target_tokens: tuple[str, ...]
    """All of them are to come, in this order."""
    is_own_target: bool
    """Whether none was asked for, and this is the model's own likeliest next token."""
    likeliest: str
    """The model's own next token."""
    likeliest_log_prob: float
    log_prob: float
    """log p(target | prompt): f(x)."""
    neutral: str
    """The token that stands where a part is away; nothing of the mean of all embeddings."""
    neutral_log_prob: float
    """log p(target | prompt with every part away): f(baseline)."""
    parts: tuple[PartAttributed, ...]
    """In the prompt's order."""
    sum_of_values: float
    gap: float
    """What the sum is off ``log_prob - neutral_log_prob``, as a share of that."""
    readings: int
    """How often the model read the prompt, or a changed one."""
    is_exact: bool
    """Whether every set of parts was read."""
    fit: float | None
    """Of lime, the share of the variance that its line explains (R squared); else None."""


ExplainEvent: TypeAlias = PromptExplained | StageAdvanced | Noticed
