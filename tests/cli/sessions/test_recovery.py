"""A damaged file: what can be read is recovered, and told."""

import os
import random
import shutil
import sqlite3
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest

from tests.cli.sessions.conversations import a_conversation, ask, files, filled, reply, same, token
from tissu_cli.sessions.history import History


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "chats.db"


def damage(path: Path, start: int, data: bytes) -> None:
    with path.open("r+b") as file:
        file.seek(start)
        file.write(data)


HEADS = {"no head": b"\xff" * 16, "no tables": b"\xff" * 4096, "zeros": bytes(4096)}


@pytest.mark.parametrize("head", HEADS.values(), ids=HEADS)
def test_with_a_damaged_beginning_everything_is_recovered(path: Path, head: bytes) -> None:
    conversations = filled(path)
    damage(path, 0, head)
    damaged = path.read_bytes()
    with closing(History.open(path)) as history:
        (notice,) = history.notices
        assert "3 conversations with 6 messages were recovered" in notice
        assert all(same(history.load(each.id), each) for each in conversations)
        assert len(history.search("number", 5)) == 3
    (copy,) = path.parent.glob("chats.db.corrupt-*")
    assert copy.name in notice and copy.read_bytes() == damaged
    assert {name for name in files(path.parent) if "tmp" in name} == set()
    with closing(History.open(path)) as history:
        assert history.notices == []


def test_wherever_a_page_is_damaged_the_rest_is_recovered(tmp_path: Path) -> None:
    whole = tmp_path / "chats.db"
    conversations = {each.id: each for each in filled(whole, 40)}
    draw, pages = random.Random(1337), whole.stat().st_size // 4096
    most = 0
    for page in draw.sample(range(1, pages), 8):
        path = tmp_path / str(page) / "chats.db"
        path.parent.mkdir()
        shutil.copy(whole, path)
        damage(path, page * 4096, draw.randbytes(4096))
        with closing(History.open(path)) as history:
            found = [*history.all()]
            for each in found:
                assert each.path() or not each.turns
            whole_ones = [each for each in found if same(each, conversations[each.id])]
            hits = [each for each in found if "yes" in str(each.turns)]
            assert len(history.search("yes", 50)) == len(hits)
            most = max(most, len(whole_ones))
            if history.notices:
                assert f"{len([*history.all()])} conversations" in history.notices[0]
        assert len(whole_ones) >= 20
        with closing(sqlite3.connect(path)) as connection:
            assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    assert most == 40


@pytest.mark.parametrize("share", [0.3, 0.6, 0.9])
def test_a_file_that_lost_its_end_keeps_its_beginning(path: Path, share: float) -> None:
    filled(path, 40)
    os.truncate(path, int(path.stat().st_size * share))
    with closing(History.open(path)) as history:
        assert "recovered" in history.notices[0]
        assert len(history.list(100)) > 5
        history.save(a_conversation("and on"))


def test_many_that_open_a_damaged_file_at_once_recover_it_once(path: Path) -> None:
    filled(path)
    damage(path, 0, b"\xff" * 16)
    with ThreadPoolExecutor(8) as pool:
        histories = [*pool.map(History.open, [path] * 8)]
    for history in histories:
        assert len(history.list(5)) == 3
        history.close()
    assert len([*path.parent.glob("chats.db.corrupt-*")]) == 1
    assert sum(len(history.notices) for history in histories) == 1


def test_a_file_of_something_else_is_kept_aside(path: Path) -> None:
    path.write_bytes(b"not a database, but dear to somebody" * 1000)
    with closing(History.open(path)) as history:
        assert "0 conversations with 0 messages" in history.notices[0]
        history.save(a_conversation())
    (copy,) = path.parent.glob("chats.db.corrupt-*")
    assert copy.read_bytes().startswith(b"not a database, but dear")


def test_a_file_damaged_while_it_is_open_is_recovered_and_written_on(path: Path) -> None:
    conversations = filled(path, 20)
    with closing(History.open(path)) as history:
        damage(path, 0, b"\xff" * 4096)
        turn = ask(conversations[0], "are you there?")
        history.add(conversations[0], turn)
        assert "recovered" in history.notices[0]
        assert all(same(history.load(each.id), each) for each in conversations)


def test_a_damaged_index_hides_nothing(path: Path) -> None:
    filled(path)
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("UPDATE turn_text_data SET block = x'00ff00ff'")
        connection.commit()
    with closing(History.open(path)) as history:
        assert len(history.list(5)) == 3
        assert len(history.search("yes", 5)) == 3


def test_a_lost_turn_leaves_the_others_in_one_path(path: Path) -> None:
    conversation, *_ = filled(path)
    with closing(History.open(path)) as history:
        reply(conversation, "three")
        last = reply(conversation, "four")
        history.save(conversation)
        last.tokens.append(token("five"))
        last.text += "five"
        history.append(conversation, last, last.tokens[-1:])
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("DELETE FROM turn WHERE id = ?", (conversation.path()[1].id,))
        connection.execute("DELETE FROM chunk WHERE number = (SELECT max(number) FROM chunk)")
        connection.commit()
    with closing(History.open(path)) as history:
        found = history.load(conversation.id)
    assert [turn.text for turn in found.path()] == ["number 0", "three ", "four five"]
    assert found.path()[-1].tokens == []
