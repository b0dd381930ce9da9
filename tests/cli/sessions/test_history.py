"""What is kept of conversations, and how it is found again."""

import os
import stat
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.cli.sessions.conversations import a_conversation, ask, files, kept, reply, same, token
from tissu_cli.sessions.conversation import Conversation, Turn
from tissu_cli.sessions.history import History, NoHistory
from tissu_core.errors import BusyError, InputError


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "home" / "chats.db"


@pytest.fixture
def history(path: Path) -> Iterator[History]:
    history = History.open(path)
    yield history
    history.close()


def test_a_conversation_comes_back_as_it_was(path: Path, history: History) -> None:
    conversation = a_conversation()
    for turn in conversation.path():
        history.add(conversation, turn)
    conversation.title, conversation.system, conversation.draft = "a title", "be brief", "and n"
    history.save(conversation)
    history.close()
    again = History.open(path)
    assert same(again.load(conversation.id), conversation)
    newest = again.newest()
    assert newest is not None and same(newest, conversation)
    again.close()


@pytest.mark.parametrize(
    "text",
    ["", "\x00 in \x1b[31m it", "half \udc80 of \ud83d a pair", "\r\n\t", "汉字 🙂", '"; DROP'],
)
def test_any_text_comes_back_to_the_letter(history: History, text: str) -> None:
    conversation = Conversation(title=text, system=text, draft=text, model=text)
    ask(conversation, text)
    reply(conversation, text).text = text
    history.save(conversation)
    assert same(history.load(conversation.id), conversation)
    assert text in history.prompts(5)


def test_a_reply_that_was_being_written_has_stopped(history: History) -> None:
    conversation = a_conversation("hello")
    turn = conversation.add(Turn(parent=conversation.leaf, role="assistant", state="writing"))
    history.add(conversation, turn)
    for text in ("one ", "two "):
        turn.tokens.append(token(text))
        turn.text += text
        history.append(conversation, turn, [token(text)])
    found = history.load(conversation.id).turns[turn.id]
    assert found == replace(turn, state="stopped")
    assert found.can_continue


def test_tokens_that_were_kept_already_are_not_kept_twice(history: History) -> None:
    conversation = a_conversation("hello", "one two three")
    turn = conversation.path()[-1]
    history.add(conversation, turn)
    history.append(conversation, turn, turn.tokens)
    assert same(history.load(conversation.id), conversation)


def test_another_way_to_split_the_same_tokens_is_kept_at_the_end(history: History) -> None:
    conversation = a_conversation("hello", "one two")
    turn = conversation.path()[-1]
    history.add(conversation, turn)
    turn.tokens = [replace(turn.tokens[0], text="on"), replace(turn.tokens[1], text="e two ")]
    history.finish(conversation, turn)
    assert same(history.load(conversation.id), conversation)


def test_siblings_and_the_path_that_is_shown_are_kept(history: History) -> None:
    conversation = a_conversation()
    first, answer = conversation.path()[:2]
    other = reply(conversation, "another", first.id)
    conversation.show(answer)
    answer.rating = 1
    history.save(conversation)
    history.rate(conversation, answer)
    found = history.load(conversation.id)
    assert same(found, conversation)
    assert found.siblings(found.turns[other.id]) == [answer, other]
    conversation.leaf = None  # everything was taken back
    history.save(conversation)
    assert history.load(conversation.id).leaf is None


def test_the_list_is_of_what_was_continued_last(history: History) -> None:
    old, new = kept(history, "first", "reply"), a_conversation("second")
    new.updated = old.updated + 10
    history.save(new)
    history.save(Conversation())
    drafted = Conversation(draft="not sent yet", updated=old.updated - 10)
    history.save(drafted)
    listed = history.list(10)
    assert [(entry.id, entry.num_messages) for entry in listed] == [
        (new.id, 1),
        (old.id, 2),
        (drafted.id, 0),
    ]
    assert [entry.id for entry in history.list(1)] == [new.id]
    assert [found.id for found in history.all()] == [new.id, old.id, drafted.id]


def test_what_was_deleted_is_not_in_the_file(path: Path, history: History) -> None:
    conversation = kept(history, "hello", "verysecretword")
    kept(history, "another")
    assert b"verysecretword" in path.read_bytes()
    history.delete(conversation.id)
    assert b"verysecretword" not in path.read_bytes()
    assert b"yse" not in path.read_bytes()  # a trigram of the index


def test_a_conversation_is_found_by_id_title_or_part_of_it(history: History) -> None:
    one, two = kept(history, "About sailing"), kept(history, "About cooking")
    kept(history, "sail")
    assert history.find(one.id[:9]).id == one.id
    assert history.find("About cooking").id == two.id
    assert history.find("COOK").id == two.id
    assert history.find("sail").title == "sail"
    with pytest.raises(InputError, match="2 conversations") as many:
        history.find("about")
    assert one.id in many.value.hint and two.id in many.value.hint
    with pytest.raises(InputError) as near:
        history.find("About coking")
    assert "About cooking" in near.value.hint
    with pytest.raises(InputError):
        history.find("")


def test_prompts_are_each_told_once_the_newest_first(history: History) -> None:
    kept(history, "one", "not mine", "two")
    kept(history, "one", "nor this", "three")
    assert history.prompts(10) == ["three", "one", "two"]
    assert history.prompts(1) == ["three"]


def test_preferences_are_kept(path: Path, history: History) -> None:
    assert history.get("theme") is None
    history.set("theme", "light")
    history.set("theme", "dark")
    history.close()
    again = History.open(path)
    assert again.get("theme") == "dark"
    again.close()


def test_renaming_or_deleting_nothing_is_an_error(history: History) -> None:
    for act in (lambda: history.rename("none", "x"), lambda: history.delete("none")):
        with pytest.raises(InputError, match="no conversation none"):
            act()


def test_a_conversation_is_open_in_one_terminal(path: Path, history: History) -> None:
    conversation = kept(history, "mine", "yes")
    history.hold(conversation.id)
    history.hold(conversation.id)
    other = History.open(path)
    with pytest.raises(BusyError, match="another terminal: mine"):
        other.hold(conversation.id)
    with pytest.raises(BusyError):
        other.delete(conversation.id)
    assert other.load(conversation.id).title == "mine"
    history.close()
    other.hold(conversation.id)
    other.delete(conversation.id)
    other.close()
    assert not [name for name in files(path.parent) if conversation.id in name]


@pytest.mark.skipif(os.name != "posix", reason="modes are POSIX's")
def test_only_the_owner_reads_the_files(path: Path, history: History) -> None:
    before = os.umask(0)
    try:
        conversation = kept(history)
        history.hold(conversation.id)
    finally:
        os.umask(before)
    modes = {name: stat.S_IMODE((path.parent / name).stat().st_mode) for name in files(path.parent)}
    assert {"chats.db", "chats.db-journal"} <= modes.keys()
    assert set(modes.values()) == {0o600}
    history.close()
    path.chmod(0o644)
    History.open(path).close()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_threads_write_at_once(history: History) -> None:
    conversations = [a_conversation() for _ in range(4)]

    def write(conversation: Conversation) -> None:
        for turn in conversation.path():
            history.add(conversation, turn)

    threads = [threading.Thread(target=write, args=(each,)) for each in conversations]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(same(history.load(each.id), each) for each in conversations)


def test_without_history_nothing_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SQLITE_TMPDIR", str(tmp_path))
    history = NoHistory()
    conversation = kept(history, *["a long text " * 100] * 40)
    history.hold(conversation.id)
    turn = conversation.path()[-1]
    history.append(conversation, turn, turn.tokens)
    history.set("theme", "dark")
    assert history.search("long text", 5) and history.get("theme") == "dark"
    assert same(history.load(conversation.id), conversation)
    assert files(tmp_path) == set()
    history.delete(conversation.id)
    assert history.list(5) == []
    history.close()
