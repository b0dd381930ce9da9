import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.samples import MIXED_TEXTS, STORY
from tissu_core.errors import InputError, TissuError
from tissu_core.text.special_tokens import END_OF_TEXT_ID, PAD_ID, SPECIAL_TOKENS
from tissu_core.text.tokenizer import Tokenizer

ANY_TEXT = st.text(max_size=60)
SPELLINGS = st.lists(st.sampled_from([*SPECIAL_TOKENS, "織", " ", "\r\n", "a"]), max_size=6)


@given(text=ANY_TEXT)
def test_any_text_round_trips(tiny_tokenizer: Tokenizer, text: str) -> None:
    ids = tiny_tokenizer.encode(text)
    assert tiny_tokenizer.decode(ids) == text
    assert all(id >= len(SPECIAL_TOKENS) for id in ids)


@given(parts=SPELLINGS)
def test_a_spelled_out_control_token_stays_text(
    tiny_tokenizer: Tokenizer, parts: list[str]
) -> None:
    text = "".join(parts)
    ids = tiny_tokenizer.encode(text)
    assert not set(ids) & set(range(len(SPECIAL_TOKENS)))
    assert tiny_tokenizer.decode(ids) == text


def test_control_tokens_have_fixed_ids(tiny_tokenizer: Tokenizer) -> None:
    assert SPECIAL_TOKENS[:4] == ("<|endoftext|>", "<|pad|>", "<|im_start|>", "<|im_end|>")
    assert len(SPECIAL_TOKENS) == 16
    expected = {spelling: id for id, spelling in enumerate(SPECIAL_TOKENS)}
    assert tiny_tokenizer.control_tokens == expected
    assert (END_OF_TEXT_ID, PAD_ID) == (0, 1)
    assert tiny_tokenizer.end_id == END_OF_TEXT_ID


def test_a_batch_is_encoded_as_its_texts_are(tiny_tokenizer: Tokenizer) -> None:
    texts = [*MIXED_TEXTS, STORY]
    assert tiny_tokenizer.encode_batch(texts) == [tiny_tokenizer.encode(text) for text in texts]


def test_decoding_leaves_control_tokens_out(tiny_tokenizer: Tokenizer) -> None:
    ids = [0, *tiny_tokenizer.encode("loom"), 3, *tiny_tokenizer.encode(" and hill"), 1]
    assert tiny_tokenizer.decode(ids) == "loom and hill"


def test_token_bytes_add_up_to_the_bytes_of_the_text(tiny_tokenizer: Tokenizer) -> None:
    lengths = tiny_tokenizer.token_bytes()
    assert len(lengths) == tiny_tokenizer.vocab_size
    assert lengths[:16] == [0] * 16
    for text in MIXED_TEXTS:
        assert sum(lengths[id] for id in tiny_tokenizer.encode(text)) == len(text.encode())


def test_saved_files_read_back(tiny_tokenizer: Tokenizer, tmp_path: Path) -> None:
    tiny_tokenizer.save(tmp_path, 128)
    found = Tokenizer.load(tmp_path)
    assert found.encode(STORY) == tiny_tokenizer.encode(STORY)
    assert found.control_tokens == tiny_tokenizer.control_tokens
    assert found.encode("<|endoftext|>") != [0]
    config = json.loads((tmp_path / "tokenizer_config.json").read_text())
    assert config["tokenizer_class"] == "PreTrainedTokenizerFast"
    assert config["model_max_length"] == 128


def test_a_template_in_its_own_file_is_read(tiny_tokenizer: Tokenizer, tmp_path: Path) -> None:
    tiny_tokenizer.save(tmp_path, 128)
    assert Tokenizer.load(tmp_path).chat_template is None
    (tmp_path / "chat_template.jinja").write_text("{{ messages }}")
    assert Tokenizer.load(tmp_path).chat_template == "{{ messages }}"


def test_an_end_token_may_be_an_object(tiny_tokenizer: Tokenizer) -> None:
    config = {"eos_token": {"content": "<|im_end|>", "special": True}}
    assert Tokenizer(tiny_tokenizer.backend, config).end_id == 3


def test_an_unknown_end_token_is_named(tiny_tokenizer: Tokenizer) -> None:
    with pytest.raises(InputError, match="</s>"):
        _ = Tokenizer(tiny_tokenizer.backend, {"eos_token": "</s>"}).end_id


def test_a_folder_without_tokenizer_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"tokenizer\.json"):
        Tokenizer.load(tmp_path)


@pytest.mark.parametrize("content", [b"", b"{}", b"\xff", b'{"model": 1}'])
def test_a_damaged_tokenizer_is_named(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "tokenizer.json").write_bytes(content)
    with pytest.raises(InputError, match=r"tokenizer\.json"):
        Tokenizer.load(tmp_path)


@pytest.mark.parametrize("content", [b"{", b"[]", b"\xff"])
def test_a_damaged_tokenizer_config_is_named(
    tiny_tokenizer: Tokenizer, tmp_path: Path, content: bytes
) -> None:
    tiny_tokenizer.save(tmp_path, 128)
    (tmp_path / "tokenizer_config.json").write_bytes(content)
    with pytest.raises(TissuError, match=r"tokenizer_config\.json"):
        Tokenizer.load(tmp_path)
