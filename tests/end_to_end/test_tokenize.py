"""Tokenizers through the real commands: made, used, measured, and trained with."""

import json
import shutil
from pathlib import Path

import pytest

from tests.end_to_end.conftest import FAST, Tissu, Trained
from tests.samples import MIXED_TEXTS, STORY
from tissu_core.storage import sealed_directory, verify
from tissu_core.text.learning import learn
from tissu_core.text.special_tokens import SPECIAL_TOKENS
from tissu_core.text.tokenizer import Tokenizer

TINY = [*FAST[:8], *FAST[10:], "--steps", "4"]
assert "--vocab-size" not in TINY
TEXT = "\n".join([STORY, *MIXED_TEXTS])
KINDS = ("bpe", "char", "word")


@pytest.fixture
def words(tissu: Tissu, corpus: Path, tmp_path: Path) -> Path:
    made = tissu("tokenize", "train", corpus, "-o", tmp_path / "words", "--type", "word")
    assert made.code == 0, made.err
    return tmp_path / "words"


@pytest.mark.parametrize("kind", KINDS)
def test_a_tokenizer_is_made_and_gives_back_what_it_reads(
    tissu: Tissu, corpus: Path, tmp_path: Path, kind: str
) -> None:
    out = tmp_path / "made" / "tokenizer"
    made = tissu("tokenize", "train", corpus, "-o", out, "--type", kind, "--vocab-size", "330")
    assert made.code == 0, made.err
    assert made.out == ""
    assert f"--tokenizer {out}" in made.err
    manifest = verify(out)
    assert manifest["type"] == kind
    assert manifest["is_exportable"] == (kind == "bpe")
    encoded = tissu("tokenize", "encode", "-t", out, stdin=TEXT)
    assert [*map(int, encoded.out.split())] == Tokenizer.load(out).encode(TEXT)
    assert tissu("tokenize", "decode", "-t", out, stdin=encoded.out).out == TEXT
    ids = tissu("tokenize", "encode", "織 <|pad|>", "-t", out, "--json").json["ids"]
    assert not set(ids) & set(range(16))
    decoded = tissu("tokenize", "decode", *map(str, ids), "-t", out, "--json")
    assert decoded.json == {"text": "織 <|pad|>"}


def test_the_same_corpus_gives_the_same_bytes(tissu: Tissu, corpus: Path, tmp_path: Path) -> None:
    for name in ("a", "b"):
        assert (
            tissu("tokenize", "train", corpus, "-o", tmp_path / name, "--pattern", "code").code == 0
        )
    names = sorted(path.name for path in (tmp_path / "a").iterdir())
    assert names == ["tissu.json", "tokenizer.json", "tokenizer_config.json"]
    for name in names:
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


def test_a_directory_with_something_in_it_is_refused(
    tissu: Tissu, corpus: Path, words: Path
) -> None:
    before = (words / "tokenizer.json").read_bytes()
    result = tissu("tokenize", "train", corpus, "-o", words)
    assert result.code == 2
    assert str(words) in result.error[0]
    assert (words / "tokenizer.json").read_bytes() == before


def test_a_pattern_goes_with_bpe_alone(tissu: Tissu, corpus: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    result = tissu("tokenize", "train", corpus, "-o", out, "--type", "char", "--pattern", "gpt2")
    assert result.code == 2
    assert "--pattern is gpt2" in result.error[0]
    assert not out.exists()


def test_empty_text_has_no_ids(tissu: Tissu, words: Path) -> None:
    assert tissu("tokenize", "encode", "-t", words).out == "\n"
    assert tissu("tokenize", "encode", "-t", words, "--json").json == {"ids": []}
    assert tissu("tokenize", "decode", "-t", words, "--json").json == {"text": ""}


@pytest.mark.parametrize(
    ("arguments", "stdin", "code", "word"),
    [
        (["decode", "999999"], "", 3, "999999"),
        (["decode", "x"], "", 2, "IDS"),
        (["decode"], "12 seven", 3, "seven"),
        (["encode"], b"ok \xff", 3, "byte 3"),
    ],
)
def test_what_cannot_be_read_is_named(
    tissu: Tissu, words: Path, arguments: list[str], stdin: str | bytes, code: int, word: str
) -> None:
    result = tissu("tokenize", *arguments, "-t", words, stdin=stdin)
    assert result.code == code
    assert word in result.error[0]


def test_stats_of_known_text(tissu: Tissu, tmp_path: Path) -> None:
    learn(["é é é ñ"], 273, "char").save(tmp_path)  # é is the one character beyond bytes
    (tmp_path / "text").mkdir()
    (tmp_path / "text" / "a.txt").write_text("é ñ é", encoding="utf-8")
    result = tissu("tokenize", "stats", tmp_path / "text", "-t", tmp_path, "--json")
    (figures,) = result.json["tokenizers"]
    assert figures["num_bytes"] == 8
    assert figures["num_tokens"] == 6  # é, space, two bytes of ñ, space, é
    assert figures["bytes_per_token"] == pytest.approx(8 / 6)
    assert figures["tokens_per_character"] == pytest.approx(6 / 5)
    assert figures["tokens_per_word"] == pytest.approx(2)
    assert figures["fallback_rate"] == pytest.approx(1 / 5)
    assert figures["unused_ids"] == 257 - 4
    assert figures["longest_tokens"][0] == "é"
    assert figures["is_exact"] is True


def test_tokenizers_are_shown_beside_each_other(tissu: Tissu, words: Path, corpus: Path) -> None:
    table = tissu("tokenize", "stats", corpus, "-t", words, "-t", words)
    assert table.code == 0
    assert "round trip exact" in table.out
    compared = tissu("tokenize", "compare", "The weaver\x1b moved", "-t", words)
    assert "The| weaver|␛| moved" in compared.out
    file = tissu("tokenize", "compare", corpus / "text-00.txt", "-t", words, "--json")
    (facts,) = file.json["tokenizers"]
    assert facts["num_bytes"] == (corpus / "text-00.txt").stat().st_size
    assert "".join(facts["tokens"]) == (corpus / "text-00.txt").read_text("utf-8")[:1000]


def test_a_model_and_the_newest_one_name_their_tokenizer(trained_once: Trained) -> None:
    named, newest = (
        trained_once.tissu("tokenize", "encode", "The weaver", *which)
        for which in (["-t", "cloth"], [])
    )
    assert named.code == 0
    assert named.out == newest.out


@pytest.mark.parametrize("kind", ["char", "word"])
def test_a_model_is_trained_with_a_given_tokenizer(
    tissu: Tissu, corpus: Path, tmp_path: Path, kind: str
) -> None:
    given = tmp_path / "given"
    tissu("tokenize", "train", corpus, "-o", given, "--type", kind)
    result = tissu("train", corpus, "--tokenizer", given, "--name", "r", *TINY)
    assert result.code == 0, result.err
    assert "llama.cpp" in result.err
    model = tissu.home / "runs" / "r" / "model"
    assert Tokenizer.load(model).sha256 == Tokenizer.load(given).sha256
    config = (tissu.home / "runs" / "r" / "config.toml").read_text("utf-8")
    assert f'tokenizer = "{given.resolve()}"' in config
    assert Tokenizer.load(given).sha256 in config
    (tmp_path / "text.txt").write_text("The señor has 織物 — mended, 1874.", encoding="utf-8")
    score = tissu("eval", "ppl", tmp_path / "text.txt", "-m", "r", "--json").json
    assert score["num_bytes"] == (tmp_path / "text.txt").stat().st_size
    assert tissu("generate", "r", "-p", "The wea", "--max-tokens", "5").code == 0


def test_another_tokenizer_makes_other_tokens(tissu: Tissu, corpus: Path, words: Path) -> None:
    def keys() -> set[str]:
        return {path.name for path in (tissu.home / "cache" / "tokens").iterdir()}

    plan = ["train", corpus, "--dry-run", "--tokenizer", words, *TINY]
    assert tissu(*plan).code == 0
    first = keys()
    assert tissu(*plan).code == 0
    assert keys() == first
    (words / "tissu.json").unlink()
    facts = json.loads((words / "tokenizer_config.json").read_text("utf-8"))
    facts |= {"bos_token": "<|im_start|>", "add_bos_token": True}  # each document is led by it
    (words / "tokenizer_config.json").write_text(json.dumps(facts))
    assert tissu(*plan).code == 0
    assert len(keys()) == len(first) + 1


def test_a_vocabulary_has_one_size(tissu: Tissu, corpus: Path, words: Path) -> None:
    result = tissu("train", corpus, "--tokenizer", words, *TINY, "--vocab-size", "5000")
    assert result.code == 2
    assert "--vocab-size is 5,000" in result.error[0]


def test_a_damaged_tokenizer_is_refused(tissu: Tissu, corpus: Path, words: Path) -> None:
    path = words / "tokenizer.json"
    path.write_bytes(path.read_bytes().replace(b"weaver", b"weavre"))
    result = tissu("train", corpus, "--tokenizer", words, *TINY)
    assert result.code == 6
    assert "damaged" in result.error[0]


def foreign(directory: Path, eos: str | None) -> Path:
    """A tokenizer as another program writes it: no control token of ours."""
    directory.mkdir()
    text = learn([STORY], 300, "qwen2").backend.to_str()
    for number, spelling in enumerate(SPECIAL_TOKENS):
        text = text.replace(json.dumps(spelling), f'"<{number}>"')
    (directory / "tokenizer.json").write_text(text, encoding="utf-8")
    if eos:
        (directory / "tokenizer_config.json").write_text(json.dumps({"eos_token": eos}))
    return directory


def test_a_foreign_tokenizer_needs_an_end_of_text(
    tissu: Tissu, corpus: Path, tmp_path: Path
) -> None:
    without = tissu("train", corpus, "--tokenizer", foreign(tmp_path / "a", None), *TINY)
    assert without.code == 3
    assert "to end a text" in without.error[0]
    assert "eos_token" in without.error[2]
    given = foreign(tmp_path / "b", "<2>")
    result = tissu("train", corpus, "--tokenizer", given, "--name", "r", *TINY)
    assert result.code == 0, result.err
    assert Tokenizer.load(tissu.home / "runs" / "r" / "model").end_id == 2


def test_a_tokenizer_that_is_not_byte_level_is_refused(
    tissu: Tissu, corpus: Path, words: Path, tmp_path: Path
) -> None:
    facts = json.loads((words / "tokenizer.json").read_text("utf-8"))
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "tokenizer.json").write_text(json.dumps({**facts, "decoder": None}))
    result = tissu("train", corpus, "--tokenizer", tmp_path / "other", *TINY)
    assert result.code == 3
    assert "byte-level" in result.error[0]


@pytest.fixture
def stopped(tissu: Tissu, corpus: Path, words: Path) -> Path:
    """A run with a given tokenizer whose last steps are missing."""
    result = tissu("train", corpus, "--tokenizer", words, "--name", "r", "--save-every", "2", *TINY)
    assert result.code == 0, result.err
    run = tissu.home / "runs" / "r"
    shutil.rmtree(run / "model")
    return run


def test_a_resume_wants_the_tokenizer_it_began_with(
    tissu: Tissu, stopped: Path, words: Path
) -> None:
    shutil.rmtree(words)
    assert tissu("train", "--resume", "r").code == 0  # the tokens are at hand
    shutil.rmtree(tissu.home / "cache")
    assert tissu("train", "--resume", "r").code == 0  # the checkpoint has it
    learn([STORY], 300, "word").save(foreign(words, None))
    result = tissu("train", "--resume", "r")
    assert result.code == 6
    assert "not what this run began with" in result.error[0]


def test_a_checkpoint_of_another_tokenizer_is_refused_with_both_hashes(
    tissu: Tissu, stopped: Path, words: Path
) -> None:
    (checkpoint,) = (stopped / "checkpoints").glob("step-*4")
    other = learn([STORY], 300, "word")
    facts = {name: value for name, value in verify(checkpoint).items() if name != "files"}
    with sealed_directory(checkpoint, facts) as temporary:
        for path in checkpoint.iterdir():
            if path.name != "tissu.json":
                shutil.copyfile(path, temporary / path.name)
        other.save(temporary)
    result = tissu("train", "--resume", "r")
    assert result.code == 6
    for tokenizer in (other, Tokenizer.load(words)):
        assert tokenizer.sha256[:12] in result.error[0]
