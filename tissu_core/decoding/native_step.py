"""The newest token of each row through the whole decoder in one call of ``native/step.c``."""

import ctypes
import math
from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor, nn

from tissu_core.decoding.native_product import Pointed
from tissu_core.layers.feed_forward import GLU
from tissu_core.layers.int8 import Int8Linear
from tissu_core.layers.kv_cache import KVCache, LayerCache
from tissu_core.layers.norms import LayerNorm, RMSNorm
from tissu_core.layers.packed import RUN, PackedLinear
from tissu_core.models.decoder import Block, Decoder
from tissu_core.native import structures
from tissu_core.native.structures import ACTIVATIONS

_ACTIVATION_OF = {"swiglu": "silu", "geglu_tanh": "gelu_tanh"}
_WIDEST_HEAD = 1024


class NativeStep:
    """Computes what ``Decoder.forward`` does for one more token of each row, on a CPU.

    Products of packed matrices round the activations to 8 bits by runs of 32, as llama.cpp's do;
    those of plain ones are in fp32. Keys and values that are held in fp16 are read from a copy in
    8 bits, where the processor multiplies whole numbers faster.
    """

    def __init__(self, model: Decoder, library: ctypes.CDLL) -> None:
        self._model, self._library = model, library
        self._panel = ctypes.c_int32.in_dll(library, "rounded_panel").value
        pointed = self._pointed = Pointed()
        self._matrix, self._floats = pointed.matrix, pointed.floats
        config, stack = model.config, model.model
        blocks = [self._block(cast(Block, block)) for block in stack.layers]
        self._blocks = (structures.Block * len(blocks))(*blocks)
        attention = cast(Block, stack.layers[0]).self_attn
        kind = _ACTIVATION_OF.get(config.feed_forward, config.feed_forward)
        self._record = structures.Model(
            hidden=config.hidden_size,
            heads=config.num_attention_heads,
            kv_heads=config.num_key_value_heads,
            head_dim=config.head_dim,
            rotary=config.rotary_dim,
            inter=config.intermediate_size,
            layers=len(blocks),
            activation=ACTIVATIONS.index(kind),
            is_layer_norm=config.norm == "layernorm",
            eps=config.norm_eps,
            score_scale=attention.query_scale / math.sqrt(config.head_dim),
            score_cap=config.attn_logit_softcapping or 0.0,
            logit_cap=config.final_logit_softcapping or 0.0,
            slopes=self._floats(torch.tensor(attention.slopes)) if attention.slopes else None,
            blocks=self._blocks,
            last=self._norm(stack.norm),
            head=self._matrix(model.lm_head),
        )

    def __call__(self, ids: Tensor, cache: KVCache, padding: Tensor | None = None) -> Tensor:
        """Logits (B, 1, V) of the token after ids (B, 1), which follow what the cache holds."""
        batch, length = len(ids), cache.length
        first = torch.zeros(batch, dtype=torch.int32) if padding is None else padding.int()
        position = length - first
        rows = slice(length, length + 1) if padding is None else position[:, None].long()
        x = self._model.model.embed_rows(ids, rows).float().contiguous()
        caches = (structures.Cache * len(cache.layers))(
            *(_slot(layer, self._panel) for layer in cache.layers)
        )
        logits = torch.empty(batch, 1, self._record.head.rows)
        self._record.threads = torch.get_num_threads()
        failed = self._library.decode_step(
            ctypes.byref(self._record),
            caches,
            batch,
            *(ctypes.c_void_p(tensor.data_ptr()) for tensor in (x, first, position, logits)),
        )
        if failed:
            raise MemoryError
        return logits

    def _block(self, block: Block) -> structures.Block:
        attention, mlp = block.self_attn, block.mlp
        tables: Sequence[Tensor] = ()
        if self._model.config.position_embedding == "rope" and attention.has_rope:
            tables = self._model.model.tables.read(torch.device("cpu"))
            tables = tables[-2:] if attention.window is not None else tables[:2]
        cos, sin = map(self._floats, tables) if tables else (None, None)
        return structures.Block(
            before=self._norm(block.input_layernorm),
            after_attention=self._norm(block.attention_output_norm),
            before_mlp=self._norm(block.post_attention_layernorm),
            after_mlp=self._norm(block.mlp_output_norm),
            q_norm=self._norm(attention.q_norm),
            k_norm=self._norm(attention.k_norm),
            q=self._matrix(attention.q_proj),
            k=self._matrix(attention.k_proj),
            v=self._matrix(attention.v_proj),
            o=self._matrix(attention.o_proj),
            gate=self._matrix(mlp.gate_proj) if isinstance(mlp, GLU) else structures.Matrix(),
            up=self._matrix(cast(nn.Module, mlp.up_proj)),
            down=self._matrix(cast(nn.Module, mlp.down_proj)),
            cos=cos,
            sin=sin,
        )

    def _norm(self, norm: nn.Module) -> structures.Norm:
        if not isinstance(norm, RMSNorm | LayerNorm):
            return structures.Norm()
        bias = getattr(norm, "bias", None)
        return structures.Norm(
            weight=self._floats(norm.weight),
            bias=None if bias is None else self._floats(bias),
        )


def _slot(layer: LayerCache, panel: int) -> structures.Cache:
    slot = layer.reserve()
    keys = slot.keys
    record = structures.Cache(
        keys=keys.data_ptr(),
        values=slot.values.data_ptr(),
        row_stride=keys.stride(0),
        head_stride=keys.stride(1),
        first=slot.first,
        last=slot.place,
        dropped=slot.dropped,
        is_wide=keys.dtype == torch.float32,
    )
    if panel and not record.is_wide and keys.shape[-1] % panel == 0:
        rounded = layer.rounded(panel)
        record.rounded_keys, record.rounded_values = (part.data_ptr() for part in rounded.numbers)
        record.key_sizes, record.value_sizes = (part.data_ptr() for part in rounded.sizes)
        record.room, record.rounded = rounded.sizes.shape[-1], rounded.held
        rounded.held = slot.place + 1
    return record


def suits_library(model: Decoder) -> bool:
    """Whether the library computes all that a model does."""
    config = model.config
    if config.num_local_experts or model.rotates_by_length or model.device.type != "cpu":
        return False
    return config.head_dim <= _WIDEST_HEAD and all(map(_is_known, model.modules()))


def _is_known(layer: nn.Module) -> bool:
    """Whether it is no matrix, or of a kind that the library multiplies."""
    if isinstance(layer, PackedLinear):
        is_whole = layer.group % RUN == 0 and layer.in_features % RUN == 0
        return is_whole and _fits_half(layer.weight_scale) and _fits_half(layer.weight_min)
    if isinstance(layer, Int8Linear):  # of rows that runs do not divide
        return False
    return not isinstance(layer, nn.Linear) or layer.weight.dtype == torch.float32


def _fits_half(numbers: Tensor) -> bool:
    """Whether fp16 holds them to a thousandth of the largest; not where one is NaN."""
    wide = numbers.float()
    wrong = (wide - wide.half().float()).abs().max()
    return bool(wrong <= 1e-3 * wide.abs().max())
