"""SmolLM3: Llama with layers that know no positions.

Source: Yang et al. 2025, arXiv:2501.18795.
"""

from typing import Any

from tissu_core.config.model import ModelConfig
from tissu_core.models.families.family import Family, Table, UnreadableConfigError, need_counts
from tissu_core.models.families.llama import bias_table, llama_table, read_biases, read_llama
from tissu_core.models.families.windows import read_windows, window_table

_THETA = 2_000_000.0
_INTERVAL = 4


def _to_table(config: ModelConfig) -> dict[str, Any]:
    # 1 where a layer has rope, in spite of the name.
    rope = [int(kind.has_rope) for kind in config.layer_kinds]
    return {
        **llama_table(config),
        **bias_table(config),
        **window_table(config),
        "no_rope_layers": rope,
        "pad_token_id": None,  # or transformers takes one of the published vocabulary
    }


def _from_table(table: Table) -> ModelConfig:
    (count,) = need_counts(table, "num_hidden_layers")
    table = {"tie_word_embeddings": True, **table}
    has_rope = table.get("no_rope_layers")
    if has_rope is None:
        interval = table.get("no_rope_layer_interval", _INTERVAL)
        has_rope = [(index + 1) % interval != 0 for index in range(count)]
    if not isinstance(has_rope, list) or len(has_rope) < count:
        raise UnreadableConfigError(f"has no_rope_layers that are not {count} numbers")
    rotating = tuple(index for index in range(count) if has_rope[index])
    windows = read_windows(table, [index for index in range(count) if index not in rotating])
    rope_layers = None if len(rotating) == count else rotating
    return read_llama(table, _THETA, rope_layers=rope_layers, **windows, **read_biases(table))


SMOLLM3 = Family(
    model_type="smollm3",
    architecture="SmolLM3ForCausalLM",
    to_table=_to_table,
    from_table=_from_table,
)
