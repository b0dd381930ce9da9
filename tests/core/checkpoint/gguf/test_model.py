import contextlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from gguf import GGUFWriter
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.gguf_files import F32, Q8_0, add_tokenizer, close, write_gguf
from tests.samples import CPU, make_config, make_model
from tissu_core.checkpoint.gguf.model import GgufModel
from tissu_core.checkpoint.model_directory import load_model, write_model_files
from tissu_core.errors import InputError, TissuError
from tissu_core.text.tokenizer import Tokenizer

FACTS = {
    "embedding_length": 32,
    "feed_forward_length": 88,
    "context_length": 64,
    "attention.head_count": 4,
    "attention.head_count_kv": 2,
    "attention.key_length": 8,
    "attention.layer_norm_rms_epsilon": 1e-6,
    "rope.dimension_count": 8,
    "rope.freq_base": 10_000.0,
}


@pytest.fixture(scope="module")
def write(
    tiny_tokenizer: Tokenizer, tmp_path_factory: pytest.TempPathFactory
) -> Callable[..., Path]:
    """Writes a random Llama, with other facts if some are given."""
    folder = tmp_path_factory.mktemp("llama")
    model = make_model(make_config(qk_norm=False))
    write_model_files(folder, model, tiny_tokenizer)

    def write(facts: dict[str, Any] | None = None, kind: Any = F32) -> Path:
        told = {key: value for key, value in (FACTS | (facts or {})).items() if value is not None}
        path = folder / "model.gguf"
        return write_gguf(path, folder, "llama", told, tokenizer=tiny_tokenizer, kind=kind)

    return write


def test_what_the_file_leaves_out_follows_from_the_rest(write: Callable[..., Path]) -> None:
    told = ("attention.key_length", "rope.dimension_count", "rope.freq_base")
    expected = load_model(write(), CPU).model.config
    assert load_model(write(dict.fromkeys(told)), CPU).model.config == expected


@pytest.mark.parametrize(
    ("facts", "words"),
    [
        ({"context_length": None}, "llama.context_length is None; allowed: 1..16,777,216"),
        ({"embedding_length": 1 << 21}, "embedding_length is 2097152; allowed: 1..1,048,576"),
        ({"embedding_length": "wide"}, "embedding_length is wide"),
        ({"embedding_length": 64}, "the configuration says"),
        ({"attention.head_count": 8}, "rows for 8 heads|the configuration says"),
        ({"attention.head_count_kv": 3}, "kv-heads"),
        ({"attention.value_length": 16}, "value_length is 16; allowed: 8, the size of a head"),
        ({"rope.dimension_count": 4}, "rope.dimension_count is 4; allowed: 8"),
        ({"rope.freq_base": 0.0}, "rope.freq_base is 0.0"),
        ({"rope.freq_base": float("nan")}, "rope.freq_base is nan"),
        ({"rope.scaling.type": "dynamic", "rope.scaling.factor": 4.0}, "rope"),
        ({"block_count": 3}, "block_count is 3; allowed: 2, for so many have tensors"),
        ({"expert_count": 4, "expert_used_count": 2}, "model.gguf"),
    ],
)
def test_facts_that_do_not_fit_are_refused(
    facts: dict[str, Any], words: str, write: Callable[..., Path]
) -> None:
    with pytest.raises(InputError, match=words):
        load_model(write(facts), CPU)


def test_experts_that_are_not_stacked_as_many_are_refused(tmp_path: Path) -> None:
    import numpy as np

    path = tmp_path / "model.gguf"
    writer = GGUFWriter(path, "llama")
    writer.add_uint32("llama.expert_count", 4)
    writer.add_tensor("blk.0.ffn_up_exps.weight", np.zeros((3, 4, 4), np.float32))
    close(writer)
    with pytest.raises(InputError, match=r"is \(3, 4, 4\), and there are 4 experts"):
        GgufModel.open(path)


def test_tokens_that_end_a_reply(tiny_tokenizer: Tokenizer, tmp_path: Path) -> None:
    path = tmp_path / "model.gguf"
    writer = GGUFWriter(path, "qwen3")
    for key in [key for key in FACTS if "length" in key or "count" in key]:
        writer.add_uint32(f"qwen3.{key}", int(FACTS[key]))
    writer.add_uint32("qwen3.block_count", 1)
    writer.add_tensor("token_embd.weight", make_model(make_config()).head_weight().detach().numpy())
    writer.add_tensor(
        "blk.0.attn_norm.weight", make_model(make_config()).model.norm.weight.detach().numpy()
    )
    add_tokenizer(writer, tiny_tokenizer)
    writer.add_eom_token_id(7)
    close(writer)
    assert GgufModel.open(path).end_ids() == [0, 3, 7]


@pytest.fixture(scope="module")
def whole(write: Callable[..., Path]) -> bytes:
    return write(kind=Q8_0).read_bytes()


@given(st.data())
@settings(max_examples=100)
def test_a_damaged_model_is_read_or_refused(
    whole: bytes, tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    """Its facts, names and tokenizer, from the file to the layers."""
    content = bytearray(whole)
    path = tmp_path_factory.getbasetemp() / "damaged.gguf"
    begin = content.index(b"llama.block_count")
    for _ in range(data.draw(st.integers(1, 3))):
        at = begin + data.draw(st.integers(0, 600) | st.integers(0, 40_000))
        value = data.draw(st.binary(min_size=1, max_size=4))
        content[at : at + len(value)] = value
    path.write_bytes(content)
    with contextlib.suppress(TissuError):
        load_model(path, CPU)
