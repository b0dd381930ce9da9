import json
from pathlib import Path

import pytest
import torch
from tokenizers import Tokenizer as Backend

from tests.samples import CPU, make_config, make_model, random_ids
from tissu_core.checkpoint.model_directory import (
    from_hugging_face,
    load_model,
    refuse_pickles,
    to_hugging_face,
    write_model_files,
)
from tissu_core.checkpoint.weights import load_tensors, save_tensors
from tissu_core.errors import InputError, IntegrityError
from tissu_core.models.decoder import Decoder
from tissu_core.storage import sealed_directory
from tissu_core.text.tokenizer import Tokenizer


@pytest.fixture
def directory(tmp_path: Path, tiny_model: Decoder, tiny_tokenizer: Tokenizer) -> Path:
    path = tmp_path / "model"
    path.mkdir()
    write_model_files(path, tiny_model, tiny_tokenizer)
    return path


def change_config(directory: Path, **changes: object) -> None:
    path = directory / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


@pytest.mark.parametrize("is_tied", [False, True])
def test_a_written_model_reads_back_equal(
    tmp_path: Path, tiny_tokenizer: Tokenizer, *, is_tied: bool
) -> None:
    model = make_model(make_config(tie_word_embeddings=is_tied))
    write_model_files(tmp_path, model, tiny_tokenizer)
    loaded = load_model(tmp_path, CPU)
    assert loaded.model.config == model.config
    assert loaded.end_ids == {0}
    assert not loaded.model.training
    for name, tensor in model.state_dict().items():
        assert torch.equal(loaded.model.state_dict()[name], tensor)
    is_shared = loaded.model.lm_head.weight is loaded.model.model.embed_tokens.weight
    assert is_shared == is_tied
    ids = random_ids(1, 8)
    with torch.no_grad():
        assert torch.equal(loaded.model(ids), model(ids))


def test_tied_weights_are_stored_once(tmp_path: Path, tiny_tokenizer: Tokenizer) -> None:
    model = make_model(make_config(tie_word_embeddings=True))
    write_model_files(tmp_path, model, tiny_tokenizer)
    assert "lm_head.weight" not in load_tensors(tmp_path / "model.safetensors")


def test_a_loaded_model_can_be_trained(directory: Path) -> None:
    model = load_model(directory, CPU).model
    model(random_ids(1, 5)).sum().backward()
    assert all(parameter.grad is not None for parameter in model.parameters())


def test_half_precision_weights_are_read_as_fp32(directory: Path) -> None:
    path = directory / "model.safetensors"
    save_tensors(path, {name: t.bfloat16() for name, t in load_tensors(path).items()})
    model = load_model(directory, CPU).model
    assert {p.dtype for p in model.parameters()} == {torch.float32}


def test_a_sealed_model_with_a_flipped_bit_is_refused(
    tmp_path: Path, tiny_model: Decoder, tiny_tokenizer: Tokenizer
) -> None:
    with sealed_directory(tmp_path / "sealed", {}) as temporary:
        write_model_files(temporary, tiny_model, tiny_tokenizer)
    load_model(tmp_path / "sealed", CPU)
    path = tmp_path / "sealed" / "model.safetensors"
    data = bytearray(path.read_bytes())
    data[-100] ^= 1
    path.write_bytes(data)
    with pytest.raises(IntegrityError, match=r"model\.safetensors"):
        load_model(tmp_path / "sealed", CPU)


@pytest.mark.parametrize("name", ["config.json", "model.safetensors", "tokenizer.json"])
def test_a_missing_file_is_named(directory: Path, name: str) -> None:
    (directory / name).unlink()
    with pytest.raises(InputError, match=name.replace(".", r"\.")):
        load_model(directory, CPU)


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"model_type": "bert"}, "bert"),
        ({"model_type": "llama"}, "a tensor too many"),
        ({"attention_bias": True}, r"q_proj\.bias"),
        ({"layer_types": ["full_attention", "chunked_attention"]}, "chunked_attention"),
        ({"layer_types": ["full_attention"]}, "layer_types"),
        ({"hidden_act": "gelu"}, "hidden_act"),
        ({"rope_scaling": {"rope_type": "dynamic", "factor": 4.0}}, "dynamic"),
        ({"rope_scaling": {"rope_type": "yarn", "factor": 4.0, "mscale": 2.0}}, "mscale"),
        ({"rope_scaling": {"rope_type": "linear", "factor": -4.0}}, "factor -4"),
        ({"rope_scaling": "linear"}, "rope scaling"),
        ({"rope_parameters": {"rope_type": "linear", "rope_theta": 1e4}}, "factor"),
        ({"rope_theta": "high"}, "rope_theta"),
        ({"use_sliding_window": True, "sliding_window": "wide", "max_window_layers": 0}, "wide"),
        ({"model_type": "smollm3", "no_rope_layer_interval": 0}, "zero"),
        ({"model_type": "smollm3", "no_rope_layers": [1]}, "no_rope_layers"),
        ({"rms_norm_eps": 0}, "norm_eps"),
        ({"num_key_value_heads": 3}, "kv-heads"),
        ({"hidden_size": 64}, "the configuration says"),
        ({"num_hidden_layers": 3}, "lacks the tensor"),
        ({"num_hidden_layers": 1}, "a tensor too many"),
    ],
)
def test_what_would_be_computed_wrongly_is_refused(
    directory: Path, changes: dict[str, object], word: str
) -> None:
    change_config(directory, **changes)
    with pytest.raises(InputError, match=word):
        load_model(directory, CPU)


@pytest.mark.parametrize("value", [0, -4, "four", None, 2.5])
@pytest.mark.parametrize("name", ["num_key_value_heads", "hidden_size", "vocab_size"])
def test_numbers_that_are_none_are_refused(directory: Path, name: str, value: object) -> None:
    change_config(directory, **{name: value})
    with pytest.raises(InputError):
        load_model(directory, CPU)


@pytest.mark.parametrize("missing", ["vocab_size", "head_dim", "num_hidden_layers"])
def test_a_missing_number_is_named(missing: str) -> None:
    table = to_hugging_face(make_config(), 0)
    del table[missing]
    with pytest.raises(InputError, match=missing):
        from_hugging_face(table, Path("somewhere"))


def test_configuration_round_trips() -> None:
    config = make_config(rope_theta=123.0, tie_word_embeddings=True, norm_eps=1e-5)
    assert from_hugging_face(to_hugging_face(config, 0), Path("somewhere")) == config


def test_a_tokenizer_of_more_tokens_than_embeddings_is_refused(
    tmp_path: Path, tiny_tokenizer: Tokenizer
) -> None:
    write_model_files(tmp_path, make_model(make_config(vocab_size=300)), tiny_tokenizer)
    with pytest.raises(InputError, match="embeddings of 300 tokens, and its tokenizer has 320"):
        load_model(tmp_path, CPU)


def test_a_control_token_without_an_embedding_is_none_of_the_texts(
    tmp_path: Path, tiny_tokenizer: Tokenizer
) -> None:
    more = Tokenizer(Backend.from_str(tiny_tokenizer.backend.to_str()))
    more.backend.add_special_tokens(["<image>"])
    write_model_files(tmp_path, make_model(make_config()), more)
    assert load_model(tmp_path, CPU).tokenizer.vocab_size == 321


def test_end_tokens_of_the_generation_settings_are_heard(directory: Path) -> None:
    (directory / "generation_config.json").write_text('{"eos_token_id": [3, 5]}')
    assert load_model(directory, CPU).end_ids == {0, 3, 5}


def test_end_tokens_of_the_configuration_are_heard(directory: Path) -> None:
    (directory / "generation_config.json").unlink()
    change_config(directory, eos_token_id=[7, None, "x"])
    assert load_model(directory, CPU).end_ids == {0, 7}


@pytest.mark.parametrize("name", ["model.pt", "pytorch_model.bin", "last.ckpt", "a.pkl"])
def test_a_pickle_is_refused_as_file_and_as_a_folders_only_weights(
    tmp_path: Path, name: str
) -> None:
    (tmp_path / name).write_bytes(b"\x80\x04.")
    for path in (tmp_path / name, tmp_path):
        with pytest.raises(InputError, match="is a pickle"):
            refuse_pickles(path)


def test_a_pickle_beside_safetensors_is_never_opened(directory: Path) -> None:
    (directory / "pytorch_model.bin").write_bytes(b"\x80\x04.")
    load_model(directory, CPU)
