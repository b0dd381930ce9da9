"""The resolved architecture of a model.

Field names are Hugging Face's where it has one, so that a saved model is read by other programs
almost without a map.
"""

from dataclasses import dataclass, fields

from tissu_core.config.rope import RopeScaling, is_positive
from tissu_core.errors import ConfigError

NORMS = ("rmsnorm", "layernorm")
GATED = ("swiglu", "geglu_tanh")
FEED_FORWARDS = (*GATED, "gelu", "gelu_tanh", "relu", "relu2")
POSITIONS = ("rope", "alibi", "learned", "sinusoidal")
BIASED = ("qkv", "o", "mlp")
_MOST_EXPERTS = _MOST_LAYERS = 1 << 10
_MOST = 1 << 24


def most_of(name: str) -> int:
    """The bound of a count: above any known model, below what a machine could not lay out."""
    return _MOST_LAYERS if name == "num_hidden_layers" else _MOST


@dataclass(frozen=True, slots=True)
class LayerKind:
    """What one layer may do otherwise than its neighbours."""

    window: int | None
    """Each token attends to this many, itself included; None is all before it."""
    has_rope: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelConfig:
    """A resolved decoder of pre-norm blocks; the defaults are Qwen3's."""

    vocab_size: int
    hidden_size: int
    intermediate_size: int
    num_hidden_layers: int
    num_attention_heads: int
    num_key_value_heads: int
    head_dim: int
    max_position_embeddings: int
    norm: str = "rmsnorm"
    norm_eps: float = 1e-6
    feed_forward: str = "swiglu"
    position_embedding: str = "rope"
    rope_theta: float = 10_000.0
    sliding_window: int | None = None
    tie_word_embeddings: bool = False
    qk_norm: bool = True
    use_bias: bool = False
    sliding_layers: tuple[int, ...] | None = None
    """Layers that have the window; None is all of them."""
    rope_layers: tuple[int, ...] | None = None
    """Layers that rotate queries and keys; None is all of them."""
    rope_scaling: RopeScaling | None = None
    partial_rotary_factor: float = 1.0
    """Share of a head's channels that is rotated."""
    projection_bias: tuple[str, ...] = ()
    """Projections that have biases even where ``use_bias`` gives them none."""
    has_post_norms: bool = False
    """Attention and feed-forward have norms behind them too."""
    attn_logit_softcapping: float | None = None
    """A tanh keeps the scores of attention within this."""
    final_logit_softcapping: float | None = None
    """A tanh keeps the logits of the vocabulary within this."""
    query_pre_attn_scalar: float | None = None
    """Scores of attention are divided by the root of this; None is ``head_dim``."""
    embedding_multiplier: float | None = None
    """What embeddings are multiplied by on the way in, not where the head is tied to them."""
    rope_local_base_freq: float | None = None
    """``rope_theta`` of the layers that have the window; None is the same one."""
    num_local_experts: int = 0
    """Feed-forwards of a layer, of which a token uses ``num_experts_per_tok``; 0 is the one."""
    num_experts_per_tok: int = 0

    def __post_init__(self) -> None:
        counts = [spec.name for spec in fields(self)[:8]]  # which may come from a foreign file
        counts += [] if self.sliding_window is None else ["sliding_window"]
        for name in counts:
            value, most = getattr(self, name), most_of(name)
            if type(value) is not int or not 1 <= value <= most:
                raise ConfigError(
                    f"{name} is {value!r}; allowed: 1..{most:,}",
                    field=name,
                    hint=f"use a whole number from 1 to {most:,}",
                )
        for name, known in _WORDS.items():
            if getattr(self, name) not in known:
                raise ConfigError(
                    f"{name} is {getattr(self, name)!r}",
                    field=name,
                    hint=f"use one of: {', '.join(known)}",
                )
        if self.num_attention_heads % self.num_key_value_heads:
            raise ConfigError(
                f"--kv-heads is {self.num_key_value_heads}, which does not divide the "
                f"{self.num_attention_heads} heads",
                field="num_key_value_heads",
                hint="--kv-heads "
                f"{largest_divisor(self.num_attention_heads, self.num_key_value_heads)}",
            )
        layers = range(self.num_hidden_layers)
        for name, parts in (
            ("sliding_layers", layers),
            ("rope_layers", layers),
            ("projection_bias", BIASED),
        ):
            unknown = {*(getattr(self, name) or ())} - {*parts}
            if unknown:
                raise ConfigError(
                    f"{name} names {min(unknown, key=repr)!r}",
                    field=name,
                    hint=f"name some of: {', '.join(map(str, parts))}",
                )
        for name in _POSITIVE:
            value = getattr(self, name)
            if not is_positive(value) and not (value is None and name in _OPTIONAL):
                raise ConfigError(f"{name} is {value!r}", field=name, hint="use a number above 0")
        self._check_experts()
        if self.position_embedding == "rope":
            self._check_rotation()

    def _check_rotation(self) -> None:
        if self.rotary_dim % 2 or not 0 < self.rotary_dim <= self.head_dim:
            raise ConfigError(
                f"{self.rotary_dim} channels a head; rotary positions need an even number",
                field="num_attention_heads",
                hint="another --heads or --width, or --pos alibi",
            )
        scaling = self.rope_scaling
        if scaling is not None and scaling.rope_type == "longrope":
            for name in ("short_factor", "long_factor"):
                if len(getattr(scaling, name)) != self.rotary_dim // 2:
                    raise ConfigError(
                        f"{name} has {len(getattr(scaling, name))} numbers",
                        field=name,
                        hint=f"one for each of {self.rotary_dim // 2} frequencies",
                    )

    def _check_experts(self) -> None:
        experts, chosen = self.num_local_experts, self.num_experts_per_tok
        are_whole = type(experts) is int and type(chosen) is int
        if not (are_whole and (1 <= chosen <= experts <= _MOST_EXPERTS or experts == chosen == 0)):
            raise ConfigError(
                f"num_experts_per_tok is {chosen!r} of {experts!r} experts",
                field="num_experts_per_tok",
                hint="use a whole number from 1 to that of the experts",
            )

    @property
    def is_gated(self) -> bool:
        """Whether the feed-forward has a third matrix, the gate."""
        return self.feed_forward in GATED

    def has_bias(self, projection: str) -> bool:
        """Whether "qkv", "o" or "mlp" has biases."""
        return self.use_bias or projection in self.projection_bias

    @property
    def rotary_dim(self) -> int:
        """Channels of a head that are rotated."""
        return int(self.head_dim * self.partial_rotary_factor)

    @property
    def embedding_std(self) -> float:
        """Standard deviation of fresh embeddings, to which a table of positions is scaled.

        A tied matrix is also the head, which begins small so that the first guess is uniform.
        """
        return 0.02 if self.tie_word_embeddings else 1.0

    @property
    def layer_kinds(self) -> tuple[LayerKind, ...]:
        """The kind of each layer, from the first."""
        every = range(self.num_hidden_layers)
        sliding = every if self.sliding_layers is None else self.sliding_layers
        rotating = every if self.rope_layers is None else self.rope_layers
        return tuple(
            LayerKind(
                window=self.sliding_window if index in sliding else None,
                has_rope=self.position_embedding == "rope" and index in rotating,
            )
            for index in every
        )


_WORDS = {
    "norm": NORMS,
    "feed_forward": FEED_FORWARDS,
    "position_embedding": POSITIONS,
}
_OPTIONAL = (
    "attn_logit_softcapping",
    "final_logit_softcapping",
    "query_pre_attn_scalar",
    "embedding_multiplier",
    "rope_local_base_freq",
)
_POSITIVE = ("norm_eps", "rope_theta", "partial_rotary_factor", *_OPTIONAL)


def largest_divisor(number: int, limit: int) -> int:
    """The largest divisor of a number that is not above the limit."""
    return next(d for d in range(min(limit, number), 0, -1) if number % d == 0)
