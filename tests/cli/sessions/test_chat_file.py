"""The file of conversations in other states than it should be: nothing that can be read is lost."""

import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from tests.cli.sessions.conversations import a_conversation, ask, files, filled, reply, same
from tissu_cli.sessions import chat_file
from tissu_cli.sessions.history import History
from tissu_cli.sessions.schema import MIGRATIONS, VERSION, migrate
from tissu_core.errors import BusyError, InputError, ResourceError

NEWER = VERSION + 1


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "chats.db"


def tables(path: Path) -> set[tuple[str, str]]:
    with closing(sqlite3.connect(path)) as connection:
        return {*connection.execute("SELECT name, sql FROM sqlite_master")}


@pytest.mark.parametrize("version", range(1, VERSION))
def test_an_older_file_is_migrated_after_a_copy(path: Path, version: int) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        migrate(connection, MIGRATIONS[:version])
        connection.execute(
            "INSERT INTO conversation VALUES ('c', 'old', 'm', '', '{}', '', 't', 1.0, 2.0)"
        )
        connection.execute(
            "INSERT INTO turn VALUES (1, 't', 'c', NULL, 'user', 'very old words', 'done', 1.0, "
            "'', 0, '{}', '', 0)"
        )
    before = path.read_bytes()
    with closing(History.open(path)) as history:
        assert [entry.title for entry in history.list(5)] == ["old"]
        assert history.search("old words", 5)[0].id == "c"
        (notice,) = history.notices
    (copy,) = path.parent.glob(f"chats.db.v{version}-*")
    assert copy.name in notice
    assert copy.read_bytes()[100:] == before[100:]
    filled(path.with_name("fresh.db"), 0)
    assert tables(path) == tables(path.with_name("fresh.db"))
    with closing(History.open(path)) as history:
        assert history.notices == []


def test_a_migration_that_fails_changes_nothing(path: Path) -> None:
    filled(path)
    before = path.read_bytes()
    steps = (*MIGRATIONS, ("CREATE TABLE next (id)", "INSERT INTO nowhere VALUES (1)"))
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        with pytest.raises(sqlite3.OperationalError):
            migrate(connection, steps)
        assert not connection.in_transaction
    assert path.read_bytes() == before


def make_newer(path: Path, *statements: str) -> bytes:
    with closing(sqlite3.connect(path)) as connection:
        for statement in (*statements, f"PRAGMA user_version = {NEWER}"):
            connection.execute(statement)
        connection.commit()
    return path.read_bytes()


@pytest.mark.parametrize("mode", ["DELETE", "WAL"])
def test_a_newer_file_is_read_and_not_touched(path: Path, mode: str) -> None:
    conversation, *_ = filled(path)
    before = make_newer(path, f"PRAGMA journal_mode = {mode}")
    with closing(History.open(path)) as history:
        assert history.is_read_only and history.get("theme") is None
        assert len(history.list(5)) == 3 and len(history.search("number", 5)) == 3
        assert same(history.load(conversation.id), conversation)
        writes: list[Callable[[], object]] = [
            lambda: history.save(conversation),
            lambda: history.add(conversation, conversation.path()[0]),
            lambda: history.append(conversation, conversation.path()[1], []),
            lambda: history.rename(conversation.id, "x"),
            lambda: history.delete(conversation.id),
            lambda: history.set("theme", "dark"),
        ]
        for write in writes:
            with pytest.raises(InputError, match=rf"version {NEWER}.*version {VERSION}") as refused:
                write()
            assert "untouched" in refused.value.safe
    assert path.read_bytes() == before
    assert not [name for name in files(path.parent) if name.startswith("chats.db.")]


def test_a_newer_file_with_other_tables_says_so(path: Path) -> None:
    filled(path)
    before = make_newer(path, "ALTER TABLE turn RENAME TO said")
    with closing(History.open(path)) as history, pytest.raises(InputError, match=str(NEWER)):
        history.list(5)
    assert path.read_bytes() == before


def test_a_file_that_another_process_writes_is_busy(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(chat_file, "_PATIENCE_SECONDS", 0.05)
    conversation, *_ = filled(path)
    with closing(History.open(path)) as history:
        with closing(sqlite3.connect(path, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            with pytest.raises(BusyError) as busy:
                history.save(conversation)
            assert busy.value.code == 5
            assert len(history.list(5)) == 3
        history.save(conversation)


def test_a_file_that_goes_is_made_again_with_this_conversation(path: Path) -> None:
    filled(path)
    with closing(History.open(path)) as history:
        conversation = a_conversation()
        history.save(conversation)
        path.unlink()
        turn = ask(conversation, "still there?")
        history.add(conversation, turn)
        assert same(history.load(conversation.id), conversation)
        assert [entry.id for entry in history.list(5)] == [conversation.id]
        assert "removed or replaced" in history.notices[-1]
        shutil.rmtree(path.parent)
        answer = reply(conversation, "yes")
        history.append(conversation, answer, answer.tokens)
    with closing(History.open(path)) as history:
        assert same(history.load(conversation.id), conversation)


def test_a_file_that_is_replaced_gets_what_it_lacks(path: Path) -> None:
    with closing(History.open(path)) as history:
        conversation = a_conversation()
        history.save(conversation)
        older = path.with_name("older.db")
        shutil.copy(path, older)
        reply(conversation, "one")
        history.save(conversation)
        older.replace(path)
        last = reply(conversation, "two")
        history.append(conversation, last, last.tokens)
        assert same(history.load(conversation.id), conversation)


def test_a_conversation_deleted_elsewhere_is_kept_by_who_writes_it(path: Path) -> None:
    with closing(History.open(path)) as history, closing(History.open(path)) as other:
        conversation = a_conversation()
        history.save(conversation)
        other.delete(conversation.id)
        history.finish(conversation, conversation.path()[-1])
        assert same(other.load(conversation.id), conversation)


def test_a_place_that_cannot_be_written_is_an_answer(tmp_path: Path) -> None:
    (tmp_path / "chats.db").mkdir()
    (tmp_path / "file").write_text("")
    for path in (tmp_path / "chats.db", tmp_path / "file" / "chats.db"):
        with pytest.raises(ResourceError, match=r"chats\.db") as refused:
            History.open(path)
        assert "--no-history" in refused.value.hint


def test_a_full_disk_is_an_answer_and_loses_nothing(path: Path) -> None:
    conversations = filled(path)
    with closing(History.open(path)) as history:
        pages = path.stat().st_size // 4096
        history._file._connection.execute(f"PRAGMA max_page_count = {pages}")
        with pytest.raises(ResourceError, match="full"):
            history.save(a_conversation("a long one " * 10_000))
        assert [same(history.load(each.id), each) for each in conversations] == [True] * 3
        history._file._connection.execute("PRAGMA max_page_count = 100000")
        history.save(a_conversation("a long one " * 10_000))
        assert len(history.list(9)) == 4


def test_a_file_that_is_as_it_should_be_is_opened_without_a_lock(path: Path) -> None:
    conversation, *_ = filled(path)
    shutil.rmtree(path.with_name(chat_file.LOCKS))
    with closing(History.open(path)) as history:
        assert same(history.load(conversation.id), conversation) and history.notices == []
    assert not path.with_name(chat_file.LOCKS).exists()


def test_a_file_that_is_replaced_while_it_is_opened_is_opened_again(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    conversation, *_ = filled(path)
    mended = path.with_name("mended.db")
    shutil.copy(path, mended)
    open_checked = chat_file.ChatFile._open_checked

    def replaced(self: chat_file.ChatFile, path: Path) -> sqlite3.Connection:
        connection = open_checked(self, path)
        if mended.exists():
            mended.replace(path)
        return connection

    monkeypatch.setattr(chat_file.ChatFile, "_open_checked", replaced)
    with closing(History.open(path)) as history:
        reply(conversation, "one more")
        history.save(conversation)
    with closing(History.open(path)) as history:
        assert same(history.load(conversation.id), conversation)
