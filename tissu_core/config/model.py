"""The shape of a model: what a person asks for, and the resolved architecture.

Field names of ``ModelConfig`` are those of Hugging Face's Qwen3 configuration, so that a saved
model is read by other programs without a map.
"""

from dataclasses import dataclass, fields

from tissu_core.config.fields import check, setting
from tissu_core.errors import ConfigError

HEAD_DIM = 64
PRESETS: dict[str, tuple[int, int]] = {  # name: (layers, width)
    "nano": (3, 192),
    "micro": (4, 256),
    "small": (6, 384),
    "base": (12, 768),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelShape:
    """The shape a person asks for; what is left out, tissu chooses for corpus and machine."""

    preset: str = setting(
        "auto",
        "size of the model; auto fits corpus, machine and budget",
        flag="--preset",
        choices=("auto", *PRESETS),
        panel="Model",
    )
    depth: int | None = setting(
        None,
        "one dial for the size: N layers, N x 64 wide",
        flag="--depth",
        minimum=1,
        maximum=128,
        panel="Model",
    )
    num_hidden_layers: int | None = setting(
        None, "transformer blocks", flag="--layers", minimum=1, maximum=512, panel="Model"
    )
    hidden_size: int | None = setting(
        None, "channels of the residual stream", flag="--width", minimum=2, panel="Model"
    )
    num_attention_heads: int | None = setting(
        None, "query heads; must divide --width", flag="--heads", minimum=1, panel="Model"
    )
    num_key_value_heads: int | None = setting(
        None,
        "key and value heads; must divide --heads",
        flag="--kv-heads",
        minimum=1,
        panel="Model",
    )
    context_tokens: int | None = setting(
        None,
        "the longest text the model reads at once",
        flag="--context",
        unit="tokens",
        minimum=8,
        maximum=1 << 20,
        panel="Model",
    )
    vocab_size: int | None = setting(
        None,
        "size of the vocabulary to learn",
        flag="--vocab-size",
        unit="tokens",
        minimum=272,
        maximum=1 << 20,
        panel="Model",
    )
    dropout: float = setting(
        0.0,
        "share of activations dropped while training",
        flag="--dropout",
        minimum=0,
        maximum=0.9,
        panel="Model",
    )

    def __post_init__(self) -> None:
        check(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelConfig:
    """A resolved Qwen3-shaped decoder: pre-RMSNorm, SwiGLU, RoPE, grouped queries, QK-norm."""

    vocab_size: int
    hidden_size: int
    intermediate_size: int
    num_hidden_layers: int
    num_attention_heads: int
    num_key_value_heads: int
    head_dim: int
    max_position_embeddings: int
    rope_theta: float = 10_000.0
    rms_norm_eps: float = 1e-6
    tie_word_embeddings: bool = False

    def __post_init__(self) -> None:
        for spec in fields(self)[:8]:  # the counts, which may come from a foreign file
            value = getattr(self, spec.name)
            if type(value) is not int or value < 1:
                raise ConfigError(
                    f"{spec.name} is {value!r}", field=spec.name, hint="use a whole number from 1"
                )
        if self.num_attention_heads % self.num_key_value_heads:
            raise ConfigError(
                f"--kv-heads is {self.num_key_value_heads}, which does not divide the "
                f"{self.num_attention_heads} heads",
                field="num_key_value_heads",
                hint="--kv-heads "
                f"{_largest_divisor(self.num_attention_heads, self.num_key_value_heads)}",
            )


def resolve_shape(
    shape: ModelShape, *, layers: int, width: int, context_tokens: int, vocab_size: int
) -> ModelConfig:
    """The architecture of a shape; the four numbers stand in for what the shape leaves open.

    Raises:
        ConfigError: If heads do not divide the width, or key/value heads the heads.
    """
    layers = shape.num_hidden_layers or layers
    width = shape.hidden_size or width
    heads = shape.num_attention_heads or max(1, width // HEAD_DIM)
    if width % heads:
        raise ConfigError(
            f"--heads is {heads}, which does not divide the width {width}",
            field="num_attention_heads",
            hint=f"--heads {_largest_divisor(width, heads)} --width {width}",
        )
    if (width // heads) % 2:
        raise ConfigError(
            f"width {width} over {heads} heads gives {width // heads} channels a head; rotary "
            "positions need an even number",
            field="num_attention_heads",
            hint=f"--width {width + heads}",
        )
    return ModelConfig(
        vocab_size=vocab_size,
        hidden_size=width,
        intermediate_size=_feed_forward_width(width),
        num_hidden_layers=layers,
        num_attention_heads=heads,
        num_key_value_heads=shape.num_key_value_heads or heads,
        head_dim=width // heads,
        max_position_embeddings=shape.context_tokens or context_tokens,
    )


def asked_size(shape: ModelShape) -> tuple[int, int] | None:
    """Layers and width by explicit shape, depth or preset, in that order; None leaves it open."""
    size = PRESETS.get(shape.preset)
    if shape.depth is not None:
        size = (shape.depth, shape.depth * HEAD_DIM)
    if shape.num_hidden_layers is None and shape.hidden_size is None:
        return size
    layers = shape.num_hidden_layers or (
        size[0] if size else max(1, (shape.hidden_size or 0) // 64)
    )
    return layers, shape.hidden_size or (size[1] if size else layers * HEAD_DIM)


def _feed_forward_width(width: int) -> int:
    """8/3 of the width, as SwiGLU's three matrices then cost what two of 4x do, in multiples of 64.

    Source: Shazeer 2020, arXiv:2002.05202, section 2.
    """
    step = 64 if width >= 128 else 8
    return max(step, round(width * 8 / 3 / step) * step)


def _largest_divisor(number: int, limit: int) -> int:
    return next(d for d in range(min(limit, number), 0, -1) if number % d == 0)
