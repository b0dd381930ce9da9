"""The layers whose gradients are checked: every one that a configuration can ask for, tiny.

Names of norms, feed-forwards and positions come from the configuration, so that a new one is
checked as soon as it can be built.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeAlias

import torch
from torch import Tensor, nn

from tissu_core.config.model import FEED_FORWARDS, GATED, NORMS, POSITIONS, ModelConfig
from tissu_core.config.rope import RopeScaling
from tissu_core.layers.attention import Attention
from tissu_core.layers.cpu_attention import BLOCK, blocked_causal_attention
from tissu_core.layers.feed_forward import build_feed_forward
from tissu_core.layers.int8 import Int8Linear
from tissu_core.layers.moe import MixtureOfExperts
from tissu_core.layers.norms import build_norm
from tissu_core.layers.positions import alibi_slopes
from tissu_core.layers.rope import rope_tables
from tissu_core.models.decoder import Decoder
from tissu_core.models.loss import linear_nll_sum

Built: TypeAlias = tuple[Callable[[], Tensor], Mapping[str, Tensor], Mapping[str, Tensor]]
"""What computes, its parameters and its inputs; all tensors in fp64."""
_CPU = torch.device("cpu")
_ROWS, _TIME, _WIDTH, _VOCABULARY = 2, 6, 8, 11
_SOME = 16
"""Numbers of each tensor that are moved in a whole decoder, whose parts are checked by themselves.
"""
_CHUNKS = (66, 1 << 14)
"""Rows and vocabulary: of so many words a chunk of the loss has 64 rows, so these are two."""


@dataclass(frozen=True, slots=True)
class Case:
    """One layer in one of its ways."""

    name: str
    build: Callable[[], Built]
    most_numbers: int = 64
    """Numbers that are moved of each tensor."""
    step: float = 1e-4
    """By how much; a sum of many parts is rounded more coarsely, and needs a larger one."""


def _config(**changes: Any) -> ModelConfig:
    shape: dict[str, Any] = {
        "vocab_size": _VOCABULARY,
        "hidden_size": _WIDTH,
        "intermediate_size": 6,
        "num_hidden_layers": 1,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "head_dim": 4,
        "max_position_embeddings": 8,
    }
    return ModelConfig(**(shape | changes))


def _random(*shape: int) -> Tensor:
    return torch.randn(*shape, dtype=torch.float64, requires_grad=True)


def _filled(module: nn.Module) -> nn.Module:
    """The module in fp64, every number of it drawn: fresh biases are 0, and norms 1."""
    module = module.double().train()
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.normal_(std=0.5)
            if parameter.ndim == 1:
                parameter.add_(1.0)
    return module


def _layer(make: Callable[[], nn.Module], *, size: int = _WIDTH) -> Built:
    module, x = _filled(make()), _random(_ROWS, _TIME, size)
    return partial(module, x), dict(module.named_parameters()), {"input": x}


def _attention(way: str = "auto", *, documents: bool = False, **changes: Any) -> Built:
    config = _config(**changes)
    module, x = Attention(config, 0), _random(_ROWS, _TIME, _WIDTH)
    _filled(module)
    module.implementation = way
    rope = rope_tables(
        _TIME, config.rotary_dim, config.rope_theta, _CPU, config.rope_scaling, is_long=True
    )
    numbers = torch.tensor([[0, 0, 0, 1, 1, 2], [0, 1, 1, 1, 1, 1]])

    def compute() -> Tensor:
        shown = module.show_documents(numbers) if documents else None
        out: Tensor = module(x, rope, shown=shown)
        return out

    return compute, dict(module.named_parameters()), {"input": x}


def _blocks(window: int | None, *, has_slopes: bool) -> Built:
    q, k, v = (_random(1, 2, BLOCK + 2, 2) for _ in range(3))
    slopes = tuple(alibi_slopes(2).tolist()) if has_slopes else ()
    compute = partial(blocked_causal_attention, q, k, v, window, slopes)
    return compute, {}, {"queries": q, "keys": k, "values": v}


def _decoder(recompute: str = "none", *, documents: bool = False, **changes: Any) -> Built:
    model = Decoder(_config(**changes))
    _filled(model)
    if documents:
        model.model.document_start = 0
    model.set_recompute(recompute)
    ids = torch.randint(_VOCABULARY, (_ROWS, _TIME + 1))

    def compute() -> Tensor:
        hidden = model.model(ids[:, :-1]).flatten(0, 1)
        cap = model.config.final_logit_softcapping
        return linear_nll_sum(hidden, model.lm_head.weight, ids[:, 1:].flatten(), softcap=cap)

    return compute, dict(model.named_parameters()), {}


def _loss(options: dict[str, float], rows: int = 12, vocabulary: int = _VOCABULARY) -> Built:
    hidden, weight = _random(rows, 3), _random(vocabulary, 3)
    targets = torch.randint(vocabulary, (rows,))
    compute = partial(linear_nll_sum, hidden, weight, targets, **options)
    return compute, {"weight": weight}, {"input": hidden}


def _int8() -> Built:
    module = Int8Linear(_WIDTH, 5, bias=True)
    module.weight.copy_(torch.randint(-127, 128, (5, _WIDTH)))
    module.weight_scale.uniform_(0.001, 0.01)
    return _layer(lambda: module)


def _scaled_rope(kind: str) -> Built:
    short, long = ((1.5, 3.0), (2.0, 4.0)) if kind == "longrope" else ((), ())
    scaling = RopeScaling(
        rope_type=kind,
        factor=2.0,
        original_max_position_embeddings=4,
        short_factor=short,
        long_factor=long,
    )
    return _attention(rope_scaling=scaling)


_ATTENTION: dict[str, dict[str, Any]] = {
    "mha": {"num_key_value_heads": 4, "qk_norm": False},
    "gqa": {"qk_norm": False},
    "mqa": {"num_key_value_heads": 1, "qk_norm": False},
    "qk_norm": {},
    "qk_layernorm": {"norm": "layernorm", "use_bias": True},
    "window": {"sliding_window": 3},
    "soft_cap": {"attn_logit_softcapping": 2.0},
    "soft_cap_window": {"attn_logit_softcapping": 2.0, "sliding_window": 3},
    "query_scale": {"query_pre_attn_scalar": 5.0},
    "bias": {"projection_bias": ("qkv", "o")},
    "alibi": {"position_embedding": "alibi"},
    "alibi_window": {"position_embedding": "alibi", "sliding_window": 3},
    "eager": {"way": "eager"},
    "documents": {"documents": True},
    "documents_alibi": {"documents": True, "position_embedding": "alibi"},
}
_LOSSES: dict[str, dict[str, float]] = {
    "cross_entropy": {},
    "label_smoothing": {"label_smoothing": 0.1},
    "z_loss": {"z_loss": 0.01},
    "soft_cap": {"softcap": 2.0},
    "all": {"label_smoothing": 0.1, "z_loss": 0.01, "softcap": 2.0},
}
_DECODERS: dict[str, dict[str, Any]] = {
    "untied": {},
    "tied": {"tie_word_embeddings": True},
    "local_rope": {
        "num_hidden_layers": 2,
        "sliding_window": 3,
        "sliding_layers": (0,),
        "rope_local_base_freq": 100.0,
    },
    "post_norms": {
        "has_post_norms": True,
        "embedding_multiplier": 2.0,
        "final_logit_softcapping": 3.0,
        "feed_forward": "geglu_tanh",
    },
    "experts": {"num_local_experts": 3, "num_experts_per_tok": 2},
    "documents": {"documents": True},
    "recomputed_block": {"recompute": "block"},
    "recomputed_ffn": {"recompute": "ffn"},
}
_ROPES = ("linear", "llama3", "yarn", "longrope")


def _norm(kind: str, *, bias: bool) -> nn.Module:
    return build_norm(kind, _WIDTH, 1e-6, bias=bias)


def _feed_forward(kind: str, *, bias: bool) -> nn.Module:
    return build_feed_forward(kind, _WIDTH, 6, bias=bias)


def _experts(kind: str) -> nn.Module:
    return MixtureOfExperts(_config(num_local_experts=3, num_experts_per_tok=2, feed_forward=kind))


CASES: tuple[Case, ...] = (
    *(Case(f"attention.{name}", partial(_attention, **ways)) for name, ways in _ATTENTION.items()),
    *(
        Case(f"attention.blocks{name}", partial(_blocks, window, has_slopes=has_slopes), 32)
        for name, window, has_slopes in (("", None, False), ("_window_alibi", 5, True))
    ),
    *(
        Case(f"position.{name}", partial(_decoder, position_embedding=name), _SOME)
        for name in POSITIONS
    ),
    *(Case(f"position.rope_{kind}", partial(_scaled_rope, kind)) for kind in _ROPES),
    Case(
        "position.rope_partial",
        partial(_attention, partial_rotary_factor=0.5),
    ),
    *(
        Case(f"norm.{kind}{suffix}", partial(_layer, partial(_norm, kind, bias=bias)))
        for kind in NORMS
        for suffix, bias in (("", False), ("_bias", True))
        if kind == "layernorm" or not bias
    ),
    *(
        Case(
            f"feed_forward.{kind}{suffix}", partial(_layer, partial(_feed_forward, kind, bias=bias))
        )
        for kind in FEED_FORWARDS
        for suffix, bias in (("", False), ("_bias", True))
    ),
    *(
        Case(f"experts.{kind}", partial(_layer, partial(_experts, kind)))
        for kind in (*GATED, "relu2")
    ),
    *(Case(f"loss.{name}", partial(_loss, ways)) for name, ways in _LOSSES.items()),
    Case("loss.chunks", partial(_loss, _LOSSES["all"], *_CHUNKS), 6, 2e-3),
    Case("linear.int8", _int8),
    *(
        Case(f"decoder.{name}", partial(_decoder, **ways), _SOME)
        for name, ways in _DECODERS.items()
    ),
)
