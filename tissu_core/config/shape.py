"""The shape of a model that a person asks for, and the architecture that comes of it."""

from dataclasses import dataclass

from tissu_core.config.fields import check, setting
from tissu_core.config.model import (
    FEED_FORWARDS,
    GATED,
    NORMS,
    POSITIONS,
    ModelConfig,
    largest_divisor,
)
from tissu_core.errors import ConfigError

HEAD_DIM = 64
PRESETS: dict[str, tuple[int, int]] = {  # name: (layers, width)
    "nano": (3, 192),
    "micro": (4, 256),
    "small": (6, 384),
    "base": (12, 768),
}
INIT_SCHEMES = (
    "identity",
    "gpt2",
    "xavier_uniform",
    "xavier_normal",
    "kaiming_uniform",
    "kaiming_normal",
)


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
    norm: str = setting(
        "rmsnorm", "normalisation", flag="--norm", choices=NORMS, panel="Architecture"
    )
    feed_forward: str = setting(
        "swiglu",
        "feed-forward block; relu2 is the square of relu",
        flag="--ffn",
        choices=FEED_FORWARDS,
        panel="Architecture",
    )
    position_embedding: str = setting(
        "rope",
        "how positions are told",
        flag="--pos",
        choices=POSITIONS,
        panel="Architecture",
    )
    sliding_window: int | None = setting(
        None,
        "each token attends to this many, itself included; the default is all before it",
        flag="--window",
        unit="tokens",
        minimum=1,
        panel="Architecture",
    )
    tie_word_embeddings: bool = setting(
        False,
        "embedding and head share one matrix",
        flag="--tie-embeddings",
        panel="Architecture",
    )
    qk_norm: bool | None = setting(
        None,
        "normalise queries and keys; the default does where other programs know it (Qwen3's shape)",
        flag="--qk-norm",
        panel="Architecture",
    )
    use_bias: bool = setting(
        False, "projections and layer norms have biases", flag="--bias", panel="Architecture"
    )
    init: str = setting(
        "identity",
        "first weights; identity lets every block begin as one",
        flag="--init",
        choices=INIT_SCHEMES,
        panel="Architecture",
    )
    dropout: float | None = setting(
        None,
        "share of what layers add to the stream that is dropped while training; the default "
        "depends on how often the text is seen",
        flag="--dropout",
        minimum=0,
        maximum=0.9,
        panel="Model",
    )
    attention_dropout: float = setting(
        0.0,
        "share of attention that is dropped while training; on a CPU its fastest way knows none",
        flag="--attn-dropout",
        minimum=0,
        maximum=0.9,
        panel="Model",
    )

    def __post_init__(self) -> None:
        check(self)


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
            hint=f"--heads {largest_divisor(width, heads)} --width {width}",
        )
    if shape.position_embedding == "rope" and (width // heads) % 2:
        raise ConfigError(
            f"width {width} over {heads} heads gives {width // heads} channels a head; rotary "
            "positions need an even number",
            field="num_attention_heads",
            hint=f"--width {width + heads}",
        )
    return ModelConfig(
        vocab_size=vocab_size,
        hidden_size=width,
        intermediate_size=_feed_forward_width(width, shape.feed_forward),
        num_hidden_layers=layers,
        num_attention_heads=heads,
        num_key_value_heads=shape.num_key_value_heads or heads,
        head_dim=width // heads,
        max_position_embeddings=shape.context_tokens or context_tokens,
        norm=shape.norm,
        norm_eps=1e-6 if shape.norm == "rmsnorm" else 1e-5,
        feed_forward=shape.feed_forward,
        position_embedding=shape.position_embedding,
        sliding_window=shape.sliding_window,
        tie_word_embeddings=shape.tie_word_embeddings,
        qk_norm=_is_qwen3(shape) if shape.qk_norm is None else shape.qk_norm,
        use_bias=shape.use_bias,
    )


def _is_qwen3(shape: ModelShape) -> bool:
    """Whether a shape with QK-norm is one that other programs know."""
    words = (shape.norm, shape.feed_forward, shape.position_embedding)
    return words == ("rmsnorm", "swiglu", "rope") and not shape.use_bias


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


def _feed_forward_width(width: int, kind: str) -> int:
    """4 times the width; with a gate 8/3 in multiples of 64: three matrices then cost what two do.

    Source: Shazeer 2020, arXiv:2002.05202, section 2.
    """
    if kind not in GATED:
        return 4 * width
    step = 64 if width >= 128 else 8
    return max(step, round(width * 8 / 3 / step) * step)
