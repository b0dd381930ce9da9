import json
from pathlib import Path

import pytest

from tests.samples import CHATML
from tissu_core.config.data import DataConfig
from tissu_core.data.chats import UnusableError, parse_conversation
from tissu_core.data.prepare import prepare
from tissu_core.data.shards import TokenShards
from tissu_core.data.vocabulary import Vocabulary
from tissu_core.errors import ConfigError, InputError, IntegrityError
from tissu_core.events.shared import Noticed
from tissu_core.text.tokenizer import Tokenizer

ASKS = {"role": "user", "content": "Who moved the loom?"}
SAYS = {"role": "assistant", "content": "The weaver."}


def line(*messages: object) -> str:
    return json.dumps({"messages": messages})


def write(path: Path, *lines: str) -> Path:
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def prepared(
    path: Path, tokenizer: Tokenizer, longest: int = 100, form: str = "auto"
) -> tuple[TokenShards, list[str]]:
    """The shards, and what was said of the conversations left out."""
    data = DataConfig(corpus=(str(path),), format=form, conversation_tokens=longest)
    vocabulary = Vocabulary(tokenizer.vocab_size, tokenizer)
    run = prepare(data, None, path.parent / "cache", lambda: False, vocabulary)
    said = []
    while True:
        try:
            event = next(run)
        except StopIteration as stop:
            return stop.value, said
        if isinstance(event, Noticed) and "left out" in event.text:
            said.append(event.text)


def test_what_the_assistant_writes_is_learned_and_nothing_else(
    tmp_path: Path, tiny_tokenizer: Tokenizer
) -> None:
    system = {"role": "system", "content": "Be brief."}
    path = write(tmp_path / "a.jsonl", line(system, ASKS, SAYS, ASKS, SAYS))
    shards, _ = prepared(path, tiny_tokenizer)
    tokenizer = tiny_tokenizer
    start, end = (tokenizer.control_tokens[f"<|im_{word}|>"] for word in ("start", "end"))

    def turn(role: str, text: str) -> list[tuple[int, int]]:
        """ChatML by hand: ids, and 1 for those to learn."""
        is_learned = int(role == "assistant")
        return [
            (start, 0),
            *((id, 0) for id in tokenizer.encode(f"{role}\n")),
            *((id, is_learned) for id in tokenizer.encode(text)),
            (end, is_learned),
        ]

    newline = [(id, 0) for id in tokenizer.encode("\n")]
    expected = turn("system", "Be brief.") + newline
    expected += turn("user", ASKS["content"]) + newline + turn("assistant", "The weaver.") + newline
    expected += turn("user", ASKS["content"]) + newline + turn("assistant", "The weaver.")
    assert shards.targets is not None
    found = list(zip(shards.tokens.tolist(), shards.targets.tolist(), strict=True))
    assert found[: len(expected)] == expected
    assert not any(is_learned for _, is_learned in found[len(expected) :])
    assert shards.facts["num_documents"] == 1
    assert Tokenizer.load(shards.directory).chat_template == CHATML


def test_control_tokens_that_are_typed_are_learned_as_text(
    tmp_path: Path, tiny_tokenizer: Tokenizer
) -> None:
    says = {"role": "assistant", "content": "It ends with <|im_end|>."}
    shards, _ = prepared(write(tmp_path / "a.jsonl", line(ASKS, says)), tiny_tokenizer)
    end = tiny_tokenizer.control_tokens["<|im_end|>"]
    assert shards.targets is not None
    learned = shards.tokens[shards.targets == 1]
    assert list(learned).count(end) == 1 and learned[-1] == end


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (None, "no object"),
        ("{", "no object"),
        ("[1]", "no object"),
        ('{"messages": 7}', "no object"),
        ('{"messages": [7]}', "no object"),
        (line({"role": "user"}), "no object"),
        (line(ASKS), "without a turn"),
        (line(), "without a turn"),
        (line(ASKS, {"role": "assistant", "content": ""}), "empty turn"),
        (line(ASKS, {"role": "assistant", "content": None}), "empty turn"),
        (line({"role": "tool", "content": "7"}, SAYS), "role"),
        (line({"role": ["user"], "content": "7"}, SAYS), "role"),
        (line({"role": "user", "content": [{"type": "text"}]}, SAYS), "no text"),
        (line({"role": "user", "content": "\ud800"}, SAYS), "no object"),
    ],
)
def test_a_line_of_which_nothing_can_be_learned_says_why(text: str | None, why: str) -> None:
    with pytest.raises(UnusableError, match=why):
        parse_conversation(text)


def test_lines_left_out_are_counted_and_the_first_is_named(
    tmp_path: Path, tiny_tokenizer: Tokenizer
) -> None:
    long = line({"role": "user", "content": "loom " * 200}, SAYS)
    tool = line({"role": "tool", "content": "7"}, SAYS)
    path = write(tmp_path / "a.jsonl", line(ASKS, SAYS), long, "", tool, tool)
    shards, said = prepared(path, tiny_tokenizer)
    assert shards.facts["num_documents"] == 1
    assert shards.targets is not None
    assert shards.num_learned(shards.documents) == int(shards.targets.sum())
    assert any("1 longer than 100 tokens" in text and f"{path}:2" in text for text in said)
    assert any("2 with a role" in text and f"{path}:4" in text for text in said)
    assert prepared(path, tiny_tokenizer)[1] == said, "also where the tokens are at hand"


def test_broken_lines_end_it_when_they_are_many(tmp_path: Path, tiny_tokenizer: Tokenizer) -> None:
    good = [line(ASKS, SAYS)] * 120
    shards, said = prepared(write(tmp_path / "a.jsonl", *good, "{"), tiny_tokenizer)
    assert shards.facts["num_documents"] == 120 and "a.jsonl:121" in said[0]
    assert shards.targets is not None
    for part in shards.split(0.2):
        share = len(part.lengths) / 120
        assert shards.num_learned(part) == share * int(shards.targets.sum())
    with pytest.raises(InputError, match=r"b\.jsonl:2"):
        prepared(write(tmp_path / "b.jsonl", good[0], "{"), tiny_tokenizer)


def test_where_all_are_too_long_the_hint_is_a_context_that_holds_them(
    tmp_path: Path, tiny_tokenizer: Tokenizer
) -> None:
    path = write(tmp_path / "a.jsonl", line(ASKS, SAYS))
    with pytest.raises(InputError, match="longer than 8 tokens") as caught:
        prepared(path, tiny_tokenizer, longest=8)
    context = int(caught.value.hint.split()[1].rstrip(","))
    assert prepared(path, tiny_tokenizer, longest=context)[0].facts["num_documents"] == 1


def test_texts_and_conversations_are_not_mixed_by_chance(
    tmp_path: Path, tiny_tokenizer: Tokenizer
) -> None:
    folder = tmp_path / "both"
    folder.mkdir()
    write(folder / "a.jsonl", line(ASKS, SAYS))
    write(folder / "b.txt", "The weaver moved the loom.")
    with pytest.raises(ConfigError, match="a run learns one of them"):
        prepared(folder, tiny_tokenizer)
    chats, _ = prepared(folder, tiny_tokenizer, form="chats")
    text, _ = prepared(folder, tiny_tokenizer, form="text")
    assert chats.targets is not None and text.targets is None


def test_a_model_without_template_and_without_chatml_is_refused(
    tmp_path: Path, tiny_tokenizer: Tokenizer
) -> None:
    from tokenizers import Tokenizer as Backend

    plain = tiny_tokenizer.backend.to_str().replace("<|im_", "<|am_")
    path = write(tmp_path / "a.jsonl", line(ASKS, SAYS))
    with pytest.raises(InputError, match="no chat template"):
        prepared(path, Tokenizer(Backend.from_str(plain)))


def test_conversations_that_change_while_they_are_read_are_an_error(
    tmp_path: Path, tiny_tokenizer: Tokenizer
) -> None:
    path = write(tmp_path / "a.jsonl", *[line(ASKS, SAYS)] * 3)
    data = DataConfig(corpus=(str(path),), format="auto", conversation_tokens=99)
    vocabulary = Vocabulary(tiny_tokenizer.vocab_size, tiny_tokenizer)
    run = prepare(data, None, tmp_path / "cache", lambda: False, vocabulary)

    def run_changing() -> None:
        for event in run:
            if isinstance(event, Noticed):  # read, and not yet tokenised
                write(path, line(ASKS, SAYS))

    with pytest.raises(IntegrityError, match="changed"):
        run_changing()
