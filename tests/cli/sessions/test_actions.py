"""What commands do, at a front that notes what it is told."""

from pathlib import Path
from typing import Any

import pytest

from tests.scripted import ScriptedModel
from tissu_cli.sessions.actions import _ACTIONS, obey
from tissu_cli.sessions.conversation import Conversation
from tissu_cli.sessions.history import History
from tissu_cli.sessions.slash import COMMANDS
from tissu_cli.sessions.talk import ReplyJob, Talk
from tissu_core.config.decoding import DecodingConfig
from tissu_core.errors import InputError, ResourceError, TissuError


class Noting:
    """A front whose model answers at once; what else it is asked for is noted."""

    def __init__(self, history: History, *replies: str) -> None:
        model = ScriptedModel([[reply] for reply in replies])
        for _ in model.load():
            pass
        self.talk = Talk(model, history, Conversation(), DecodingConfig())
        history.hold(self.talk.conversation.id)
        self.noted: list[tuple[str, Any]] = []

    def start(self, job: ReplyJob) -> None:
        import threading

        for _ in self.talk.run(job, threading.Event()):
            pass

    def open(self, conversation: Conversation) -> None:
        self.talk.history.hold(conversation.id)
        self.talk.history.release(self.talk.conversation.id)
        self.talk = self.talk.with_conversation(conversation)

    def __getattr__(self, name: str) -> Any:
        return lambda *given: self.noted.append((name, *given))

    @property
    def said(self) -> list[str]:
        return [rest[0] for name, *rest in self.noted if name == "say"]

    def ask(self, text: str) -> None:
        self.talk.say(text)
        self.start(self.talk.answer())

    def texts(self) -> list[str]:
        return [turn.text for turn in self.talk.conversation.path()]


@pytest.fixture
def front(tmp_path: Path) -> Noting:
    return Noting(History.open(tmp_path / "chats.db"), "1", "2", "3", "4")


def do(front: Noting, line: str) -> None:
    obey(line, front)  # type: ignore[arg-type]


def test_every_command_of_the_table_does_something() -> None:
    assert set(_ACTIONS) == {each.name for each in COMMANDS}


def test_commands_of_the_front_alone_reach_it(front: Noting) -> None:
    front.ask("go")
    for line, name in [
        ("/model", "choose_model"),
        ("/model tiny", "use_model"),
        ("/sessions cats", "choose_conversation"),
        ("/compare tiny", "compare"),
        ("/copy", "copy"),
        ("/copy code", "copy_code"),
        ("/prompt", "show_prompt"),
        ("/tokens", "show_tokens"),
        ("/stats", "show_stats"),
        ("/raw", "toggle_raw"),
        ("/theme nord", "use_theme"),
        ("/keys", "show_keys"),
        ("/log", "show_log"),
        ("/edit", "compose"),
        ("/help", "show_rows"),
        ("/quit", "leave"),
    ]:
        do(front, line)
        assert front.noted[-1][0] == name, line


def test_the_tree_of_turns_is_walked(front: Noting) -> None:
    front.ask("a")
    do(front, "/retry")
    do(front, "/edit 1 b")
    assert front.texts() == ["b", "3"]
    do(front, "/previous 1")
    assert front.texts() == ["a", "2"]
    do(front, "/prev")
    assert front.texts() == ["a", "1"]
    do(front, "/next")
    do(front, "/next 1")
    assert front.texts() == ["b", "3"]
    do(front, "/undo")
    assert front.texts() == [] and front.noted[-1] == ("propose", "b")


@pytest.mark.parametrize(
    "line",
    ["/retry 0", "/retry x", "/edit 9 b", "/next", "/previous 7", "/rename", "/copy x", "/export"],
)
def test_what_cannot_be_done_changes_nothing(front: Noting, line: str) -> None:
    front.ask("a")
    before = [*front.talk.conversation.turns]
    with pytest.raises(TissuError) as caught:
        do(front, line)
    assert caught.value.hint
    assert [*front.talk.conversation.turns] == before and front.texts() == ["a", "1"]


def test_a_deleted_conversation_does_not_come_back(front: Noting) -> None:
    front.ask("a")
    talk, job = front.talk, front.talk.answer()
    do(front, "/delete")
    assert front.said == ["deleted: a"]
    talk.history.finish(talk.conversation, job.turn)
    assert talk.history.list(-1) == []


def test_what_could_not_be_deleted_is_kept_further(
    front: Noting, monkeypatch: pytest.MonkeyPatch
) -> None:
    front.ask("a")
    history, conversation = front.talk.history, front.talk.conversation
    with monkeypatch.context() as patch:
        patch.setattr(history, "_change", refuse)
        with pytest.raises(ResourceError):
            history.delete(conversation.id)
    front.ask("b")
    assert [turn.text for turn in history.load(conversation.id).path()] == ["a", "1", "b", "2"]


def refuse(*given: str) -> None:
    raise ResourceError("the disk is full", hint="mend it")


def test_a_new_conversation_has_the_settings_and_the_system_prompt(front: Noting) -> None:
    front.ask("a")
    do(front, "/set top_k=3")
    do(front, "/system Be brief.")
    do(front, "/new")
    assert front.talk.settings.top_k == 3 and front.talk.conversation.system == "Be brief."
    do(front, "/system -")
    assert front.talk.conversation.system == ""
    do(front, "/resume a")
    assert front.texts() == ["a", "1"] and front.talk.conversation.system == "Be brief."
    do(front, "/resume a")
    assert front.said[-1] == "that is this conversation"


def test_a_rating_is_given_and_taken_back(front: Noting) -> None:
    with pytest.raises(InputError):
        do(front, "/good")
    front.ask("a")
    for line, rating in [("/good", 1), ("/bad", -1), ("/bad", 0)]:
        do(front, line)
        kept = front.talk.history.load(front.talk.conversation.id)
        assert kept.path()[-1].rating == rating


@pytest.mark.parametrize("command", ["/resume", "/delete"])
def test_what_names_no_conversation_is_told_what_to_type(front: Noting, command: str) -> None:
    front.ask("about cats")
    do(front, "/new")
    with pytest.raises(InputError, match="there is no conversation 'a loom'") as none:
        do(front, f"{command} a loom")
    assert none.value.hint == f"{command} with a title or an ID of /sessions"
    with pytest.raises(InputError) as nearly:
        do(front, f"{command} abuot cats")
    assert nearly.value.hint == "did you mean 'about cats'?"
    front.ask("about cats")
    do(front, "/new")
    with pytest.raises(InputError) as several:
        do(front, f"{command} about cats")
    first, *others = several.value.hint.split(" or ")
    assert len(others) == 1 and first.startswith(f"{command} ")
    do(front, first)
