"""Tokenizers of other programs, taken over and used through the real commands."""

import json
from pathlib import Path

import pytest
import sentencepiece
import tiktoken
from transformers import AutoTokenizer

from tests.core.text.imported.made import (
    HARD_TEXTS,
    like_llama,
    rank_file,
    ranks,
    sentencepiece_model,
)
from tests.end_to_end.conftest import FAST, Tissu, Trained
from tests.samples import CHATML, MIXED_TEXTS, STORY
from tissu_core.storage import verify
from tissu_core.text.learning import learn
from tissu_core.text.splits import LLAMA3
from tissu_core.text.tokenizer import Tokenizer

TEXT = "\n".join([STORY, *MIXED_TEXTS])
TINY = [*FAST[:8], *FAST[10:], "--steps", "4"]


@pytest.fixture
def llama(tmp_path: Path) -> Path:
    path = tmp_path / "foreign" / "tokenizer.model"
    path.parent.mkdir()
    path.write_bytes(like_llama()[0])
    return path


def ids_of(tissu: Tissu, tokenizer: Path, text: str) -> list[int]:
    encoded = tissu("tokenize", "encode", "-t", tokenizer, stdin=text)
    assert encoded.code == 0, encoded.err
    assert tissu("tokenize", "decode", "-t", tokenizer, stdin=encoded.out).out == text
    return [*map(int, encoded.out.split())]


def test_a_sentencepiece_model_is_taken_over(tissu: Tissu, llama: Path, tmp_path: Path) -> None:
    (llama.parent / "tokenizer_config.json").write_text(json.dumps({"chat_template": CHATML}))
    out = tmp_path / "ours"
    made = tissu("tokenize", "import", llama, "-o", out, "--json")
    assert made.code == 0, made.err
    assert made.json["kind"] == "SentencePiece"
    assert (made.json["start_token"], made.json["end_token"]) == ("<s>", "</s>")
    assert made.json["is_exact"] is True
    manifest = verify(out)
    assert manifest["source"]["path"] == str(llama)
    model = sentencepiece.SentencePieceProcessor(model_file=str(llama))
    assert ids_of(tissu, out, TEXT) == model.encode(TEXT)
    theirs = AutoTokenizer.from_pretrained(out)
    assert theirs.encode(STORY, add_special_tokens=False) == model.encode(STORY)
    assert (theirs.bos_token, theirs.eos_token) == ("<s>", "</s>")
    assert Tokenizer.load(out).chat_template == CHATML


def test_ranks_are_taken_over_with_a_pattern(tissu: Tissu, tmp_path: Path) -> None:
    found = ranks()
    theirs = tiktoken.Encoding("x", pat_str=LLAMA3, mergeable_ranks=found, special_tokens={})
    file, out = tmp_path / "mine.tiktoken", tmp_path / "out"
    file.write_bytes(rank_file(found))
    for more, code, said in (
        ([], 2, "tokens alone"),
        (["--pattern", "(("], 2, "--pattern is no pattern"),
        (["--pattern", "cl100k_base"], 3, "another encoding"),
    ):
        refused = tissu("tokenize", "import", file, "-o", out, *more)
        assert refused.code == code
        assert said in refused.error[0]
    made = tissu("tokenize", "import", file, "-o", out, "--pattern", LLAMA3)
    assert made.code == 0, made.err
    assert "ends with <|endoftext|>" in made.err
    assert ids_of(tissu, out, TEXT) == theirs.encode(TEXT, disallowed_special=())


def test_a_tokenizer_json_is_taken_over_with_what_lies_beside(tissu: Tissu, tmp_path: Path) -> None:
    theirs = tmp_path / "theirs"
    theirs.mkdir()
    learn([STORY], 400, "gpt2").save(theirs)
    facts = {"tokenizer_class": "GPT2Tokenizer", "eos_token": None, "auto_map": {"a": "b.py"}}
    (theirs / "tokenizer_config.json").write_text(json.dumps(facts))
    (theirs / "special_tokens_map.json").write_text(json.dumps({"eos_token": "<|im_end|>"}))
    reference = AutoTokenizer.from_pretrained(theirs, tokenizer_class="PreTrainedTokenizerFast")
    for source in (theirs, theirs / "tokenizer.json"):
        out = tmp_path / f"from-{source.name}"
        assert tissu("tokenize", "import", source, "-o", out).code == 0
        assert ids_of(tissu, out, STORY) == reference.encode(STORY)
        ours = Tokenizer.load(out)
        assert (ours.end_id, ours.start_id) == (3, 0)
        assert ours.config["tokenizer_class"] == "PreTrainedTokenizerFast"
        assert "auto_map" not in ours.config


def test_a_model_of_tissu_lends_its_tokenizer(trained_once: Trained, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert trained_once.tissu("tokenize", "import", "cloth", "-o", out).code == 0
    assert Tokenizer.load(out).sha256 == Tokenizer.load(trained_once.run / "model").sha256


@pytest.mark.parametrize("kind", ["bpe", "unigram"])
def test_a_model_is_trained_and_used_with_one(
    tissu: Tissu, corpus: Path, tmp_path: Path, kind: str
) -> None:
    data = (
        like_llama()[0]
        if kind == "bpe"
        else sentencepiece_model(
            "unigram",
            byte_fallback=False,
            rule="nmt_nfkc",
            user_defined_symbols=",".join(f"<x{number}>" for number in range(150)),
        )
    )
    (tmp_path / "m.model").write_bytes(data)
    made = tissu("tokenize", "import", tmp_path / "m.model", "-o", tmp_path / "t")
    assert ("does not keep every text" in made.err) == (kind == "unigram")
    result = tissu("train", corpus, "--tokenizer", tmp_path / "t", "--name", "r", *TINY)
    assert result.code == 0, result.err
    assert ("count the bytes of its tokens" in result.err) == (kind == "unigram")
    config = json.loads((tissu.home / "runs" / "r" / "model" / "config.json").read_text())
    assert (config["bos_token_id"], config["eos_token_id"]) == (1, 2)
    held = tmp_path / "text.txt"
    held.write_text("The señor has 織物  — mended,\t1874.", encoding="utf-8")
    score = tissu("eval", "ppl", held, "-m", "r", "--json").json
    assert score["num_bytes"] == held.stat().st_size
    whole = tissu("generate", "r", "-p", "The wea", "--max-tokens", "8", "--seed", "1", "--json")
    assert whole.code == 0, whole.err
    assert tissu("chat", "r", "-p", "The weaver ", "--max-tokens", "5").code == 0
    figures = tissu("tokenize", "stats", corpus, "-t", tmp_path / "t", "--json").json
    assert figures["tokenizers"][0]["is_exact"] == (kind == "bpe")


MODEL = like_llama()[0]
PANIC = json.dumps(
    {
        "version": "1.0",
        "added_tokens": [],
        "model": {
            "type": "BPE",
            "continuing_subword_prefix": "####",
            "vocab": {"a": 0, "b": 1, "ab": 2},
            "merges": ["a b"],
        },
    }
).encode()


@pytest.mark.parametrize(
    ("name", "data", "said"),
    [
        ("a.model", MODEL[:-40], "byte "),
        ("a.model", b"\x89PNG\r\n\x1a\n" + bytes(40), "byte 10"),
        ("a.model", b"", "pieces for the unknown"),
        ("gpt2.tiktoken", b"QQ== 0\nQg== x\n", "line 2"),
        ("tokenizer.json", b'{"version": "1.0"}', "no tokenizer"),
        ("tokenizer.json", PANIC, "no tokenizer"),
        ("tokenizer.json", b'{"model": ' + b"[" * 100_000, "no tokenizer"),
    ],
)
def test_what_is_damaged_is_named_and_nothing_is_written(
    tissu: Tissu, tmp_path: Path, name: str, data: bytes, said: str
) -> None:
    path = tmp_path / name
    path.write_bytes(data)
    result = tissu("tokenize", "import", path, "-o", tmp_path / "out")
    assert result.code == 3
    assert str(path) in result.error[0]
    assert said in result.error[0]
    assert not (tmp_path / "out").exists()


def test_a_panic_leaves_three_lines(tissu: Tissu, tmp_path: Path) -> None:
    (tmp_path / "tokenizer.json").write_bytes(PANIC)
    result = tissu.process("tokenize", "encode", "x", "-t", tmp_path, RUST_BACKTRACE="1")
    assert result.code == 3
    assert len(result.err.splitlines()) == 3
    assert result.error


@pytest.mark.parametrize(
    ("source", "more", "code", "said"),
    [
        ("nowhere", [], 3, "nowhere"),
        (".", [], 3, "no tokenizer"),
        ("foreign/tokenizer.model", ["--pattern", "gpt2"], 2, "SentencePiece"),
    ],
)
def test_what_cannot_be_taken_over_is_said(
    tissu: Tissu, llama: Path, source: str, more: list[str], code: int, said: str
) -> None:
    home = llama.parent.parent
    given = home / source if source != "nowhere" else source
    result = tissu("tokenize", "import", given, "-o", home / "out", *more)
    assert result.code == code
    assert said in result.error[0]


def test_every_hard_text_comes_back(tissu: Tissu, llama: Path, tmp_path: Path) -> None:
    assert tissu("tokenize", "import", llama, "-o", tmp_path / "t").code == 0
    ours = Tokenizer.load(tmp_path / "t")
    assert [ours.decode(ours.encode(text)) for text in HARD_TEXTS] == list(HARD_TEXTS)
