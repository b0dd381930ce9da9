"""Ways to compute single operations, timed for the shapes of one model."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils.benchmark import Timer

from tissu_core.config.model import ModelConfig
from tissu_core.events.operations import OperationTimed
from tissu_core.layers.eager_attention import eager_attention
from tissu_core.layers.lookup import LookUp
from tissu_core.layers.masks import attention_mask
from tissu_core.layers.norms import build_norm
from tissu_core.layers.rope import apply_rope, rope_tables

TOKENS = 256
"""Read at once."""
_SECONDS = 0.2
"""Of measuring each way."""
_PADDED = 64


@dataclass(frozen=True, slots=True)
class Way:
    """One way to compute an operation; the first of an operation is what the others should give."""

    name: str
    compute: Callable[[], Tensor]
    is_used: bool = False
    """Whether tissu computes so."""


def operations() -> tuple[str, ...]:
    """Names of all that can be timed."""
    return tuple(_MAKERS)


@torch.inference_mode()
def iter_timed(
    config: ModelConfig, wanted: Sequence[str], lut_size: int, device: torch.device
) -> Iterator[OperationTimed]:
    """Each way of the wanted operations, on random numbers in fp32."""
    threads = torch.get_num_threads()
    for operation in wanted:
        generator = torch.Generator(device).manual_seed(0)
        draw = partial(torch.randn, generator=generator, device=device)
        shape, ways = _MAKERS[operation](config, draw, lut_size)
        expected = ways[0].compute()
        for way in ways:
            error = float((way.compute().float() - expected).abs().max())
            # Left to itself, it times one thread.
            timer = Timer("compute()", globals={"compute": way.compute}, num_threads=threads)
            measured = timer.blocked_autorange(min_run_time=_SECONDS)
            yield OperationTimed(
                operation=operation,
                shape=shape,
                way=way.name,
                is_used=way.is_used,
                median_seconds=measured.median,
                iqr_seconds=measured.iqr,
                largest_error=error,
            )


Made = tuple[str, list[Way]]
Draw = Callable[..., Tensor]


def _gelu(config: ModelConfig, draw: Draw, lut_size: int) -> Made:
    x = 3 * draw(TOKENS, config.intermediate_size)
    ways = [
        Way("erf", lambda: F.gelu(x), config.feed_forward == "gelu"),
        Way(
            "tanh",
            lambda: F.gelu(x, approximate="tanh"),
            config.feed_forward in ("gelu_tanh", "geglu_tanh"),
        ),
        Way("x sigmoid(1.702 x)", lambda: x * torch.sigmoid(1.702 * x)),
    ]
    return _shape(x), ways + _tables(F.gelu, x, lut_size)


def _silu(config: ModelConfig, draw: Draw, lut_size: int) -> Made:
    x = 3 * draw(TOKENS, config.intermediate_size)
    ways = [
        Way("F.silu", lambda: F.silu(x), config.feed_forward == "swiglu"),
        Way("x sigmoid(x)", lambda: x * torch.sigmoid(x)),
    ]
    return _shape(x), ways + _tables(F.silu, x, lut_size)


def _tables(function: Callable[[Tensor], Tensor], x: Tensor, size: int) -> list[Way]:
    """Twice the points for a quarter of the error."""
    return [
        Way(f"table of {each:,}", partial(LookUp(function, each, x.device), x))
        for each in (size, 2 * size)
    ]


def _norm(config: ModelConfig, draw: Draw, lut_size: int) -> Made:
    x, eps = draw(TOKENS, config.hidden_size), config.norm_eps
    norm = build_norm(config.norm, config.hidden_size, eps, bias=False).to(x.device)
    is_centred = config.norm == "layernorm"
    library = F.layer_norm if is_centred else F.rms_norm

    def written() -> Tensor:
        centred = x - x.mean(-1, keepdim=True) if is_centred else x
        return centred * (centred.square().mean(-1, keepdim=True) + eps).rsqrt()

    ways = [
        Way("the library's", lambda: library(x, x.shape[-1:], eps=eps)),
        Way("tissu's module", lambda: norm(x), is_used=True),
    ]
    return _shape(x), [*ways, Way("written out", written)]


def _rope(config: ModelConfig, draw: Draw, lut_size: int) -> Made:
    size = config.rotary_dim
    x = draw(1, TOKENS, config.num_attention_heads, config.head_dim)[..., :size].contiguous()
    cos, sin = rope_tables(TOKENS, size, config.rope_theta, x.device)
    turns = torch.complex(cos, sin)[:, None]

    def by_complex() -> Tensor:
        pairs = torch.complex(*(half.contiguous() for half in x.chunk(2, -1)))
        return torch.view_as_real(pairs * turns).transpose(-1, -2).flatten(-2)

    return _shape(x), [
        Way("halves", lambda: apply_rope(x, cos, sin), is_used=True),
        Way("complex numbers", by_complex),
        Way("tables made anew", lambda: apply_rope(x, *_tables_anew(config, x))),
    ]


def _tables_anew(config: ModelConfig, x: Tensor) -> tuple[Tensor, Tensor]:
    return rope_tables(x.shape[1], x.shape[-1], config.rope_theta, x.device)


def _attention(config: ModelConfig, draw: Draw, lut_size: int) -> Made:
    heads, kv_heads = config.num_attention_heads, config.num_key_value_heads
    queries = draw(1, heads, TOKENS, config.head_dim)
    keys, values = (draw(1, kv_heads, TOKENS, config.head_dim) for _ in range(2))
    mask = attention_mask(TOKENS, TOKENS, None, (), queries.device)
    attend = partial(F.scaled_dot_product_attention, queries)

    def repeated() -> Tensor:
        groups = heads // kv_heads
        own = [x.repeat_interleave(groups, dim=1) for x in (keys, values)]
        return attend(own[0], own[1], is_causal=True)

    return _shape(queries), [
        Way("fused", lambda: attend(keys, values, is_causal=True, enable_gqa=True), is_used=True),
        Way("fused, heads repeated", repeated),
        Way("fused, masked", lambda: attend(keys, values, attn_mask=mask, enable_gqa=True)),
        Way("written out", lambda: eager_attention(queries, keys, values, mask, None, 0.0)),
    ]


def _matmul(config: ModelConfig, draw: Draw, lut_size: int) -> Made:
    width, kv = config.hidden_size, config.num_key_value_heads * config.head_dim
    x = draw(TOKENS, width)
    parts = [draw(rows, width) / width**0.5 for rows in (width, kv, kv)]
    whole = torch.cat(parts)
    turned = whole.t().contiguous()
    narrow, weights = x.bfloat16(), whole.bfloat16()
    return f"{TOKENS} x {width}, qkv of {len(whole)}", [
        Way("one by one", lambda: torch.cat([x @ part.t() for part in parts], 1), is_used=True),
        Way("fused, as to decode", lambda: x @ whole.t(), is_used=True),
        Way("fused, stored turned", lambda: x @ turned),
        Way("fused, bf16", lambda: narrow @ weights.t()),
    ]


def _head(config: ModelConfig, draw: Draw, lut_size: int) -> Made:
    vocab, width = config.vocab_size, config.hidden_size
    x, weight = draw(1, width), draw(vocab, width)
    padded = F.pad(weight, (0, 0, 0, -vocab % _PADDED))
    return f"1 x {width}, vocabulary of {vocab:,}", [
        Way("as it is", lambda: x @ weight.t(), is_used=True),
        Way(f"padded to {len(padded):,}", lambda: (x @ padded.t())[:, :vocab]),
        Way("matrix times vector", lambda: (weight @ x[0])[None]),
    ]


def _softmax(config: ModelConfig, draw: Draw, lut_size: int) -> Made:
    x = draw(16, config.vocab_size)

    def written() -> Tensor:
        powers = (x - x.amax(-1, keepdim=True)).exp()
        return powers / powers.sum(-1, keepdim=True)

    return _shape(x), [
        Way("the library's", lambda: x.softmax(-1), is_used=True),
        Way("written out", written),
        Way("of log-softmax", lambda: x.log_softmax(-1).exp()),
    ]


def _shape(x: Tensor) -> str:
    return " x ".join(map(str, x.shape))


_MAKERS: dict[str, Callable[[ModelConfig, Draw, int], Made]] = {
    "gelu": _gelu,
    "silu": _silu,
    "norm": _norm,
    "rope": _rope,
    "attention": _attention,
    "matmul": _matmul,
    "head": _head,
    "softmax": _softmax,
}
