import json
from pathlib import Path

import pytest

from tissu_core.events.shared import Noticed
from tissu_core.events.training import from_record
from tissu_core.tracking.event_log import EVENTS_FILE, EventLog


def notice(text: str) -> Noticed:
    return Noticed(level="info", text=text)


def read(directory: Path) -> list[str]:
    lines = (directory / EVENTS_FILE).read_text("utf-8").splitlines()
    return [json.loads(line)["text"] for line in lines if line.startswith("{") and line[-1] == "}"]


def test_events_are_lines_and_are_on_disk_at_once(tmp_path: Path) -> None:
    log = EventLog(tmp_path)
    for text in ("one", "二\nlines", "\x1b"):
        log.append(notice(text))
    assert read(tmp_path) == ["one", "二\nlines", "\x1b"]
    record = json.loads((tmp_path / EVENTS_FILE).read_text("utf-8").splitlines()[0])
    assert record["time"] > 1e9
    assert from_record(record) == notice("one")
    log.close()


def test_a_second_writer_goes_on_behind_the_first(tmp_path: Path) -> None:
    for text in ("one", "two"):
        log = EventLog(tmp_path)
        log.append(notice(text))
        log.close()
    assert read(tmp_path) == ["one", "two"]
    assert (tmp_path / EVENTS_FILE).read_text("utf-8").count("\n") == 2


def test_a_half_written_line_is_ended_and_costs_no_other(tmp_path: Path) -> None:
    (tmp_path / EVENTS_FILE).write_text('{"event": "Noticed", "te')
    log = EventLog(tmp_path)
    log.append(notice("after the crash"))
    log.close()
    assert read(tmp_path) == ["after the crash"]


def test_names_that_are_not_utf8_are_logged(tmp_path: Path) -> None:
    log = EventLog(tmp_path)
    log.append(notice("caf\udce9"))
    log.append(notice("next"))
    log.close()
    assert read(tmp_path)[-1] == "next"


def test_a_disk_that_is_full_for_a_while_costs_no_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It takes three bytes, then none, then all."""

    class Disk:
        def __init__(self) -> None:
            self.room = [3]

        def write(self, data: bytes) -> int:
            room = self.room.pop(0) if self.room else 0
            if not room:
                raise OSError(28, "No space left on device")
            return file.write(data[:room])

    log = EventLog(tmp_path)
    file = log._file
    monkeypatch.setattr(log, "_file", Disk())
    for text in ("one", "two"):
        log.append(notice(text))
    monkeypatch.setattr(log, "_file", file)
    log.append(notice("three"))
    log.close()
    assert read(tmp_path) == ["one", "two", "three"]
