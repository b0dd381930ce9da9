"""Averages, noise, growing batches and ways of attention, through the real command."""

import json
from pathlib import Path

import pytest

from tests.end_to_end.conftest import FAST, Tissu, log_of, write_corpus
from tissu_core.checkpoint.training_state import RAW_FILE

SHORT = ["--name", "r", "--steps", "6", "--eval-every", "3", "--precision", "fp32", *FAST]
EACH = ["--set", "training.log_every=1"]


def losses(tissu: Tissu) -> list[float]:
    log = log_of(tissu.home / "runs" / "r")
    return [event["loss"] for event in log if event["event"] == "StepFinished"]


@pytest.mark.parametrize(
    ("options", "is_changed"),
    [
        (["--ema", "0.9"], False),
        (["--embed-noise", "0.5"], True),
        (["--neftune", "20"], True),
        (["--document-mask"], True),
        (["--attn-impl", "eager"], False),
        (["--attn-impl", "flash"], False),
    ],
)
def test_each_trains_and_only_what_regularises_changes_the_loss(
    tissu: Tissu, tmp_path: Path, options: list[str], is_changed: bool
) -> None:
    folder = tmp_path / "short"
    folder.mkdir()
    lines = [
        json.dumps({"text": line})
        for path in write_corpus(tmp_path / "long").glob("*.txt")
        for line in path.read_text("utf-8").splitlines()
    ]
    (folder / "texts.jsonl").write_text("\n".join(lines), "utf-8")
    assert tissu("train", folder, *SHORT, *EACH).code == 0
    plain = losses(tissu)
    (tissu.home / "runs" / "r").rename(tmp_path / "before")
    result = tissu("train", folder, *SHORT, *EACH, *options)
    assert result.code == 0, result.err
    found = losses(tissu)
    assert len(found) == 6
    assert (found != pytest.approx(plain, rel=1e-4)) == is_changed
    checkpoint = tissu.home / "runs" / "r" / "checkpoints" / "step-000006"
    assert (checkpoint / RAW_FILE).exists() == ("--ema" in options)


def test_the_log_shows_a_batch_that_grows(tissu: Tissu, corpus: Path) -> None:
    options = ["--name", "r", "--steps", "6", "--batch-ramp", "2:6:4", *FAST[:10], "--threads", "1"]
    result = tissu("train", corpus, *options, *EACH)
    assert result.code == 0, result.err
    assert "the batch grows from 2 sequences to 6" in result.err
    log = log_of(tissu.home / "runs" / "r")
    read = [event["tokens"] // 32 for event in log if event["event"] == "StepFinished"]
    assert read == [2, 4, 8, 12, 18, 24]


@pytest.mark.parametrize(
    ("options", "code", "said"),
    [
        (["--attn-impl", "flex"], 4, "no backward on a CPU"),
        (["--attn-impl", "flash", "--attn-dropout", "0.1"], 4, "does not compute this model"),
        (["--attn-impl", "paged"], 2, "--attn-impl"),
        (["--batch-ramp", "8:60:10"], 2, "--batch-ramp"),
        (["--batch-ramp", "8:64:10"], 2, "--batch-tokens"),
        (["--ema", "1"], 2, "--ema"),
        (["--neftune", "-1"], 2, "--neftune"),
    ],
)
def test_what_cannot_be_is_refused(
    tissu: Tissu, corpus: Path, options: list[str], code: int, said: str
) -> None:
    result = tissu("train", corpus, *SHORT, *options)
    assert result.code == code, result.err
    assert said in " ".join(result.error)


def test_conversations_are_not_parted_by_a_mark_that_they_lack(tissu: Tissu, corpus: Path) -> None:
    assert tissu("train", corpus, *SHORT).code == 0
    line = {"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]}
    chats = corpus.parent / "chats.jsonl"
    chats.write_text("\n".join([json.dumps(line)] * 40), "utf-8")
    result = tissu("train", chats, "--from", "r", "--steps", "2", "--document-mask")
    assert result.code == 2, result.err
    assert "conversations" in result.error[0]
