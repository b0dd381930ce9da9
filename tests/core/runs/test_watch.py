"""A log's tail, and what a run was set to."""

import json
from pathlib import Path

import pytest

from tests.core.runs.test_follow import FINISHED, PLANNED, append_text, saved, step, write
from tissu_core.config.optimizer import OptimizerConfig
from tissu_core.config.runs import TrainRun
from tissu_core.events.training import CheckpointSaved, TrainEvent
from tissu_core.runs import watch
from tissu_core.runs.run_directory import RUN_FILE, writing
from tissu_core.runs.train.stored_run import StoredRun, write_run
from tissu_core.runs.watch import LogTail, ask, presence_of, read_settings
from tissu_core.tracking.control import CONTROL_FILE
from tissu_core.tracking.event_log import EVENTS_FILE


def events(tail: LogTail) -> list[TrainEvent]:
    found = tail.read()
    assert found is not None
    return [event for _, event in found]


def test_each_event_is_read_once_as_it_comes(tmp_path: Path) -> None:
    tail = LogTail(tmp_path)
    assert events(tail) == []
    write(tmp_path, PLANNED, step(10))
    assert events(tail) == [PLANNED, step(10)]
    assert events(tail) == []
    write(tmp_path, FINISHED)
    assert events(tail) == [FINISHED]


def test_only_what_is_new_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[int] = []
    original = Path.open

    def counting(path: Path, *args: object, **kwargs: object) -> object:
        file = original(path, *args, **kwargs)  # type: ignore[call-overload]
        real = file.read
        if path.name == EVENTS_FILE:
            file = Counted(file, lambda n: read.append(len(data := real(n))) or data)  # type: ignore[func-returns-value]
        return file

    write(tmp_path, *(step(number) for number in range(1, 500)))
    size = (tmp_path / EVENTS_FILE).stat().st_size
    tail = LogTail(tmp_path)
    monkeypatch.setattr(Path, "open", counting)
    while events(tail):
        pass
    with original(tmp_path / EVENTS_FILE, "ab") as log:
        log.write(b'{"event": "x"}\n')
    for _ in range(50):
        tail.read()
    assert sum(read) == size + 15


class Counted:
    def __init__(self, file: object, read: object) -> None:
        self._file, self.read = file, read

    def __enter__(self) -> "Counted":
        return self

    def __exit__(self, *error: object) -> None:
        self._file.close()  # type: ignore[attr-defined]

    def seek(self, offset: int) -> None:
        self._file.seek(offset)  # type: ignore[attr-defined]


def test_a_long_log_is_read_in_parts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watch, "_CHUNK_BYTES", 100)
    told = [step(number) for number in range(1, 30)]
    write(tmp_path, *told)
    tail, found = LogTail(tmp_path), []
    found += events(tail)
    assert tail.is_behind and len(found) < 2
    while tail.is_behind:
        found += events(tail)
    assert found == told


def test_a_half_line_is_read_when_it_is_whole(tmp_path: Path) -> None:
    write(tmp_path, step(10))
    tail = LogTail(tmp_path)
    line = (tmp_path / EVENTS_FILE).read_text("utf-8")
    events(tail)
    append_text(tmp_path, line[:50])
    assert events(tail) == []
    append_text(tmp_path, line[50:])
    assert events(tail) == [step(10)]
    assert tail.unknown_lines == 0


@pytest.mark.parametrize("is_removed", [True, False])
def test_another_file_is_read_from_its_beginning(tmp_path: Path, is_removed: bool) -> None:
    write(tmp_path, PLANNED, *(step(number) for number in range(9)))
    tail = LogTail(tmp_path)
    events(tail)
    path = tmp_path / EVENTS_FILE
    path.rename(tmp_path / "old") if is_removed else path.write_bytes(b"")
    write(tmp_path, step(1))
    assert tail.read() is None
    assert events(tail) == [step(1)]


BAD = {
    "step": ["7", None, 1.5, True, 1 << 70, [1], {}],
    "path": [None, 7, ["p"]],
    "seconds": ["x", True, None, 1e400],
}


@pytest.mark.parametrize(("name", "value"), [(n, v) for n, values in BAD.items() for v in values])
def test_a_field_of_another_kind_is_no_event(tmp_path: Path, name: str, value: object) -> None:
    write(tmp_path, saved(3))
    record = json.loads((tmp_path / EVENTS_FILE).read_text("utf-8"))
    append_text(tmp_path, json.dumps({**record, name: value}) + "\n")
    tail = LogTail(tmp_path)
    assert events(tail) == [saved(3)]
    assert tail.unknown_lines == 1
    assert CheckpointSaved(step=3, path="p", num_bytes=1, seconds=0.1) == saved(3)


def test_settings_are_those_that_the_run_was_stored_with(tmp_path: Path) -> None:
    optimizer = OptimizerConfig(
        learning_rate=0.5, schedule="linear", warmup="0", final_fraction=0.0, clip_norm=2.0
    )
    stored = StoredRun(run=TrainRun(optimizer=optimizer), steps=100, tokens_key="k")
    write_run(tmp_path, stored)
    settings = read_settings(tmp_path)
    assert settings.clip_norm == 2.0
    assert settings.rates[0] == (0.0, pytest.approx(0.5))
    assert settings.rates[50] == (0.5, pytest.approx(0.25))
    (tmp_path / RUN_FILE).write_text("from_tomorrow = 7\n", "utf-8")
    assert read_settings(tmp_path).rates == ()


def test_who_is_there(tmp_path: Path) -> None:
    run = tmp_path / "run"
    assert presence_of(run) == "gone"
    with writing(run):
        write(run, PLANNED)
        assert presence_of(run) == "trains"
        assert ask(run, "save")
        assert (run / CONTROL_FILE).is_file()
    assert presence_of(run) == "rests"
    assert not ask(run, "save")
    assert (run / CONTROL_FILE).read_text("utf-8").count("\n") == 1
