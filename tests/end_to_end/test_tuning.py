"""Going on from a model: text, conversations, frozen parts, and what is refused."""

import json
from pathlib import Path
from typing import Any

import pytest
from transformers import AutoModelForCausalLM, AutoTokenizer

from tests.end_to_end.conftest import Copy, Result, Tissu, Trained, log_of, snapshot
from tests.samples import STORY
from tissu_core.checkpoint.weights import load_tensors
from tissu_core.storage import read_manifest, sha256_file
from tissu_core.text.tokenizer import Tokenizer

COLOURS = {"red": "poppy", "blue": "sky", "green": "grass"}


def write_chats(path: Path, *, count: int = 120) -> Path:
    lines = []
    for number in range(count):
        colour = [*COLOURS][number % 3]
        turns = [
            {"role": "user", "content": f"What is {colour}?"},
            {"role": "assistant", "content": f"The {COLOURS[colour]} is {colour}."},
        ]
        lines.append(json.dumps({"messages": turns}) + "\n")
    path.write_text("".join(lines), encoding="utf-8")
    return path


@pytest.fixture
def chats(tmp_path: Path) -> Path:
    return write_chats(tmp_path / "chats.jsonl")


def tune(tissu: Tissu, data: Path, *options: str | Path) -> Result:
    return tissu(
        *("train", data, "--from", "cloth", "--name", "tuned", "--threads", "1"),
        *("--batch-tokens", "1024", *options),
    )


def scores(run: Path) -> list[tuple[int, float]]:
    found = [event for event in log_of(run) if event["event"] == "EvalFinished"]
    return [(event["step"], event["bits_per_byte"]) for event in found]


def test_a_base_model_learns_to_answer(trained_copy: Copy, chats: Path) -> None:
    tissu = trained_copy().tissu
    options = ("--context", "64", "--steps", "80", "--optimizer", "muon", "--lr", "0.03")
    result = tune(tissu, chats, *options)
    assert result.code == 0, result.err
    for colour, thing in COLOURS.items():
        answer = tissu("chat", "tuned", "-p", f"What is {colour}?", "--temperature", "0")
        assert answer.out.strip() == f"The {thing} is {colour}.", answer.err


def test_transformers_converses_with_what_was_tuned(trained_copy: Copy, chats: Path) -> None:
    """The template is in its place, and the end of a turn ends a reply."""
    tissu = trained_copy().tissu
    assert tune(tissu, chats, "--context", "64", "--steps", "4").code == 0
    path = tissu.home / "runs/tuned/model"
    tokenizer = AutoTokenizer.from_pretrained(path)
    turns = [{"role": "user", "content": "What is red?"}]
    prompt = tokenizer.apply_chat_template(turns, tokenize=False, add_generation_prompt=True)
    assert prompt == "<|im_start|>user\nWhat is red?<|im_end|>\n<|im_start|>assistant\n"
    ends = AutoModelForCausalLM.from_pretrained(path).generation_config.eos_token_id
    assert tokenizer.convert_ids_to_tokens(ends) == ["<|endoftext|>", "<|im_end|>"]


def test_text_of_another_kind_is_learned_and_where_it_began_is_said(
    trained_copy: Copy, tmp_path: Path
) -> None:
    trained = trained_copy()
    text = tmp_path / "story.txt"
    text.write_text(STORY * 8, encoding="utf-8")
    before = snapshot(trained.run)
    result = tune(trained.tissu, text, "--context", "16", "--steps", "20")
    assert result.code == 0, result.err
    run, origin = trained.tissu.home / "runs/tuned", trained.run / "model"
    (first, untuned), *_, (last, tuned) = scores(run)
    assert (first, last) == (0, 20) and tuned < untuned - 0.1
    assert snapshot(trained.run) == before
    config = json.loads((run / "model/config.json").read_text("utf-8"))
    assert config == json.loads((origin / "config.json").read_text("utf-8")), "16 is of windows"
    assert Tokenizer.load(run / "model").sha256 == Tokenizer.load(origin).sha256
    (source,) = read_manifest(run / "model")["lineage"]
    assert source["path"] == str(origin.resolve())
    assert source["sha256"] == sha256_file(origin / "model.safetensors")


def test_frozen_parts_are_those_of_the_origin_and_resumed_as_such(
    trained_copy: Copy, chats: Path
) -> None:
    trained = trained_copy()
    tissu, run = trained.tissu, trained.tissu.home / "runs/tuned"
    options = ("--context", "64", "--freeze", "embed,layers.0.attn")
    result = tune(tissu, chats, *options, "--steps", "6")
    assert result.code == 0 and "frozen: 7 of 14 tensors" in result.err, result.err
    assert tissu("train", "--resume", "tuned", "--override", "--steps", "9").code == 0
    before = load_tensors(trained.run / "model/model.safetensors")
    after = load_tensors(run / "checkpoints/step-000009/model.safetensors")
    same = {name for name, tensor in before.items() if bool((after[name] == tensor).all())}
    assert same == {name for name in before if "embed" in name or "self_attn" in name}
    moments = load_tensors(run / "checkpoints/step-000009/optimizer.safetensors")
    assert not same & {name.rpartition("/")[0] for name in moments}
    other = tissu("train", "--resume", "tuned", "--override", "--freeze", "head", "--steps", "12")
    assert other.code == 2 and "tuning.freeze" in other.error[0]


@pytest.mark.parametrize(
    ("options", "code", "words"),
    [
        (["--width", "64"], 2, ["--width is 64", "has 32"]),
        (["--depth", "3"], 2, ["--layers is 3", "has 1"]),
        (["--norm", "layernorm"], 2, ["--norm is layernorm", "has rmsnorm"]),
        (["--vocab-size", "300"], 2, ["--vocab-size", "of its own"]),
        (["--tokenizer", "cloth"], 2, ["--tokenizer", "of its own"]),
        (["--freeze", "layers.0.atention"], 2, ["no tensor matches", "self_attn"]),
        (["--freeze", "embed,head,norm,layers"], 2, ["nothing to learn"]),
        (["--from", "clot"], 3, ["no model", "cloth"]),
        (["--format", "text"], 3, ["no text", "--from MODEL"]),
        (["--context", "8"], 3, ["longer than 8 tokens", "--context"]),
    ],
)
def test_what_cannot_be_tuned_is_refused_and_nothing_is_made(
    trained_copy: Copy, chats: Path, options: list[str], code: int, words: list[str]
) -> None:
    tissu = trained_copy().tissu
    result = tune(tissu, chats, "--context", "64", "--steps", "4", *options)
    assert result.code == code, result.err
    assert all(word in "\n".join(result.error) for word in words), result.err
    assert not (tissu.home / "runs/tuned").exists()


def test_a_longer_context_than_was_learned_is_refused_where_positions_are_learned(
    tissu: Tissu, corpus: Path, chats: Path
) -> None:
    shape = ["--layers", "1", "--width", "32", "--heads", "2", "--context", "32"]
    options = [*shape, "--vocab-size", "320", "--pos", "learned", "--steps", "2"]
    assert tissu("train", corpus, "--name", "cloth", "--threads", "1", *options).code == 0
    result = tune(tissu, chats, "--context", "64", "--steps", "2")
    assert result.code == 2 and "32 positions" in result.error[0]


def test_conversations_alone_make_no_model(tissu: Tissu, chats: Path) -> None:
    result = tissu("train", chats)
    assert result.code == 3 and "--from MODEL" in result.error[2]
    asked = tissu("train", chats, "--format", "chats")
    assert asked.code == 2 and "--from MODEL" in asked.error[2]


def test_tokens_are_shown_before_they_are_learned(trained_once: Trained, chats: Path) -> None:
    tissu = trained_once.tissu
    found: dict[str, Any] = tissu("tokenize", "show", chats, "-t", "cloth", "--json").json
    first, *rest = found["conversations"]
    assert len(rest) == 2 and first["where"] == f"{chats}:1"
    learned = [token for token, on in zip(first["tokens"], first["mask"], strict=True) if on]
    assert "".join(learned) == "The poppy is red.<|im_end|>"
    assert first["labels"] == [
        id if on else -100 for id, on in zip(first["ids"], first["mask"], strict=True)
    ]
    drawn = tissu("tokenize", "show", chats, "-t", "cloth", "--limit", "1", "--ids")
    assert drawn.code == 0 and "[<|im_end|>:3]" in drawn.out and "|<|im_start|>:2" in drawn.out
    assert all(not line.startswith(":") for line in drawn.out.splitlines())
    assert f"{sum(first['mask'])} of {len(first['mask'])} tokens are learned" in drawn.out
