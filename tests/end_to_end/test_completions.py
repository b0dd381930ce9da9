"""Files of prompts through the real command."""

import json
import os
import signal
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from tests.end_to_end.conftest import Tissu, Trained

TEXTS = [
    "The weaver counted",
    "The",
    "The miller moved 12 sacks. The sailor",
    "x",
    "The sailor mended 4 sails.\tThe miller ",
    "織物",
]
SAMPLED = ["--seed", "5", "--max-tokens", "20"]


@pytest.fixture
def prompts(tmp_path: Path) -> Path:
    path = tmp_path / "in.txt"
    path.write_text("\n\n".join(TEXTS) + "\n", "utf-8")
    return path


def complete(trained: Trained, path: Path, *options: object) -> list[dict[str, Any]]:
    result = trained.tissu("generate", "cloth", "--prompts-file", path, *map(str, options))
    assert result.code == 0, result.err
    return [json.loads(line) for line in result.out.splitlines()]


@pytest.mark.parametrize(
    "options",
    [
        ["--greedy", "--stop", ".", "--stop", "th", "--repetition-penalty", "1.3"],
        ["--seed", "9", "--logit-bias", "0=6", "--min-tokens", "3", "--presence-penalty", "1"],
    ],
    ids=" ".join,
)
def test_the_same_lines_come_from_every_batch_size(
    trained_once: Trained, prompts: Path, tmp_path: Path, options: list[str]
) -> None:
    found = []
    for size in (1, 2, 3, 5):
        out = tmp_path / f"{size}.jsonl"
        assert not complete(
            trained_once, prompts, *options, "--max-tokens", 20, "--batch-size", size, "-o", out
        )
        found.append(out.read_bytes())
    assert len(set(found)) == 1
    lines = [json.loads(line) for line in found[0].decode().splitlines()]
    assert [line["prompt"] for line in lines] == TEXTS
    assert len({line["tokens"] for line in lines}) > 1


def test_a_line_is_what_its_prompt_gives_alone(trained_once: Trained, prompts: Path) -> None:
    for line in complete(trained_once, prompts, "--greedy", "--max-tokens", 12)[::2]:
        alone = trained_once.tissu(
            "generate", "cloth", "-p", line["prompt"], "--greedy", "--max-tokens", "12", "--json"
        ).json
        assert line["text"] == alone["text"]
        assert (line["tokens"], line["reason"]) == (alone["new_tokens"], alone["reason"])


def test_other_keys_are_passed_on_and_a_prompt_too_long_is_an_error_in_its_line(
    trained_once: Trained, tmp_path: Path
) -> None:
    path = tmp_path / "in.jsonl"
    path.write_text(
        '{"id": 7, "prompt": "The weaver", "tags": ["a", {"b": null}]}\n'
        f'{{"prompt": "{"cloth " * 90}", "id": 8}}\n'
        '{"prompt": "", "id": "nine"}\r\n'
        f'{{"prompt": "{"thread " * 90}"}}',
        "utf-8",
    )
    result = trained_once.tissu("generate", "cloth", "--prompts-file", path, *SAMPLED)
    lines = [json.loads(line) for line in result.out.splitlines()]
    assert result.code == 0
    assert [line.get("id") for line in lines] == [7, 8, "nine", None]
    assert [*lines[0]] == ["prompt", "text", "tokens", "reason", "id", "tags"]
    assert lines[0]["tags"] == ["a", {"b": None}]
    assert [*lines[1]] == ["prompt", "error", "id"]
    assert "tokens and the model's context is 32" in lines[1]["error"]
    assert "2 of 4 prompts have no reply: their lines hold an error" in result.err
    assert "4 of 4 prompts, " in result.err


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("in.txt", "", "holds no prompt"),
        ("in.txt", "\n \n", "holds no prompt"),
        ("in.jsonl", '{"prompt": "a"}\n{"prompt": 3}\n', "in.jsonl:2 has no text named prompt"),
        ("in.jsonl", '{"prompt": "a"}\n\n[1]\n', "in.jsonl:3 has no text named prompt"),
        ("in.jsonl", '{"prompt": "a"}\n{"prompt": "b"', "in.jsonl:2 is not JSON"),
        ("in.jsonl", '{"prompt": "\\ud800"}\n', "in.jsonl:1 is not JSON"),
        ("in.jsonl", '{"prompt": "a", "x": NaN}\n', "in.jsonl:1 is not JSON"),
        ("in.jsonl", "[" * 100_000, "in.jsonl:1 is not JSON"),
        ("in.jsonl", '{"prompt": "a", "text": "gold"}', "in.jsonl:1 has a 'text'"),
        ("in.txt", "cloth " * 90, "none of the prompts of"),
        ("in.jsonl", '{"messages": "hi"}', "in.jsonl:1 has no list named messages"),
        ("in.jsonl", '{"messages": []}', "in.jsonl:1 has messages with nothing to answer"),
        ("in.jsonl", '{"messages": [{"role": "user"}]}', "not each a role and a content"),
        ("in.jsonl", '{"messages": [{"role": "god", "content": "a"}]}', "with a role that is not"),
        ("in.txt", b"caf\xe9 au lait", "not UTF-8 at byte"),
        ("gone.txt", None, "there is no file"),
        ("folder", None, "is no file"),
    ],
)
def test_bad_prompts_are_refused(
    trained_once: Trained, tmp_path: Path, name: str, text: str | bytes | None, words: str
) -> None:
    (tmp_path / "folder").mkdir()
    if text is not None:
        (tmp_path / name).write_bytes(text.encode() if isinstance(text, str) else text)
    result = trained_once.tissu("generate", "cloth", "--prompts-file", tmp_path / name)
    assert result.code == 3
    assert words in result.error[0]
    assert result.out.count("\n") == ("none" in words)  # nothing was done before


@pytest.mark.parametrize(
    "options",
    [
        ["--prompts-file", "in.txt", "-p", "a"],
        ["-p", "a", "-o", "x.jsonl"],
        ["--resume", "-p", "a"],
        ["--prompts-file", "in.txt", "--resume"],
        ["--prompts-file", "in.txt", "--batch-size", "0"],
    ],
    ids=" ".join,
)
def test_options_that_do_not_go_together_are_refused(
    tissu: Tissu, prompts: Path, options: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(prompts.parent)
    assert tissu("generate", *options).code == 2


def test_conversations_are_answered_as_chat_answers_them(
    trained_once: Trained, tmp_path: Path
) -> None:
    path, out = tmp_path / "in.jsonl", tmp_path / "out.jsonl"
    turns = [[{"role": "user", "content": text}] for text in ("The weaver", "The sailor mended")]
    turns.append([{"role": "system", "content": "Be brief. "}, *turns[0]])
    lines = [{"messages": each, "id": index} for index, each in enumerate(turns)]
    lines.insert(1, {"prompt": "The miller", "id": "text"})
    path.write_text("".join(json.dumps(line) + "\n" for line in lines), "utf-8")
    options = ("--greedy", "--max-tokens", "9")
    found = complete(trained_once, path, *options)
    assert [{**line, **given} for line, given in zip(found, lines, strict=True)] == found
    for line in (found[0], found[2]):
        (turn,) = line["messages"]
        alone = trained_once.tissu("chat", "cloth", "-p", turn["content"], "--json", *options).json
        assert line["text"] == alone["text"]
    complete(trained_once, path, *options, "-o", out)
    whole = out.read_bytes()
    out.write_bytes(whole[: len(whole) // 2])
    complete(trained_once, path, *options, "-o", out, "--resume")
    assert out.read_bytes() == whole


def test_what_was_cut_off_goes_on_to_the_same_bytes(
    trained_once: Trained, prompts: Path, tmp_path: Path
) -> None:
    out = tmp_path / "new" / "out.jsonl"
    command = ("generate", "cloth", "--prompts-file", prompts, "-o", out, *SAMPLED)
    assert trained_once.tissu(*command, "--resume").code == 0
    whole = out.read_bytes()
    refused = trained_once.tissu(*command)
    assert refused.code == 2 and "--resume" in refused.error[2]
    ends = [at + 1 for at, byte in enumerate(whole) if byte == ord("\n")]
    for cut in (1, ends[0], ends[1] + 9, len(whole)):
        out.write_bytes(whole[:cut])
        assert trained_once.tissu(*command, "--resume", "--batch-size", "2").code == 0
        assert out.read_bytes() == whole


@pytest.mark.parametrize("text", ['{"prompt": "another"}\n', "precious", "{}\n" * 9])
def test_a_file_of_something_else_is_left_alone(
    trained_once: Trained, prompts: Path, tmp_path: Path, text: str
) -> None:
    out = tmp_path / "out.jsonl"
    out.write_text(text, "utf-8")
    command = ("generate", "cloth", "--prompts-file", prompts, "-o", out, "--resume")
    result = trained_once.tissu(*command)
    assert result.code == 3
    assert f"{out}:1 is not what follows prompt 1" in result.error[0]
    assert out.read_text("utf-8") == text


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="Linux has it")
def test_a_full_disk_is_said(trained_once: Trained, prompts: Path) -> None:
    result = trained_once.tissu("generate", "--prompts-file", prompts, "-o", "/dev/full")
    assert result.code == 4
    assert "cannot write /dev/full" in result.error[0]


def test_a_stop_keeps_the_finished_lines(trained_once: Trained, tmp_path: Path) -> None:
    path, out = tmp_path / "many.txt", tmp_path / "out.jsonl"
    path.write_text("The weaver\n" * 5000, "utf-8")

    def interrupt() -> None:
        while not out.exists() or out.stat().st_size < 1000:
            time.sleep(0.02)
        os.kill(os.getpid(), signal.SIGINT)

    threading.Thread(target=interrupt, daemon=True).start()
    command = ("generate", "cloth", "--prompts-file", path, "-o", out, *SAMPLED)
    result = trained_once.tissu(*command)
    assert result.code == 130
    lines = [json.loads(line) for line in out.read_text("utf-8").splitlines()]
    assert 0 < len(lines) < 5000
    assert f"{len(lines):,} of 5,000 prompts" in result.err
