"""The architectures whose GGUF files are read: their configuration, and names of their tensors."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from tissu_core.checkpoint.gguf import tables
from tissu_core.checkpoint.gguf.facts import Facts

_LLAMA_PARTS = {
    "token_embd": "model.embed_tokens",
    "output_norm": "model.norm",
    "output": "lm_head",
    "attn_norm": "input_layernorm",
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_q_norm": "self_attn.q_norm",
    "attn_k_norm": "self_attn.k_norm",
    "attn_output": "self_attn.o_proj",
    "ffn_norm": "post_attention_layernorm",
    "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
}
_MIXTRAL_PARTS = {
    "ffn_gate_inp": "block_sparse_moe.gate",
    "ffn_gate_exps": "block_sparse_moe.experts.*.w1",
    "ffn_down_exps": "block_sparse_moe.experts.*.w2",
    "ffn_up_exps": "block_sparse_moe.experts.*.w3",
}
_GEMMA_PARTS = {
    "post_attention_norm": "post_attention_layernorm",
    "ffn_norm": "pre_feedforward_layernorm",
    "post_ffw_norm": "post_feedforward_layernorm",
}
_PHI3_PARTS = {"attn_qkv": "self_attn.qkv_proj", "ffn_up": "mlp.gate_up_proj"}
_GPT2_PARTS = {
    "token_embd": "transformer.wte",
    "position_embd": "transformer.wpe",
    "output_norm": "transformer.ln_f",
    "output": "lm_head",
    "attn_norm": "ln_1",
    "attn_qkv": "attn.c_attn",
    "attn_output": "attn.c_proj",
    "ffn_norm": "ln_2",
    "ffn_up": "mlp.c_fc",
    "ffn_down": "mlp.c_proj",
}
_MPT_PARTS = {
    "token_embd": "transformer.wte",
    "output_norm": "transformer.norm_f",
    "output": "lm_head",
    "attn_norm": "norm_1",
    "attn_qkv": "attn.Wqkv",
    "attn_output": "attn.out_proj",
    "ffn_norm": "norm_2",
    "ffn_up": "ffn.up_proj",
    "ffn_down": "ffn.down_proj",
}
_NAME = re.compile(r"(?:blk\.(\d+)\.)?(\w+)\.(weight|bias)")
_FACTORS = re.compile(r"rope_(freqs|factors_long|factors_short)\.weight")
"""Tensors that belong to the configuration."""
_EXPERT = re.compile(r"\.(\d+)\.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Architecture:
    """One ``general.architecture``, as a family of Hugging Face's."""

    to_table: Callable[[Facts], tables.Table]
    """``config.json`` with its ``model_type``."""
    parts: Mapping[str, str]
    """GGUF's names of layers, and the family's; a ``*`` stands for the number of an expert."""
    blocks: str = "model.layers"
    """Where the family keeps its blocks."""
    is_interleaved: bool = False
    """Whether rows of queries and keys lie so that pairs which rotate together are neighbours."""
    is_transposed: bool = False
    """Whether the family keeps the blocks' matrices as (inputs, outputs); GGUF never does."""
    norm_offset: float = 0.0
    """What the weights of norms have more than the family's."""

    def rename(self, name: str) -> str | None:
        """The family's name of a tensor; "" for one of the configuration, None for none of it."""
        match = _NAME.fullmatch(name)
        if _FACTORS.fullmatch(name):
            return ""
        if match is None or match[2] not in self.parts:
            return None
        place = "" if match[1] is None else f"{self.blocks}.{match[1]}."
        return f"{place}{self.parts[match[2]]}.{match[3]}"

    def turns(self, theirs: str, ndim: int) -> bool:
        """Whether one of the family's tensors is a matrix that GGUF has the other way round."""
        return self.is_transposed and theirs.startswith(f"{self.blocks}.") and ndim == 2

    def place(self, theirs: str) -> tuple[str, int | None] | None:
        """GGUF's name of one of the family's tensors, and the expert's number where it is one of
        a stack; ``rename`` the other way."""  # noqa: D205, D209
        part, _, kind = theirs.rpartition(".")
        begin = f"{self.blocks}."
        layer, part = part[len(begin) :].split(".", 1) if part.startswith(begin) else ("", part)
        expert = _EXPERT.search(part)
        known = {name: part for part, name in self.parts.items()}
        found = known.get(_EXPERT.sub(".*.", part))
        if found is None:
            return None
        name = f"blk.{layer}.{found}.{kind}" if layer else f"{found}.{kind}"
        return name, None if expert is None else int(expert[1])


_LLAMA = Architecture(
    to_table=tables.llama, parts=_LLAMA_PARTS | _MIXTRAL_PARTS, is_interleaved=True
)
_QWEN3 = Architecture(to_table=tables.qwen3, parts=_LLAMA_PARTS)
_GEMMA2 = Architecture(to_table=tables.gemma2, parts=_LLAMA_PARTS | _GEMMA_PARTS, norm_offset=1.0)

ARCHITECTURES: dict[str, Architecture] = {
    "llama": _LLAMA,
    "qwen2": replace(_QWEN3, to_table=tables.qwen2),
    "qwen3": _QWEN3,
    "smollm3": replace(_LLAMA, to_table=tables.smollm3),
    "phi3": replace(_QWEN3, to_table=tables.phi3, parts=_LLAMA_PARTS | _PHI3_PARTS),
    "gemma2": _GEMMA2,
    "gemma3": replace(_GEMMA2, to_table=tables.gemma3),
    "gpt2": Architecture(
        to_table=tables.gpt2, parts=_GPT2_PARTS, blocks="transformer.h", is_transposed=True
    ),
    "mpt": Architecture(to_table=tables.mpt, parts=_MPT_PARTS, blocks="transformer.blocks"),
}

NAMES = {
    **{name: name for name in ARCHITECTURES},
    **dict.fromkeys(("mistral", "mixtral"), "llama"),
    "gemma3_text": "gemma3",
}
"""The architecture in which a ``model_type`` is written."""
