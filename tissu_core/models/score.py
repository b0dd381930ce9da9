"""How well a model predicts text: token-weighted, and per byte so that tokenizers compare."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from tissu_core.models.decoder import Decoder
from tissu_core.models.loss import linear_nll
from tissu_core.models.targets import read_ids


@dataclass(frozen=True, slots=True)
class Score:
    """Sums over the tokens of some text; scores of parts add up to the score of the whole."""

    nll: float = 0.0
    num_tokens: int = 0
    num_bytes: int = 0

    def __add__(self, other: "Score") -> "Score":
        return Score(
            self.nll + other.nll,
            self.num_tokens + other.num_tokens,
            self.num_bytes + other.num_bytes,
        )

    @property
    def loss(self) -> float:
        """Nats per token."""
        return self.nll / max(1, self.num_tokens)

    @property
    def perplexity(self) -> float:
        """exp(total NLL / total tokens), not a mean over batches."""
        return math.exp(min(self.loss, 700.0))

    @property
    def bits_per_byte(self) -> float:
        """NLL over ln 2 times the UTF-8 bytes."""
        return self.nll / math.log(2) / max(1, self.num_bytes)


@torch.inference_mode()
def score_windows(model: Decoder, windows: Tensor, token_bytes: Tensor, first: int = 0) -> Score:
    """Score tokens ``first`` + 1 and later of each window; control tokens are read, not scored.

    Nor are tokens that are no targets, which a window has as their complement.

    Shapes: windows (B, T+1); token_bytes (V,), bytes of each id's text, 0 for control tokens.
    """
    if windows.shape[1] < 2 + first:
        return Score()
    nll, targets, is_target = _nll(model, windows, first)
    num_bytes = token_bytes[targets] * is_target
    is_text = num_bytes > 0
    return Score(
        float((nll * is_text).cpu().double().sum()), int(is_text.sum()), int(num_bytes.sum())
    )


@torch.inference_mode()
def sequence_nll(model: Decoder, windows: Tensor) -> Tensor:
    """What the targets of each window cost together, in nats, as fp64 on the CPU.

    Shapes: windows (B, T+1); returns (B,).
    """
    nll, _, is_target = _nll(model, windows, 0)
    return (nll * is_target).reshape(len(windows), -1).cpu().double().sum(1)


def _nll(model: Decoder, windows: Tensor, first: int) -> tuple[Tensor, Tensor, Tensor]:
    """NLL, id, and whether it is a target, of every token from ``first`` + 1 on: (B * T,)."""
    is_target = windows[:, 1 + first :].reshape(-1) >= 0
    windows = read_ids(windows)
    hidden = model.model(windows[:, :-1])[:, first:]
    targets = windows[:, 1 + first :].reshape(-1)
    softcap = model.config.final_logit_softcapping
    nll = linear_nll(hidden.flatten(0, 1), model.head_weight(), targets, softcap)
    return nll, targets, is_target
