"""The whole model on one page: embed, N pre-norm residual blocks, norm, project to the vocabulary.

Module names are those of Hugging Face's Qwen3, Llama and Mistral, so their weights load and save
without a map.
"""

from dataclasses import replace
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tissu_core.config.model import ModelConfig
from tissu_core.errors import ConfigError
from tissu_core.layers.attention import Attention, Rope
from tissu_core.layers.feed_forward import build_feed_forward
from tissu_core.layers.int8 import Int8Linear
from tissu_core.layers.kv_cache import KVCache, LayerCache
from tissu_core.layers.norms import build_norm
from tissu_core.layers.positions import sinusoids
from tissu_core.layers.rope import rope_tables


class Block(nn.Module):
    """x + attention(norm(x)), then x + feed_forward(norm(x))."""

    def __init__(self, config: ModelConfig, dropout: float) -> None:
        super().__init__()
        width, bias = config.hidden_size, config.use_bias
        self.input_layernorm = build_norm(config.norm, width, config.norm_eps, bias=bias)
        self.self_attn = Attention(config, dropout)
        self.post_attention_layernorm = build_norm(config.norm, width, config.norm_eps, bias=bias)
        self.mlp = build_feed_forward(
            config.feed_forward, width, config.intermediate_size, bias=bias
        )
        self.dropout = dropout

    def forward(
        self,
        x: Tensor,
        rope: Rope | None,
        cache: LayerCache | None,
        padding: Tensor | None = None,
    ) -> Tensor:
        """Mix over time, then over channels."""
        x = x + self._drop(self.self_attn(self.input_layernorm(x), rope, cache, padding))
        return x + self._drop(self.mlp(self.post_attention_layernorm(x)))

    def _drop(self, x: Tensor) -> Tensor:
        return F.dropout(x, self.dropout, self.training) if self.dropout else x


class Stack(nn.Module):
    """Token ids to final hidden states: (B, T) to (B, T, C)."""

    def __init__(self, config: ModelConfig, dropout: float) -> None:
        super().__init__()
        self.config, self.dropout = config, dropout
        width = config.hidden_size
        self.embed_tokens = nn.Embedding(config.vocab_size, width)
        if config.position_embedding == "learned":
            self.embed_positions = nn.Embedding(config.max_position_embeddings, width)
        self.layers = nn.ModuleList(Block(config, dropout) for _ in range(config.num_hidden_layers))
        self.norm = build_norm(config.norm, width, config.norm_eps, bias=config.use_bias)
        self._tables: tuple[Tensor, ...] = ()

    def forward(
        self, ids: Tensor, cache: KVCache | None = None, padding: Tensor | None = None
    ) -> Tensor:
        """Read ids that follow what the cache holds; positions count from behind the padding."""
        start = cache.length if cache is not None else 0
        rows: slice | Tensor = slice(start, start + ids.shape[1])
        if padding is not None:
            slots = torch.arange(start, start + ids.shape[1], device=ids.device)
            rows = (slots - padding[:, None]).clamp(min=0)
        rope: Rope | None = None
        x: Tensor = self.embed_tokens(ids)
        match self.config.position_embedding:
            case "rope":
                cos, sin = self.fixed_tables(ids.device)
                rope = cos[rows], sin[rows]
            case "learned":
                x = x + self.embed_positions.weight[rows]
            case "sinusoidal":
                x = x + self.fixed_tables(ids.device)[0][rows].to(x.dtype)
            case _:  # ALiBi is told in attention
                pass
        if torch.is_autocast_enabled(ids.device.type):
            # A residual stream in the products' own format halves the traffic of every norm, sum
            # and gate; measured on 2 cores, 4 layers x 256: a step takes 0.95 of the time.
            x = x.to(torch.get_autocast_dtype(ids.device.type))
        x = F.dropout(x, self.dropout, self.training) if self.dropout else x
        for index, layer in enumerate(self.layers):
            x = layer(x, rope, cache.layers[index] if cache is not None else None, padding)
        return cast(Tensor, self.norm(x))

    def fixed_tables(self, device: torch.device) -> tuple[Tensor, ...]:
        """Cosines and sines of every position, or what is added to its embedding."""
        if not self._tables or self._tables[0].device != device:
            config, positions = self.config, self.config.max_position_embeddings
            with torch.inference_mode(mode=False):  # training may be next
                if config.position_embedding == "rope":
                    self._tables = rope_tables(
                        positions, config.head_dim, config.rope_theta, device
                    )
                else:
                    scale = embedding_std(config)
                    self._tables = (scale * sinusoids(positions, config.hidden_size, device),)
        return self._tables


def embedding_std(config: ModelConfig) -> float:
    """Standard deviation of fresh embeddings, to which a table of positions is scaled.

    A tied matrix is also the head, which begins small so that the first guess is uniform.
    """
    return 0.02 if config.tie_word_embeddings else 1.0


class Decoder(nn.Module):
    """A language model: ids to logits of the next token.

    Rows of unequal length end together: ``padding`` says how many of a row's first slots, those of
    the cache counted, hold nothing. Logits of such a slot mean nothing.

    Shapes: ids (B, T), padding (B,), logits (B, T, V); with ``last_only`` (B, 1, V).
    """

    def __init__(self, config: ModelConfig, dropout: float = 0.0) -> None:
        super().__init__()
        self.config = config
        self.model = Stack(config, dropout)
        self.lm_head = nn.Linear(config.hidden_size, config.vocab_size, bias=False)
        if config.tie_word_embeddings:
            self.lm_head.weight = self.model.embed_tokens.weight

    def forward(
        self,
        ids: Tensor,
        cache: KVCache | None = None,
        *,
        last_only: bool = False,
        padding: Tensor | None = None,
    ) -> Tensor:
        """Logits of the token after each id, or after the last alone."""
        hidden = self.model(ids, cache, padding)
        return cast(Tensor, self.lm_head(hidden[:, -1:] if last_only else hidden))

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return self.model.norm.weight.device

    def head_weight(self) -> Tensor:
        """The matrix from hidden states to logits, (V, C), in fp32 where it is stored as int8."""
        head: nn.Module = self.lm_head
        return head.dequantize() if isinstance(head, Int8Linear) else self.lm_head.weight

    def set_dropout(self, dropout: float) -> None:
        """Drop this share of activations in training mode."""
        for module in self.modules():
            if isinstance(module, Stack | Block | Attention):
                module.dropout = dropout

    def set_context(self, tokens: int) -> None:
        """Read up to this many tokens at once, whatever the model was trained on.

        Raises:
            ConfigError: If its positions are a learned table of fewer rows.
        """
        if self.config.position_embedding == "learned":
            learned = self.model.embed_positions.num_embeddings
            if tokens > learned:
                raise ConfigError(
                    f"the model has learned {learned:,} positions, and {tokens:,} are asked for",
                    field="context",
                    hint=f"--context {learned}",
                )
        self.config = replace(self.config, max_position_embeddings=tokens)
        self.model.config, self.model._tables = self.config, ()

    def new_cache(self) -> KVCache:
        """An empty cache for the model's whole context."""
        return KVCache(
            self.config.num_hidden_layers,
            self.config.max_position_embeddings,
            self.config.sliding_window,
        )
