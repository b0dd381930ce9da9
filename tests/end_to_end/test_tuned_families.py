"""Going on from a model of every kind: what comes out, transformers opens with the same logits."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedModel

from tests.end_to_end.conftest import Tissu, write_corpus
from tests.end_to_end.test_tuning import write_chats
from tests.gguf_files import Q8_0, write_gguf
from tests.parity import test_families, test_gemma_and_mixtral
from tests.parity.test_gguf import CASES, FACTS
from tests.samples import CHATML, CPU, MIXED_TEXTS, random_ids
from tissu_core.checkpoint.model_directory import load_model
from tissu_core.checkpoint.weights import load_tensors
from tissu_core.text.conversation import with_chat_template
from tissu_core.text.tokenizer import Tokenizer

THEIRS: dict[str, Callable[[], PreTrainedModel]] = {
    **test_families.THEIRS,
    **test_gemma_and_mixtral.THEIRS,
}
NAMES = ["llama", "smollm2", "smollm3", "qwen2", "qwen3", "mistral", "phi3 long", "gpt2", "mpt"]
NAMES += ["gemma2", "gemma3_text", "gemma3", "mixtral"]
TUNE = ["--steps", "2", "--batch-tokens", "128", "--threads", "1", "--name", "tuned"]


def write_theirs(folder: Path, name: str, tokenizer: Tokenizer, **options: object) -> Path:
    model = THEIRS[name]().to(options.pop("dtype", torch.float32))
    model.save_pretrained(folder, **options)
    tokenizer.save(folder)
    return folder


def tune(tissu: Tissu, origin: Path, data: Path, *options: str) -> Path:
    result = tissu("train", data, "--from", origin, *TUNE, *options)
    assert result.code == 0, result.err
    return tissu.home / "runs/tuned/model"


def assert_transformers_agrees(made: Path) -> None:
    ours, theirs = load_model(made, CPU).model, AutoModelForCausalLM.from_pretrained(made).eval()
    ids = random_ids(2, 30)
    with torch.no_grad():
        assert (ours(ids) - theirs(ids).logits).abs().max() < 1e-4


def assert_tokenizers_agree(made: Path, origin: Path) -> None:
    ours, theirs = AutoTokenizer.from_pretrained(made), AutoTokenizer.from_pretrained(origin)
    for text in MIXED_TEXTS:
        assert ours.encode(text) == theirs.encode(text)
    assert ours.special_tokens_map == theirs.special_tokens_map
    assert ours.chat_template == theirs.chat_template


@pytest.mark.parametrize("name", NAMES)
def test_a_family_stays_itself(
    name: str, tissu: Tissu, tiny_tokenizer: Tokenizer, tmp_path: Path
) -> None:
    origin = write_theirs(tmp_path / "origin", name, with_chat_template(tiny_tokenizer))
    before = load_model(origin, CPU).model
    made = tune(tissu, origin, write_chats(tmp_path / "chats.jsonl", count=12))
    assert_transformers_agrees(made)
    assert_tokenizers_agree(made, origin)
    after = load_model(made, CPU).model
    assert after.config == before.config
    assert not torch.equal(after.lm_head.weight, before.lm_head.weight)
    told = json.loads((made / "config.json").read_text())["model_type"]
    assert told == (
        "gemma3_text" if name == "gemma3" else name.split()[0].replace("smollm2", "llama")
    )


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_shards_of_half_precision_go_on_in_full(
    dtype: torch.dtype, tissu: Tissu, tiny_tokenizer: Tokenizer, tmp_path: Path
) -> None:
    origin = write_theirs(
        tmp_path / "origin", "llama", tiny_tokenizer, dtype=dtype, max_shard_size="20KB"
    )
    assert len([*origin.glob("model-*.safetensors")]) > 2
    made = tune(tissu, origin, write_corpus(tmp_path / "text", 2), "--context", "32")
    assert_transformers_agrees(made)
    tensors = load_tensors(made / "model.safetensors")
    assert {tensor.dtype for tensor in tensors.values()} == {torch.float32}


def test_a_gguf_goes_on_as_a_directory_also_when_it_is_gone(
    tissu: Tissu, tiny_tokenizer: Tokenizer, tmp_path: Path
) -> None:
    folder = tmp_path / "folder"
    CASES["llama tied"][1]().save_pretrained(folder)
    origin = write_gguf(
        tmp_path / "m.gguf", folder, "llama", FACTS, tokenizer=tiny_tokenizer, kind=Q8_0
    )
    made = tune(tissu, origin, write_chats(tmp_path / "chats.jsonl"))
    assert_transformers_agrees(made)
    origin.unlink()
    again = tissu("train", "--resume", "tuned", "--override", "--steps", "4")
    assert again.code == 0, again.err
    assert_transformers_agrees(made)


def test_templates_and_ends_of_replies_are_kept(
    tissu: Tissu, tiny_tokenizer: Tokenizer, tmp_path: Path
) -> None:
    origin = write_theirs(tmp_path / "origin", "llama", tiny_tokenizer)
    (origin / "chat_template.jinja").write_text(CHATML)
    (origin / "additional_chat_templates").mkdir()
    (origin / "additional_chat_templates/tool_use.jinja").write_text("tools\n" + CHATML)
    ends = json.loads((origin / "generation_config.json").read_text()) | {"eos_token_id": [3, 9]}
    (origin / "generation_config.json").write_text(json.dumps(ends))
    made = tune(tissu, origin, write_chats(tmp_path / "chats.jsonl"))
    assert_tokenizers_agree(made, origin)
    assert set(AutoTokenizer.from_pretrained(made).chat_template) == {"default", "tool_use"}
    assert {3, 9} <= {*AutoModelForCausalLM.from_pretrained(made).generation_config.eos_token_id}


def test_a_model_keeps_its_template_where_another_read_the_text_before(
    tissu: Tissu, tiny_tokenizer: Tokenizer, tmp_path: Path
) -> None:
    """Of one vocabulary and one text the tokens are kept, and each model has its own template."""
    text = write_corpus(tmp_path / "text", 2)
    base = write_theirs(tmp_path / "base", "llama", tiny_tokenizer)
    shutil.copytree(base, tmp_path / "chat")
    (tmp_path / "chat/chat_template.jinja").write_text(CHATML)
    tune(tissu, base, text, "--context", "32")
    shutil.rmtree(tissu.home / "runs/tuned")
    made = tune(tissu, tmp_path / "chat", text, "--context", "32")
    assert AutoTokenizer.from_pretrained(made).chat_template == CHATML
