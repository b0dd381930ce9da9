"""What tissu writes, transformers reads: the same ids, logits and greedy text; and the way back."""

from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, Qwen3ForCausalLM

from tests.samples import (
    CHATML,
    MIXED_TEXTS,
    STORY,
    iter_choices,
    make_config,
    make_model,
    random_ids,
)
from tissu_core.checkpoint.model_directory import write_model_files
from tissu_core.config.decoding import DecodingConfig
from tissu_core.models.decoder import Decoder
from tissu_core.text.chat_template import Message
from tissu_core.text.conversation import encode_chat
from tissu_core.text.learning import learn
from tissu_core.text.tokenizer import Tokenizer


@pytest.fixture(scope="module")
def model() -> Decoder:
    return make_model(make_config(rope_theta=50_000.0, norm_eps=1e-5))


@pytest.fixture(scope="module")
def directory(
    model: Decoder, tiny_tokenizer: Tokenizer, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    path = tmp_path_factory.mktemp("model")
    write_model_files(path, model, tiny_tokenizer)
    return path


@pytest.fixture(scope="module")
def theirs(directory: Path) -> Qwen3ForCausalLM:
    model = AutoModelForCausalLM.from_pretrained(directory).eval()
    assert isinstance(model, Qwen3ForCausalLM)
    return model


def test_logits_are_those_of_transformers(model: Decoder, theirs: Qwen3ForCausalLM) -> None:
    ids = random_ids(3, 50)
    with torch.no_grad():
        assert (model(ids) - theirs(ids).logits).abs().max() < 1e-4


@pytest.mark.parametrize("changes", [{"tie_word_embeddings": True}, {"num_key_value_heads": 4}])
def test_other_shapes_have_the_logits_of_transformers(
    changes: dict[str, object], tiny_tokenizer: Tokenizer, tmp_path: Path
) -> None:
    model = make_model(make_config(**changes), seed=3)
    write_model_files(tmp_path, model, tiny_tokenizer)
    theirs = AutoModelForCausalLM.from_pretrained(tmp_path).eval()
    ids = random_ids(2, 20)
    with torch.no_grad():
        assert (model(ids) - theirs(ids).logits).abs().max() < 1e-4


def test_gradients_are_those_of_transformers(model: Decoder, theirs: Qwen3ForCausalLM) -> None:
    ids, upstream = random_ids(2, 12), torch.randn(2, 12, 320)
    for either in (model, theirs):
        either.zero_grad()
    model(ids).backward(upstream)
    theirs(ids).logits.backward(upstream)
    expected = dict(theirs.named_parameters())
    for name, parameter in model.named_parameters():
        torch.testing.assert_close(parameter.grad, expected[name].grad, atol=1e-3, rtol=1e-3)


@pytest.mark.parametrize("text", [*MIXED_TEXTS, STORY])
def test_ids_and_text_are_those_of_transformers(
    text: str, tiny_tokenizer: Tokenizer, directory: Path
) -> None:
    theirs = AutoTokenizer.from_pretrained(directory)
    ids = tiny_tokenizer.encode(text)
    assert theirs.encode(text, add_special_tokens=False, split_special_tokens=True) == ids
    assert theirs.decode(ids) == text
    assert tiny_tokenizer.decode(ids) == text


@pytest.mark.parametrize("split", ["gpt2", "code", "char", "word"])
def test_ids_of_every_split_are_those_of_transformers(split: str, tmp_path: Path) -> None:
    ours = learn([STORY, *MIXED_TEXTS[:4]], 400, split)
    ours.save(tmp_path)
    theirs = AutoTokenizer.from_pretrained(tmp_path)
    for text in [*MIXED_TEXTS, STORY]:
        ids = ours.encode(text)
        assert theirs.encode(text, add_special_tokens=False, split_special_tokens=True) == ids
        assert theirs.decode(ids) == text


def test_special_tokens_are_known_to_transformers(directory: Path) -> None:
    theirs = AutoTokenizer.from_pretrained(directory)
    assert theirs.eos_token_id == 0
    assert theirs.pad_token_id == 1
    assert theirs.convert_tokens_to_ids(["<|im_start|>", "<|im_end|>"]) == [2, 3]
    assert theirs.model_max_length == 64
    assert len(theirs) == 320


def test_chat_ids_are_those_of_transformers(tiny_tokenizer: Tokenizer, tmp_path: Path) -> None:
    ours = Tokenizer(tiny_tokenizer.backend, {**tiny_tokenizer.config, "chat_template": CHATML})
    ours.save(tmp_path, 64)
    theirs = AutoTokenizer.from_pretrained(tmp_path)
    messages = [
        Message(role="system", content="Be brief. 短く。"),
        Message(role="user", content="What is\r\n  cloth? 🧵"),
        Message(role="assistant", content="Threads, crossed."),
        Message(role="user", content="Why?"),
    ]
    expected = theirs.apply_chat_template(
        [{"role": m.role, "content": m.content} for m in messages],
        add_generation_prompt=True,
        tokenize=True,
        return_dict=False,
    )
    assert encode_chat(ours, messages) == expected


@pytest.mark.parametrize("penalty", [1.0, 1.3])
def test_greedy_ids_are_those_of_transformers(
    model: Decoder, theirs: Qwen3ForCausalLM, penalty: float
) -> None:
    prompt = random_ids(1, 9, seed=4)
    config = DecodingConfig(greedy=True, repetition_penalty=penalty)
    ours = [choice.token_id for choice in iter_choices(model, prompt[0].tolist(), config, 40)]
    theirs.generation_config.eos_token_id = None
    theirs.generation_config.pad_token_id = 1
    expected = theirs.generate(
        prompt,
        attention_mask=torch.ones_like(prompt),
        do_sample=False,
        temperature=None,
        repetition_penalty=penalty,
        max_new_tokens=40,
    )
    assert ours == expected[0, 9:].tolist()
    assert len(ours) == 40
