"""A reply that was stopped and goes on = the reply that was never stopped."""

import threading
from pathlib import Path
from typing import Any

import pytest

from tests.samples import CHATML, STORY, make_config, make_model
from tissu_core.checkpoint.model_directory import write_model_files
from tissu_core.config.decoding import DecodingConfig
from tissu_core.config.machine import DeviceConfig
from tissu_core.errors import InputError
from tissu_core.events.replies import (
    ContextTrimmed,
    GenerationFinished,
    ReplyResumed,
    TokenGenerated,
)
from tissu_core.runs.chat.session import ChatSession, Message, open_chat
from tissu_core.text.bpe_trainer import learn_bpe
from tissu_core.text.tokenizer import Tokenizer

SCRIPT = "織物は糸🧵からできている。👩‍👩‍👧 naïve "
ASKED = [Message(role="user", content="say it ")]


def open_session(path: Path, tokenizer: Tokenizer, *, context: int = 256) -> ChatSession:
    path.mkdir(parents=True)
    shape = make_config(max_position_embeddings=context, vocab_size=tokenizer.vocab_size)
    write_model_files(path, make_model(shape), tokenizer)
    return open_chat(str(path), DeviceConfig(threads=1))


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    return Tokenizer(learn_bpe([STORY], 320))


@pytest.fixture(scope="module")
def chat(tmp_path_factory: pytest.TempPathFactory, tokenizer: Tokenizer) -> ChatSession:
    config = {**tokenizer.config, "chat_template": CHATML}
    path = tmp_path_factory.mktemp("chat") / "model"
    return open_session(path, Tokenizer(tokenizer.backend, config))


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory, tokenizer: Tokenizer) -> ChatSession:
    return open_session(tmp_path_factory.mktemp("base") / "model", tokenizer)


class Told:
    """A reply, whole or what came of it after its beginning."""

    def __init__(
        self,
        session: ChatSession,
        written: Any = (),
        messages: list[Message] = ASKED,
        **settings: Any,
    ) -> None:
        config = DecodingConfig(**({"greedy": True} | settings))
        self.events = list(session.reply(messages, config, threading.Event(), written=written))
        self.tokens = [e for e in self.events if isinstance(e, TokenGenerated)]
        self.ids = [token.token_id for token in self.tokens]
        (self.resumed,) = [e for e in self.events if isinstance(e, ReplyResumed)] or [None]
        end = self.events[-1]
        assert isinstance(end, GenerationFinished)
        self.end = end
        before = self.resumed.texts if self.resumed else ()
        joined = "".join([*before, *(token.text for token in self.tokens)]) + end.tail
        assert joined == end.text, "texts and tail joined are the whole reply"


SETTINGS: dict[str, dict[str, Any]] = {
    "plain": {},
    "penalties": {"presence_penalty": 3.0, "frequency_penalty": 2.0},
    "repetition": {"repetition_penalty": 1.8},
    "n-grams": {"no_repeat_ngram": 2},
}


@pytest.mark.parametrize("name", SETTINGS)
@pytest.mark.parametrize("session_name", ["chat", "base"])
@pytest.mark.parametrize("cut", [1, 8, 19])
def test_a_reply_that_goes_on_is_the_reply(
    session_name: str, name: str, cut: int, request: pytest.FixtureRequest
) -> None:
    session: ChatSession = request.getfixturevalue(session_name)
    settings = SETTINGS[name]
    whole = Told(session, max_tokens=20, **settings)
    assert len(whole.ids) > cut, "the case is telling"
    rest = Told(session, whole.ids[:cut], max_tokens=20 - cut, **settings)
    assert [*whole.ids[:cut], *rest.ids] == whole.ids
    assert rest.end.text == whole.end.text
    assert rest.end.new_tokens == len(rest.ids) == len(whole.ids) - cut
    assert rest.end.prompt_tokens == whole.end.prompt_tokens
    assert rest.end.reason == whole.end.reason
    assert rest.resumed and len(rest.resumed.texts) == cut
    assert rest.events[0] == rest.resumed, "what is written comes first"


def test_a_character_cut_in_the_middle_is_whole_again(
    chat: ChatSession, tokenizer: Tokenizer
) -> None:
    ids = tokenizer.encode(SCRIPT)
    halves = 0
    for cut in range(1, len(ids)):
        told = Told(chat, ids[:cut], max_tokens=1, logit_bias=(f"{ids[cut]}=+1e9",))
        assert told.resumed and told.ids == [ids[cut]]
        halves += "\ufffd" in tokenizer.decode(ids[:cut])
        assert told.end.text == tokenizer.decode(ids[: cut + 1])
        assert "\ufffd" not in "".join(told.resumed.texts)
    assert halves > 20, "the case is telling"


@pytest.mark.parametrize("session_name", ["chat", "base"])
def test_a_reply_goes_on_behind_a_text(
    session_name: str, tokenizer: Tokenizer, request: pytest.FixtureRequest
) -> None:
    session: ChatSession = request.getfixturevalue(session_name)
    by_text = Told(session, SCRIPT, max_tokens=5)
    assert by_text.resumed
    assert "".join(by_text.resumed.texts) == SCRIPT
    assert by_text.end.text.startswith(SCRIPT)
    assert by_text.end.new_tokens == 5
    shown = session.show_prompt(ASKED, DecodingConfig(), written=SCRIPT)
    ids = tokenizer.encode(SCRIPT, is_start=False)
    assert list(shown.ids[-len(ids) :]) == ids
    assert "".join(text for text, _ in shown.pieces).endswith(SCRIPT)


def test_a_stop_text_is_found_across_the_border(chat: ChatSession, tokenizer: Tokenizer) -> None:
    ids = tokenizer.encode("one two thr")
    (e,) = tokenizer.encode("e")
    settings = {"max_tokens": 9, "logit_bias": (f"{e}=+1e9",)}
    cut = Told(chat, ids, stop=(" three",), **settings)
    assert cut.resumed
    assert "".join(cut.resumed.texts) == "one two", "the rest may be the beginning of a stop text"
    assert (cut.end.text, cut.end.reason, len(cut.ids)) == ("one two", "stop", 2)
    other = Told(chat, ids, stop=(" thrx",), **settings)
    assert (other.end.text, other.end.reason) == ("one two thr" + "e" * 9, "length")


def test_a_stop_text_in_what_is_written_ends_the_reply(
    chat: ChatSession, tokenizer: Tokenizer
) -> None:
    ended = Told(chat, tokenizer.encode("one two three"), max_tokens=9, stop=("two",))
    assert (ended.end.text, ended.end.reason, ended.ids) == ("one ", "stop", [])


def test_what_is_drawn_next_is_not_what_was_drawn_first(chat: ChatSession) -> None:
    settings = {"greedy": False, "seed": 5, "top_k": 0, "temperature": 100.0}
    first = Told(chat, max_tokens=8, **settings)
    rest = Told(chat, first.ids, max_tokens=8, **settings)
    assert rest.ids != first.ids
    assert rest.ids == Told(chat, first.ids, max_tokens=8, **settings).ids


def test_a_begun_reply_takes_its_room_from_the_oldest_turns(
    tmp_path: Path, tokenizer: Tokenizer
) -> None:
    config = {**tokenizer.config, "chat_template": CHATML}
    session = open_session(tmp_path / "m", Tokenizer(tokenizer.backend, config), context=128)
    turns = [
        Message(role=role, content=text)
        for text in ("the loom", "the cloth")
        for role in ("user", "assistant")
    ]
    messages = [*turns, *ASKED]
    short = Told(session, [40] * 4, messages, max_tokens=8)
    assert not any(isinstance(event, ContextTrimmed) for event in short.events)
    long = Told(session, [40] * 80, messages, max_tokens=8)
    assert isinstance(long.events[0], ContextTrimmed)
    assert long.end.new_tokens == 8
    with pytest.raises(InputError, match="prompt with its begun reply has"):
        Told(session, [40] * 120, messages, max_tokens=8)


def test_the_earliest_end_counts_what_is_written(chat: ChatSession) -> None:
    settings = {"min_tokens": 10, "logit_bias": ("0=+1e9",), "max_tokens": 10}
    assert Told(chat, max_tokens=20, min_tokens=10, logit_bias=("0=+1e9",)).end.new_tokens == 10
    rest = Told(chat, [40] * 8, **settings)
    assert (rest.end.new_tokens, rest.end.reason) == (2, "stop")
