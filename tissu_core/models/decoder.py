"""The whole model on one page: embed, N pre-norm residual blocks, norm, project to the vocabulary.

Module names are those of Hugging Face's Qwen3, Llama and Mistral, so their weights load and save
without a map.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from tissu_core.config.model import ModelConfig
from tissu_core.errors import ConfigError
from tissu_core.layers.attention import Attention, Rope, Shown
from tissu_core.layers.embedding_noise import add_noise
from tissu_core.layers.feed_forward import build_feed_forward
from tissu_core.layers.int8 import Int8Linear
from tissu_core.layers.kv_cache import KVCache, LayerCache
from tissu_core.layers.masks import number_documents
from tissu_core.layers.moe import MixtureOfExperts
from tissu_core.layers.norms import build_norm
from tissu_core.layers.packed import PackedLinear
from tissu_core.layers.position_tables import PositionTables
from tissu_core.layers.soft_cap import soft_cap

again = partial(checkpoint, use_reentrant=False)
"""Calls a function whose activations are not kept but computed again, with the same dropout."""


Step = Callable[[Tensor, KVCache, Tensor | None], Tensor]
"""Ids (B, 1), a cache that holds something, and padding, as ``Decoder`` has them, to logits."""


class Block(nn.Module):
    """x + attention(norm(x)), then x + feed_forward(norm(x)); Gemma norms what is added, too."""

    def __init__(self, config: ModelConfig, layer_index: int) -> None:
        super().__init__()
        width, eps = config.hidden_size, config.norm_eps
        norm = partial(build_norm, config.norm, width, eps, bias=config.use_bias)
        self.input_layernorm = norm()
        self.self_attn = Attention(config, layer_index)
        self.post_attention_layernorm = norm()
        self.mlp: nn.Module = build_feed_forward(
            config.feed_forward, width, config.intermediate_size, bias=config.has_bias("mlp")
        )
        if config.num_local_experts:
            self.mlp = MixtureOfExperts(config)
        self.attention_output_norm: nn.Module = nn.Identity()
        self.mlp_output_norm: nn.Module = nn.Identity()
        if config.has_post_norms:
            self.attention_output_norm, self.mlp_output_norm = norm(), norm()
        self.dropout = 0.0
        self.recompute = "none"

    def forward(
        self,
        x: Tensor,
        rope: Rope | None,
        cache: LayerCache | None,
        padding: Tensor | None = None,
        shown: Shown | None = None,
    ) -> Tensor:
        """Mix over time, then over channels."""
        mixed = self.self_attn(self.input_layernorm(x), rope, cache, padding, shown)
        x = x + self._drop(self.attention_output_norm(mixed))
        is_recomputed = self.recompute == "ffn" and self.training
        mixed = again(self._feed, x) if is_recomputed else self._feed(x)
        return x + self._drop(mixed)

    def _feed(self, x: Tensor) -> Tensor:
        mixed: Tensor = self.mlp_output_norm(self.mlp(self.post_attention_layernorm(x)))
        return mixed

    def _drop(self, x: Tensor) -> Tensor:
        return F.dropout(x, self.dropout, self.training) if self.dropout else x


class Stack(nn.Module):
    """Token ids to final hidden states: (B, T) to (B, T, C)."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.config, self.recompute = config, "none"
        self.dropout = self.embed_noise = self.neftune = 0.0
        self.document_start: int | None = None
        """Where a row's documents begin anew, if each is read by itself."""
        self.entered: Tensor | None = None
        """What layers elsewhere made of the ids, where this is a later stage of a pipeline."""
        width = config.hidden_size
        self.embed_tokens = nn.Embedding(config.vocab_size, width)
        if config.position_embedding == "learned":
            self.embed_positions = nn.Embedding(config.max_position_embeddings, width)
        self.layers = nn.ModuleList(
            Block(config, index) for index in range(config.num_hidden_layers)
        )
        self.norm = build_norm(config.norm, width, config.norm_eps, bias=config.use_bias)
        self.tables = PositionTables(config)

    def forward(
        self, ids: Tensor, cache: KVCache | None = None, padding: Tensor | None = None
    ) -> Tensor:
        """Read ids that follow what the cache holds; positions count from behind the padding."""
        start = cache.length if cache is not None else 0
        end = start + ids.shape[1]
        rows: slice | Tensor = slice(start, end)
        if padding is not None:
            slots = torch.arange(start, end, device=ids.device)
            rows = (slots - padding[:, None]).clamp(min=0)
        documents: Tensor | None = None
        if self.document_start is not None and cache is None and padding is None:
            documents, rows = number_documents(ids, self.document_start)
        x = self.embed_rows(ids, rows) if self.entered is None else self.entered
        ropes: tuple[Rope | None, Rope | None] = None, None
        if self.config.position_embedding == "rope":
            tables = [table[rows].to(x.dtype) for table in self.tables.read(ids.device, end)]
            ropes = (tables[0], tables[1]), (tables[-2], tables[-1])
        shown: dict[int | None, Shown] = {}
        for index, layer in enumerate(self.layers):
            attention = cast(Block, layer).self_attn
            rope, window = ropes[attention.window is not None], attention.window
            if documents is not None and window not in shown:
                shown[window] = attention.show_documents(documents)
            if self.recompute == "block" and self.training:
                x = again(layer, x, rope, None, padding, shown.get(window))
                continue
            known = cache.layers[index] if cache is not None else None
            x = layer(x, rope, known, padding, shown.get(window))
        return cast(Tensor, self.norm(x))

    def embed_rows(
        self, ids: Tensor, rows: slice | Tensor, tables: Sequence[Tensor] = ()
    ) -> Tensor:
        """What enters the first layer; ``rows`` are those of a table of positions.

        ``tables`` are what was already read of the position tables there.
        """
        x: Tensor = self.embed_tokens(ids)
        if self.training:
            x = add_noise(x, self.embed_noise, self.neftune)
        if self.config.embedding_multiplier is not None:
            x = x * self.config.embedding_multiplier
        match self.config.position_embedding:
            case "learned":
                x = x + self.embed_positions.weight[rows]
            case "sinusoidal":
                read = tables[0] if tables else self.tables.read(ids.device)[0][rows]
                x = x + read.to(x.dtype)
            case _:  # the others are told in attention
                pass
        if torch.is_autocast_enabled(ids.device.type):
            # A residual stream in the products' own format halves the traffic of every norm, sum
            # and gate; measured on 2 cores, 4 layers x 256: a step takes 0.95 of the time.
            x = x.to(torch.get_autocast_dtype(ids.device.type))
        return F.dropout(x, self.dropout, self.training) if self.dropout else x


class Decoder(nn.Module):
    """A language model: ids to logits of the next token.

    Rows of unequal length end together: ``padding`` says how many of a row's first slots, those of
    the cache counted, hold nothing. Logits of such a slot mean nothing.

    Shapes: ids (B, T), padding (B,), logits (B, T, V); with ``last_only`` (B, 1, V).
    """

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.config = config
        self.step: Step | None = None
        """What reads one more token of each row in place of this, where a model only decodes."""
        self.cache_dtype: torch.dtype | None = None
        """How keys and values are kept, if not as they come."""
        self.read_dtype: torch.dtype | None = None
        """What several tokens at once are multiplied in, if not in the weights' own."""
        self.model = Stack(config)
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
        if self.step is not None and cache is not None and cache.length and ids.shape[1] == 1:
            return self.step(ids, cache, padding)
        hidden = self._read(ids, cache, padding)
        return self.to_logits(hidden[:, -1:] if last_only else hidden)

    def to_logits(self, hidden: Tensor) -> Tensor:
        """What normed hidden states (..., C) say of the next token: (..., V)."""
        logits: Tensor = self.lm_head(hidden)
        cap = self.config.final_logit_softcapping
        return logits if cap is None else soft_cap(logits, cap)

    def _read(self, ids: Tensor, cache: KVCache | None, padding: Tensor | None) -> Tensor:
        if self.read_dtype is None or ids.shape[1] == 1:
            return cast(Tensor, self.model(ids, cache, padding))
        with torch.autocast(ids.device.type, dtype=self.read_dtype):
            return cast(Tensor, self.model(ids, cache, padding)).float()

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return next(self.parameters()).device

    def head_weight(self) -> Tensor:
        """The matrix from hidden states to logits, (V, C), in fp32 where it is packed."""
        head: nn.Module = self.lm_head
        if isinstance(head, Int8Linear | PackedLinear):
            return head.dequantize()
        return self.lm_head.weight

    def set_dropout(self, dropout: float, attention_dropout: float = 0.0) -> None:
        """In training mode, drop these shares of what enters the stream, and of who is read."""
        for module in self.modules():
            if isinstance(module, Stack | Block):
                module.dropout = dropout
            elif isinstance(module, Attention):
                module.dropout = attention_dropout

    def set_attention(self, implementation: str) -> None:
        """What computes attention in steps of training: auto, sdpa, flash, flex or eager."""
        for layer in self.model.layers:
            cast(Block, layer).self_attn.implementation = implementation

    def set_noise(self, embed_noise: float, neftune: float) -> None:
        """The noise that ``add_noise`` puts on embeddings in training mode."""
        self.model.embed_noise, self.model.neftune = embed_noise, neftune

    def read_documents_apart(self, start_id: int) -> None:
        """Where rows hold several documents, let none see another; not with a cache."""
        self.model.document_start = start_id

    def set_recompute(self, what: str) -> None:
        """Drop the activations of "block" or "ffn" in training, and compute them again backward.

        Source: Chen et al. 2016, arXiv:1604.06174.
        """
        for module in self.modules():
            if isinstance(module, Stack | Block):
                module.recompute = what

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
        self.model.config, self.model.tables = self.config, PositionTables(self.config)

    def outgrows(self, cache: KVCache, tokens: int) -> bool:
        """Whether with so many more the cache's keys would be others: the text is read anew."""
        is_long = self.model.tables.is_long
        return is_long(cache.length) != is_long(cache.length + tokens)

    @property
    def rotates_by_length(self) -> bool:
        """Whether a text's length says how all of it is rotated."""
        is_long = self.model.tables.is_long
        return is_long(0) != is_long(self.config.max_position_embeddings)

    def new_cache(self) -> KVCache:
        """An empty cache for the model's whole context."""
        windows = [kind.window for kind in self.config.layer_kinds]
        return KVCache(windows, self.config.max_position_embeddings, self.cache_dtype)
