"""What a model is asked, what is kept before, and what becomes of a reply."""

import threading
from dataclasses import replace

import pytest

from tests.scripted import ScriptedModel
from tissu_cli.sessions.conversation import Conversation
from tissu_cli.sessions.history import NoHistory
from tissu_cli.sessions.talk import ReplyJob, Talk
from tissu_core.config.decoding import DecodingConfig
from tissu_core.errors import ConfigError, InputError
from tissu_core.events.replies import Alternative, ChatEvent, TokenGenerated


def talk_with(
    *replies: tuple[str, ...], base: DecodingConfig | None = None, **more: object
) -> Talk:
    model = ScriptedModel(replies, **more)  # type: ignore[arg-type]
    for _ in model.load():
        pass
    return Talk(model, NoHistory(), Conversation(), base or DecodingConfig(), top_logprobs=3)


def run(talk: Talk, job: ReplyJob, stop: threading.Event | None = None) -> list[ChatEvent]:
    return list(talk.run(job, stop or threading.Event()))


def ask(talk: Talk, text: str) -> ReplyJob:
    talk.say(text)
    job = talk.answer()
    run(talk, job)
    return job


def texts(talk: Talk) -> list[str]:
    return [turn.text for turn in talk.conversation.path()]


def test_a_reply_is_asked_for_with_all_that_was_said() -> None:
    talk = talk_with(("one",), ("two",))
    talk.conversation.system = "Be brief."
    ask(talk, "first")
    job = ask(talk, "second")
    assert [(m.role, m.content) for m in job.messages] == [
        ("system", "Be brief."),
        ("user", "first"),
        ("assistant", "one"),
        ("user", "second"),
    ]
    assert texts(talk) == ["first", "one", "second", "two"]


def test_what_is_kept_is_what_was_said() -> None:
    talk = talk_with(("one ", "two"))
    job = ask(talk, "go")
    kept = talk.history.load(talk.conversation.id)
    assert [turn.text for turn in kept.path()] == ["go", "one two"]
    assert kept.turns[job.turn.id].tokens == job.turn.tokens and len(job.turn.tokens) == 2
    assert kept.turns[job.turn.id].end == job.turn.end


def test_there_must_be_something_to_answer() -> None:
    with pytest.raises(InputError, match="nothing to answer"):
        talk_with().answer()


def test_asked_again_the_reply_is_a_sibling_with_the_next_seed() -> None:
    talk = talk_with(("one",), ("two",), ("three",), base=DecodingConfig(seed=5))
    first = ask(talk, "go")
    second, third = talk.answer(), talk.answer()
    assert [job.settings.seed for job in (first, second, third)] == [5, 6, 7]
    run(talk, second)
    run(talk, third)
    siblings = talk.conversation.siblings(first.turn)
    assert [turn.text for turn in siblings] == ["one", "two", "three"]


def test_without_a_seed_each_reply_has_one_that_is_told() -> None:
    talk = talk_with(("one",))
    job = ask(talk, "go")
    assert job.settings.seed is not None and job.turn.settings["seed"] == job.settings.seed


def test_a_stopped_reply_goes_on_behind_its_tokens() -> None:
    talk = talk_with(("one ", "two ", "three"), ("two ", "three"))
    talk.say("go")
    job, stop = talk.answer(), threading.Event()
    for event in talk.run(job, stop):
        if isinstance(event, TokenGenerated):
            stop.set()
    assert (job.turn.text, job.turn.state) == ("one ", "stopped") and job.turn.can_continue
    more = talk.go_on(job.turn)
    assert more.written == (job.turn.tokens[0].token_id,) and not more.is_new
    run(talk, more)
    assert (job.turn.text, job.turn.state) == ("one two three", "done")
    assert [token.text for token in job.turn.tokens] == ["one ", "two ", "three"]


def test_a_text_whose_tokens_nobody_knows_goes_on_behind_its_text() -> None:
    talk = talk_with((" more",))
    talk.say("go")
    job = talk.answer()
    job.turn.text, job.turn.state = "begun", "stopped"
    more = talk.go_on(job.turn)
    assert more.written == "begun"
    run(talk, more)
    assert job.turn.text == "begun more"


def test_a_reply_is_written_from_another_token() -> None:
    talk = talk_with(("one ", "two ", "three"), (" so",))
    reply = ask(talk, "go").turn
    choice = Alternative(token_id=0, text="one ", logprob=-2.0)
    job = talk.answer_from(reply, 1, choice)
    assert job.written == (reply.tokens[0].token_id, 0)
    run(talk, job)
    assert job.turn.text == "one one  so" and reply.text == "one two three"
    assert job.turn.tokens[1].logprob == -2.0 and job.turn.tokens[1].alternatives


def test_an_edited_message_is_a_sibling() -> None:
    talk = talk_with(("one",), ("two",))
    asked = ask(talk, "go").turn.parent
    assert asked is not None
    edited = talk.edit(talk.conversation.turns[asked], "went")
    run(talk, talk.answer())
    assert texts(talk) == ["went", "two"]
    assert [turn.text for turn in talk.conversation.siblings(edited)] == ["go", "went"]


def test_an_error_leaves_what_was_said_as_failed() -> None:
    error = InputError("gone", hint="come back")
    talk = talk_with(("one ", "two"), reply_error=error, error_at=1)
    talk.say("go")
    job = talk.answer()
    with pytest.raises(InputError, match="gone"):
        run(talk, job)
    assert (job.turn.text, job.turn.state) == ("one ", "failed")
    assert talk.history.load(talk.conversation.id).path()[-1].text == "one "


def test_whoever_stops_listening_leaves_a_failed_turn() -> None:
    talk = talk_with(("one ", "two"))
    talk.say("go")
    job = talk.answer()
    events = talk.run(job, threading.Event())
    next(events)
    events.close()
    assert job.turn.state == "failed"


def test_settings_of_the_conversation_are_checked_and_taken_back() -> None:
    talk = talk_with()
    talk.override("top_k", 3)
    assert talk.settings.top_k == 3 and talk.conversation.settings == {"top_k": 3}
    with pytest.raises(ConfigError):
        talk.override("top_p", 7)
    assert talk.conversation.settings == {"top_k": 3}
    talk.use_settings(DecodingConfig(top_k=8, temperature=0.1))
    assert (talk.settings.top_k, talk.settings.temperature) == (3, 0.1)
    talk.override("top_k", None)
    assert talk.settings.top_k == 8 and talk.settings.top_logprobs == 3


def test_another_model_answers_alike_with_the_same_seed() -> None:
    talk = talk_with(("one",), base=DecodingConfig(temperature=0.2))
    reply = ask(talk, "go").turn
    other = ScriptedModel([("other",)], name="tiny")
    for _ in other.load():
        pass
    beside = talk.beside(other)
    job = beside.answer_alike(reply)
    run(beside, job)
    mine, its = talk.model.asked[0], other.asked[0]  # type: ignore[attr-defined]
    assert mine.messages == its.messages
    assert replace(its.settings, top_logprobs=3) == mine.settings
    assert job.turn.model == "tiny" and talk.conversation.siblings(reply) == [reply, job.turn]


def test_nothing_is_kept_of_a_conversation_without_a_turn() -> None:
    talk = talk_with()
    talk.conversation.title = "a title"
    talk.keep()
    assert talk.history.list(-1) == []


def test_the_prompt_of_a_reply_that_is_there_is_the_one_it_had() -> None:
    talk = talk_with(("one",))
    ask(talk, "go")
    assert "one" not in talk.show_prompt().tokens
    assert talk.show_prompt("next").tokens[-2:] == ("next", "<|assistant|>")
    assert talk.measure("three more words").prompt_tokens == 5
