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
def target_nll(model: Decoder, windows: Tensor) -> Tensor:
    """-log p of every target in windows, row after row, in nats and fp32.

    Tokens that are no targets, which a window has as their complement, are read and not scored.

    Shapes: windows (B, T+1); returns (N,), the targets among tokens 1..T of all rows.
    """
    is_target = windows[:, 1:] >= 0
    targets = windows[:, 1:][is_target]
    if not len(targets):
        return torch.empty(0, device=windows.device)
    hidden = model.model(read_ids(windows[:, :-1]))[is_target]
    return linear_nll(hidden, model.head_weight(), targets, model.config.final_logit_softcapping)


def sequence_nll(model: Decoder, windows: Tensor) -> Tensor:
    """What the targets of each window cost together, in nats, as fp64 on the CPU.

    Shapes: windows (B, T+1); returns (B,).
    """
    rows = (windows[:, 1:] >= 0).nonzero()[:, 0].cpu()
    nll = target_nll(model, windows).cpu().double()
    return torch.zeros(len(windows), dtype=torch.float64).index_add_(0, rows, nll)


@torch.inference_mode()
def score_windows(model: Decoder, windows: Tensor, token_bytes: Tensor) -> Score:
    """Score the targets of windows; control tokens are read, not scored.

    Shapes: windows (B, T+1); token_bytes (V,), bytes of each id's text, 0 for control tokens.
    """
    following = windows[:, 1:]
    nll = target_nll(model, windows)
    num_bytes = token_bytes[following[following >= 0]]
    is_text = num_bytes > 0
    return Score(
        float((nll * is_text).cpu().double().sum()), int(is_text.sum()), int(num_bytes.sum())
    )
