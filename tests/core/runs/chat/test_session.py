import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tests.samples import CHATML, make_config, make_model
from tissu_core.checkpoint.model_directory import write_model_files
from tissu_core.config.decoding import DecodingConfig
from tissu_core.config.machine import DeviceConfig
from tissu_core.decoding import generate as generate_module
from tissu_core.decoding import reply as reply_module
from tissu_core.decoding.reply import Reply
from tissu_core.errors import InputError, ResourceError
from tissu_core.events.replies import (
    ChatEvent,
    ContextTrimmed,
    GenerationFinished,
    ModelLoaded,
    TokenGenerated,
)
from tissu_core.events.shared import StageAdvanced
from tissu_core.models.decoder import Decoder
from tissu_core.runs import loading
from tissu_core.runs.chat import prompts as prompts_module
from tissu_core.runs.chat.session import ChatSession, Message, open_chat
from tissu_core.text.tokenizer import Tokenizer

CONTEXT = 128
WHOLE = DecodingConfig(max_tokens=1)
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
    return "".join(text for text, _ in session.show_prompt(messages, WHOLE).pieces)


def count_tokens(session: ChatSession, messages: Sequence[Message]) -> int:
    return session.measure(messages, WHOLE).prompt_tokens


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

    def begin(tokenizer: Tokenizer, ids: list[int], *given: Any, **more: Any) -> Reply:
        read.extend(ids)
        return Reply(tokenizer, ids, *given, **more)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(reply_module, "Reply", begin)
        patch.setattr(generate_module, "generate_reply", lambda *_, **__: iter(()))
        return reply(session, messages, max_tokens=max_tokens), read


def test_a_base_model_reads_the_turns_as_one_text(
    base: ChatSession, tiny_tokenizer: Tokenizer
) -> None:
    messages = [system("Once. "), user("The weaver"), assistant(" began"), user(", and then")]
    events, read = read_by_model(base, messages, max_tokens=4)
    assert not base.has_template and events == []
    assert read == [0, *tiny_tokenizer.encode("Once. The weaver began, and then")]
    assert rendered(base, messages) == "<|endoftext|>Once. The weaver began, and then"
    assert count_tokens(base, messages) == len(read)


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
    assert end.prompt_tokens == count_tokens(chat, messages)


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
    assert count_tokens(session, [*opening, *turns[trimmed.dropped - 2 :]]) > CONTEXT - 8


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
    assert count_tokens(chat, messages) <= CONTEXT // 2
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


def test_loading_tells_its_stages_and_what_was_loaded(chat: ChatSession) -> None:
    session = ChatSession(str(chat.path), DeviceConfig(threads=1))
    assert session.facts is None
    with pytest.raises(InputError, match="no model is loaded"):
        session.measure([user("one")], WHOLE)
    importing, *weights, loaded = session.load()
    assert importing == StageAdvanced(stage="importing torch", done=0, total=0, unit="")
    assert {event.stage for event in weights if isinstance(event, StageAdvanced)} == {
        "loading weights"
    }
    assert isinstance(loaded, ModelLoaded) and session.facts == loaded
    assert (loaded.context_tokens, loaded.precision, loaded.step) == (CONTEXT, "fp32", None)
    assert loaded.templates == ("default",)
    (count,) = {sum(p.numel() for p in session._loaded.model.parameters())}
    assert loaded.num_parameters == count


def test_another_template_may_be_given(chat: ChatSession, tmp_path: Path) -> None:
    file = tmp_path / "plain.jinja"
    file.write_text("{% for m in messages %}[{{ m.content }}]{% endfor %}", "utf-8")
    given = open_chat(str(chat.path), DeviceConfig(threads=1), str(file))
    assert rendered(given, [user("one")]) == "[one]"
    with pytest.raises(InputError, match="neither a file nor a chat template"):
        open_chat(str(chat.path), DeviceConfig(threads=1), "nothing")


@pytest.mark.parametrize("session_name", ["base", "chat"])
def test_a_smaller_context_is_kept_to(session_name: str, request: pytest.FixtureRequest) -> None:
    session: ChatSession = request.getfixturevalue(session_name)
    messages = [*exchanges("one", "two", "three", "four"), user("five")]
    settings = DecodingConfig(max_tokens=100, min_tokens=100, context_tokens=60, seed=1)
    measured = session.measure(messages, settings)
    assert (measured.context_tokens, measured.reply_tokens) == (60, 30)
    assert measured.prompt_tokens == count_tokens(session, messages)
    trimmed, *_, end = session.reply(messages, settings, threading.Event())
    assert isinstance(trimmed, ContextTrimmed) and isinstance(end, GenerationFinished)
    assert trimmed.dropped == measured.dropped > 0
    assert end.prompt_tokens <= 30
    assert (end.reason, end.prompt_tokens + end.new_tokens) == ("context", 60)
    with pytest.raises(InputError, match="context is 8"):
        list(session.complete("織" * 9, DecodingConfig(context_tokens=8), threading.Event()))
    larger = DecodingConfig(context_tokens=10 * CONTEXT)
    assert session.measure(messages, larger).context_tokens == CONTEXT


def test_a_conversation_of_no_messages_takes_nothing(chat: ChatSession) -> None:
    assert chat.measure([], WHOLE).prompt_tokens == 0


def test_what_to_leave_out_is_found_in_few_steps(
    chat: ChatSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    rendered_lengths: list[int] = []
    encode = prompts_module.encode_chat

    def counted(tokenizer: Tokenizer, messages: Sequence[Message]) -> list[int]:
        rendered_lengths.append(len(messages))
        return encode(tokenizer, messages)

    monkeypatch.setattr(prompts_module, "encode_chat", counted)
    messages = [*exchanges(*(f"turn {n}" for n in range(500))), user("last")]
    assert chat.measure(messages, WHOLE).dropped > 900
    assert len(rendered_lengths) < 15


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory"),
        RuntimeError("DefaultCPUAllocator: can't allocate memory"),
        MemoryError(),
    ],
)
def test_too_little_memory_is_an_answer(
    chat: ChatSession, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise error

    monkeypatch.setattr(Decoder, "forward", fail)
    with pytest.raises(ResourceError, match="not enough memory for this reply") as caught:
        reply(chat, [user("one")])
    assert "--context 64" in caught.value.hint and "/set context_tokens 64" in caught.value.hint
    monkeypatch.setattr(loading, "iter_load_model", fail)
    with pytest.raises(ResourceError, match="not enough memory to load"):
        open_chat(str(chat.path), DeviceConfig(threads=1))


def test_any_other_error_stays_what_it_is(
    chat: ChatSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise RuntimeError("a bug")

    monkeypatch.setattr(Decoder, "forward", fail)
    with pytest.raises(RuntimeError, match="a bug"):
        reply(chat, [user("one")])
