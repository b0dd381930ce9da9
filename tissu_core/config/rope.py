"""How rotary frequencies are stretched for texts longer than those of the first training."""

import math
import sys
from dataclasses import dataclass

from tissu_core.errors import ConfigError

ROPE_TYPES = ("linear", "llama3", "yarn", "longrope")


@dataclass(frozen=True, slots=True, kw_only=True)
class RopeScaling:
    """One stretching, by Hugging Face's names; each type reads some of the fields.

    Raises:
        ConfigError: If a number is none that can be computed with.
    """

    rope_type: str
    factor: float
    """How many times longer texts may become."""
    original_max_position_embeddings: int | None = None
    """The longest text of the first training; linear does without."""
    low_freq_factor: float = 1.0
    high_freq_factor: float = 4.0
    beta_fast: float = 32.0
    beta_slow: float = 1.0
    truncate: bool = True
    short_factor: tuple[float, ...] = ()
    """By how much each frequency is divided up to the original length; of longrope."""
    long_factor: tuple[float, ...] = ()
    """And beyond it."""
    attention_factor: float | None = None
    """What cosines and sines are multiplied by; None is what the type's paper says."""

    def __post_init__(self) -> None:
        if self.rope_type not in ROPE_TYPES:
            raise _wrong("rope_type", self.rope_type, f"one of: {', '.join(ROPE_TYPES)}")
        for name in ("factor", "low_freq_factor", "high_freq_factor", "beta_fast", "beta_slow"):
            if not is_positive(getattr(self, name)):
                raise _wrong(name, getattr(self, name), "a number above 0")
        for name in ("short_factor", "long_factor"):
            if not all(map(is_positive, getattr(self, name))):
                raise _wrong(name, getattr(self, name), "numbers above 0")
        original = self.original_max_position_embeddings
        if self.rope_type != "linear" and (type(original) is not int or original < 2):
            raise _wrong("original_max_position_embeddings", original, "a whole number from 2")
        if self.attention_factor is not None and not is_positive(self.attention_factor):
            raise _wrong("attention_factor", self.attention_factor, "a number above 0")
        if self.low_freq_factor >= self.high_freq_factor:
            raise _wrong("low_freq_factor", self.low_freq_factor, "one below high_freq_factor")

    def llama3_factors(self, theta: float, rotary_dim: int) -> list[float]:
        """By how much llama3 divides each of the R/2 frequencies.

        Source: Grattafiori et al. 2024, arXiv:2407.21783, as in the released code.
        """
        low, high = self.low_freq_factor, self.high_freq_factor
        factors = []
        for channel in range(0, rotary_dim, 2):
            original = self.original_max_position_embeddings or 0
            turns = original * theta ** -(channel / rotary_dim) / (2 * math.pi)
            kept = min(1.0, max(0.0, (turns - low) / (high - low)))
            factors.append(1 / (kept + (1 - kept) / self.factor))
        return factors

    @property
    def attention_scale(self) -> float:
        """What cosines and sines are multiplied by.

        Sources: Peng et al. 2023, arXiv:2309.00071, equation 22; Ding et al. 2024,
        arXiv:2402.13753, section 3.
        """
        if self.attention_factor is not None:
            return self.attention_factor
        if self.rope_type == "yarn":
            return 0.1 * math.log(max(1.0, self.factor)) + 1.0
        if self.rope_type == "longrope" and self.original_max_position_embeddings:
            longer = math.log(max(1.0, self.factor))
            return math.sqrt(1.0 + longer / math.log(self.original_max_position_embeddings))
        return 1.0

    def is_long(self, length: int) -> bool:
        """Whether a text of this length is rotated otherwise than a short one, from its start."""
        original = self.original_max_position_embeddings or 0
        return self.rope_type == "longrope" and length > original


def is_positive(value: object) -> bool:
    """Whether a value of a foreign file is a finite number above 0."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return 0 < value <= sys.float_info.max


def _wrong(name: str, value: object, wanted: str) -> ConfigError:
    return ConfigError(f"rope scaling has {name} {value!r}", field=name, hint=f"use {wanted}")
