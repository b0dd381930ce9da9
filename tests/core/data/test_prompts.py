import gzip
import json
from pathlib import Path

import pytest

from tissu_core.data.json_lines import LONGEST_LINE
from tissu_core.data.prompts import Prompt, iter_prompts
from tissu_core.errors import InputError
from tissu_core.text.chat_template import Message


def read(path: Path, data: bytes) -> list[Prompt]:
    path.write_bytes(data)
    return [*iter_prompts(path)]


def texts(path: Path, data: bytes) -> list[str]:
    return [prompt.given for prompt in read(path, data)]


def test_lines_keep_their_white_space_and_blank_ones_are_passed_over(tmp_path: Path) -> None:
    data = b"one \r\n\n \t\n\ttwo\n\x0cthree\xe2\x80\xa8four"
    assert texts(tmp_path / "a.txt", data) == ["one ", "\ttwo", "\x0cthree\u2028four"]
    assert texts(tmp_path / "b.txt", b"\xef\xbb\xbfone\ntwo\n") == ["one", "two"]
    assert texts(tmp_path / "c.txt", "über\n".encode("utf-16")) == ["über"]


def test_lines_of_json_carry_their_other_keys(tmp_path: Path) -> None:
    data = b'{"id": 1, "prompt": "a\\nb"}\n\n{"prompt": ""}'
    assert read(tmp_path / "a.jsonl", data) == [Prompt("a\nb", {"id": 1}), Prompt("", {})]
    packed = tmp_path / "b.jsonl.gz"
    assert read(packed, gzip.compress(data)) == read(tmp_path / "a.jsonl", data)


@pytest.mark.parametrize(
    ("data", "words"),
    [(b"a" * (LONGEST_LINE + 1), "line 1 is longer"), (b"%PDF-1.7", "PDF"), (b"a\0b", "binary")],
)
def test_what_holds_no_prompts_is_named(tmp_path: Path, data: bytes, words: str) -> None:
    with pytest.raises(InputError, match=f"a.txt.*{words}"):
        read(tmp_path / "a.txt", data)


def test_conversations_are_passed_on_as_they_are_and_read_as_turns(tmp_path: Path) -> None:
    turns = [{"role": "system", "content": "b"}, {"role": "user", "content": "c", "name": "d"}]
    line = json.dumps({"messages": turns, "id": 1}).encode()
    (prompt,) = read(tmp_path / "a.jsonl", line)
    assert (prompt.key, prompt.given, prompt.carried) == ("messages", turns, {"id": 1})
    assert prompt.read() == [
        Message(role="system", content="b"),
        Message(role="user", content="c"),
    ]
