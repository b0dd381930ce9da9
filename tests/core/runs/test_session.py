import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.samples import CHATML, make_config, make_model
from tissu_core.checkpoint.model_directory import write_model_files
from tissu_core.config.decoding import DecodingConfig
from tissu_core.config.training import DeviceConfig
from tissu_core.decoding import generate as generate_module
from tissu_core.errors import InputError
from tissu_core.events import ChatEvent, ContextTrimmed, GenerationFinished, TokenGenerated
from tissu_core.runs.session import ChatSession, Message, open_chat
from tissu_core.text.tokenizer import Tokenizer

CONTEXT = 128
TURNS = st.lists(st.text("ab ", max_size=40), max_size=5)


def user(text: str) -> Message:
    return Message(role="user", content=text)


def assistant(text: str) -> Message:
    return Message(role="assistant", content=text)


def system(text: str) -> Message:
    return Message(role="system", content=text)


def exchanges(*texts: str) -> list[Message]:
    return [message for text in texts for message in (user(text), assistant(text.upper()))]


def open_tiny(path: Path, tokenizer: Tokenizer) -> ChatSession:
    path.mkdir()
    write_model_files(path, make_model(make_config(max_position_embeddings=CONTEXT)), tokenizer)
    return open_chat(str(path), DeviceConfig(threads=1))


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory, tiny_tokenizer: Tokenizer) -> ChatSession:
    return open_tiny(tmp_path_factory.mktemp("base") / "model", tiny_tokenizer)


@pytest.fixture(scope="module")
def chat(tmp_path_factory: pytest.TempPathFactory, tiny_tokenizer: Tokenizer) -> ChatSession:
    config = {**tiny_tokenizer.config, "chat_template": CHATML}
    path = tmp_path_factory.mktemp("chat") / "model"
    return open_tiny(path, Tokenizer(tiny_tokenizer.backend, config))


def rendered(session: ChatSession, messages: Sequence[Message]) -> str:
    return "".join(piece.text for piece in session.prompt_pieces(messages))


def reply(
    session: ChatSession, messages: Sequence[Message], *, is_stopped: bool = False, **settings: Any
) -> list[ChatEvent]:
    stop = threading.Event()
    if is_stopped:
        stop.set()
    return list(session.reply(messages, DecodingConfig(**{"seed": 1, **settings}), stop))


def read_by_model(
    session: ChatSession, messages: Sequence[Message], max_tokens: int
) -> tuple[list[ChatEvent], list[int]]:
    """The events before a reply, and the ids that the model would read for it."""
    read: list[int] = []

    def generate(_model: Any, _tokenizer: Any, ids: list[int], *_: Any, **__: Any) -> Iterator[Any]:
        read.extend(ids)
        yield from ()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(generate_module, "generate", generate)
        return reply(session, messages, max_tokens=max_tokens), read


def test_a_base_model_reads_the_turns_as_one_text(
    base: ChatSession, tiny_tokenizer: Tokenizer
) -> None:
    messages = [system("Once. "), user("The weaver"), assistant(" began"), user(", and then")]
    events, read = read_by_model(base, messages, max_tokens=4)
    assert not base.has_template and events == []
    assert read == [0, *tiny_tokenizer.encode("Once. The weaver began, and then")]
    assert rendered(base, messages) == "<|endoftext|>Once. The weaver began, and then"
    assert base.count_tokens(messages) == len(read)


@pytest.mark.parametrize("is_file", [False, True])
def test_a_model_with_a_template_is_prompted_through_it(
    tmp_path: Path, tiny_tokenizer: Tokenizer, *, is_file: bool
) -> None:
    config = {**tiny_tokenizer.config, "chat_template": "old" if is_file else CHATML}
    path = tmp_path / "model"
    open_tiny(path, Tokenizer(tiny_tokenizer.backend, config)).close()
    if is_file:
        (path / "chat_template.jinja").write_text(CHATML, "utf-8")
    session = open_chat(str(path), DeviceConfig(threads=1))
    assert session.has_template and session.path == path
    messages = [system("Be kind."), user("Who <|im_end|> are you?")]
    expected = (
        "<|im_start|>system\nBe kind.<|im_end|>\n"
        "<|im_start|>user\nWho <|im_end|> are you?<|im_end|>\n<|im_start|>assistant\n"
    )
    assert rendered(session, messages) == expected
    _, read = read_by_model(session, messages, max_tokens=4)
    assert [id for id in read if id < 16] == [2, 3, 2, 3, 2], "what a person typed is text"


def test_a_conversation_that_fits_keeps_every_turn(chat: ChatSession) -> None:
    messages = [*exchanges("one", "two"), user("three")]
    events = reply(chat, messages, max_tokens=3)
    assert not any(isinstance(event, ContextTrimmed) for event in events)
    end = events[-1]
    assert isinstance(end, GenerationFinished)
    assert end.prompt_tokens == chat.count_tokens(messages)


@pytest.mark.parametrize("session_name", ["base", "chat"])
def test_the_oldest_turns_go_first_and_no_more_than_needed(
    session_name: str, request: pytest.FixtureRequest
) -> None:
    session: ChatSession = request.getfixturevalue(session_name)
    opening = [system("rule ")]
    turns = [*exchanges(*(f"turn {n} of the loom. " for n in range(8))), user("last")]
    events, read = read_by_model(session, [*opening, *turns], max_tokens=8)
    (trimmed,) = events
    assert isinstance(trimmed, ContextTrimmed)
    assert 1 < trimmed.dropped < len(turns) - 1, "the case is telling"
    assert trimmed.dropped + trimmed.kept == len(turns) + 1
    kept = [*opening, *turns[trimmed.dropped :]]
    decode = session._loaded.tokenizer.backend.decode
    assert decode(read, skip_special_tokens=False) == rendered(session, kept)
    assert len(read) <= CONTEXT - 8
    assert session.count_tokens([*opening, *turns[trimmed.dropped - 2 :]]) > CONTEXT - 8


@given(texts=TURNS, last=st.text("ab ", max_size=40), max_tokens=st.integers(1, 300))
def test_an_answer_never_stays_without_its_question(
    chat: ChatSession, texts: list[str], last: str, max_tokens: int
) -> None:
    messages = [system("s"), *exchanges(*texts), user(last)]
    events, read = read_by_model(chat, messages, max_tokens)
    text = chat._loaded.tokenizer.backend.decode(read, skip_special_tokens=False)
    roles = [turn.split("\n")[0] for turn in text.split("<|im_start|>")[1:]]
    kept = len(messages) - sum(e.dropped for e in events if isinstance(e, ContextTrimmed))
    assert roles == ["system", *["user", "assistant"] * (kept // 2)]
    room = CONTEXT - min(max_tokens, CONTEXT // 2)
    assert len(read) <= room or kept == 2


def test_a_long_reply_takes_half_of_the_context_at_most(chat: ChatSession) -> None:
    messages = [*exchanges("one"), user("two")]
    assert chat.count_tokens(messages) <= CONTEXT // 2
    events, _ = read_by_model(chat, messages, max_tokens=10_000)
    assert events == []


@pytest.mark.parametrize("session_name", ["base", "chat"])
@pytest.mark.parametrize("history", [[], exchanges("one")])
def test_a_last_message_longer_than_the_context_is_refused(
    session_name: str, history: list[Message], request: pytest.FixtureRequest
) -> None:
    session: ChatSession = request.getfixturevalue(session_name)
    with pytest.raises(InputError, match="context is 128"):
        reply(session, [*history, user("織" * CONTEXT)])


def test_a_reply_ends_when_it_is_asked_to(chat: ChatSession) -> None:
    *tokens, end = reply(chat, [user("go on")], is_stopped=True, max_tokens=50)
    assert isinstance(end, GenerationFinished)
    assert (end.reason, end.new_tokens, len(tokens)) == ("stopped", 1, 1)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("session_name", ["base", "chat"])
def test_tokens_and_tail_joined_are_the_reply(
    session_name: str, seed: int, request: pytest.FixtureRequest
) -> None:
    session: ChatSession = request.getfixturevalue(session_name)
    *tokens, end = reply(session, [user("one")], seed=seed, max_tokens=30, stop=("e t", "織"))
    assert isinstance(end, GenerationFinished) and end.text
    texts = [token.text for token in tokens if isinstance(token, TokenGenerated)]
    assert len(texts) == len(tokens) == end.new_tokens
    assert "".join(texts) + end.tail == end.text


def test_completing_reads_the_text_as_it_is(chat: ChatSession, tiny_tokenizer: Tokenizer) -> None:
    *_, end = chat.complete("The weaver", DecodingConfig(max_tokens=2), threading.Event())
    assert isinstance(end, GenerationFinished)
    assert end.prompt_tokens == 1 + len(tiny_tokenizer.encode("The weaver"))


def test_a_system_text_is_one_message_or_none(base: ChatSession) -> None:
    assert base.system_messages("") == []
    assert base.system_messages("rule") == [system("rule")]
