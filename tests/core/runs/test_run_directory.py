import os
import subprocess
import sys
from pathlib import Path

import pytest

from tissu_core.config.data import DataConfig
from tissu_core.config.runs import TrainRun
from tissu_core.errors import BusyError, ConfigError, InputError, ResourceError
from tissu_core.runs.run_directory import (
    RUN_FILE,
    find_run,
    is_being_written,
    new_run_directory,
    run_directories,
    writing,
)

HOLD = """
import sys
from pathlib import Path
from tissu_core.runs.run_directory import writing
with writing(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


def new_directory(name: str, out: str, corpus: tuple[str, ...]) -> Path:
    return new_run_directory(TrainRun(name=name, out=out, data=DataConfig(corpus=corpus)))


@pytest.fixture
def runs(own_home: Path) -> Path:
    return own_home / "runs"


def make_run(runs: Path, name: str, when: int = 0) -> Path:
    path = runs / name
    path.mkdir(parents=True)
    (path / RUN_FILE).touch()
    os.utime(path / RUN_FILE, (when, when))
    return path


def test_a_run_without_name_is_named_after_its_corpus(runs: Path, tmp_path: Path) -> None:
    def named(corpus: str) -> str:
        path = new_directory("", "", (corpus,))
        assert path.parent == runs
        assert not path.exists()
        return path.name

    assert named("my books/tale.txt.gz") == "tale-1"
    assert named("texts") == "texts-1"
    assert named("...") == "run-1"
    assert named("織物 und Stoff.txt") == "und-Stoff-1"
    assert len(named("x" * 300)) <= 42
    make_run(runs, "texts-1")
    assert named("texts") == "texts-2"


@pytest.mark.parametrize(
    "name",
    ["..", ".hidden", "a/b", "a b", "-x", "", "x" * 200, "a\n", "CON", "nul.txt", "com1", "a."],
)
def test_odd_names_never_leave_the_home(runs: Path, name: str) -> None:
    if not name:
        assert new_directory(name, "", ("c",)).parent == runs
        return
    with pytest.raises(ConfigError) as caught:
        new_directory(name, "", ("c",))
    assert caught.value.field == "name"


def test_a_name_in_use_is_refused(runs: Path) -> None:
    assert new_directory("mine", "", ("c",)) == runs / "mine"
    make_run(runs, "mine")
    with pytest.raises(ConfigError, match="a run 'mine' already") as caught:
        new_directory("mine", "", ("c",))
    assert "--resume mine" in caught.value.hint


def test_a_start_that_was_killed_before_it_had_settings_leaves_its_name_free(
    runs: Path, tmp_path: Path
) -> None:
    for path in (runs / "early", tmp_path / "elsewhere"):
        with writing(path):
            (path / "events.jsonl").write_text("{}\n", "utf-8")
        (path / f".tmp-{os.getpid()}-config.toml").touch()  # half-written
    assert new_directory("early", "", ()) == runs / "early"
    assert new_directory("", str(tmp_path / "elsewhere"), ()) == tmp_path / "elsewhere"
    with writing(runs / "early"):
        assert not [*(runs / "early").glob(".tmp-*")]
    (runs / "early" / "notes.txt").touch()
    with pytest.raises(ConfigError):
        new_directory("early", "", ())


def test_a_run_may_go_elsewhere_but_not_over_something(tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert new_directory("", str(out), ("c",)) == out
    out.mkdir()
    assert new_directory("", str(out), ("c",)) == out
    (out / "thesis.tex").touch()
    for taken in (out, out / "thesis.tex"):
        with pytest.raises(ConfigError, match="not an empty directory"):
            new_directory("", str(taken), ("c",))


def test_runs_are_found_by_name_path_and_age(runs: Path, tmp_path: Path) -> None:
    old, new = make_run(runs, "old", 1000), make_run(runs, "new", 2000)
    elsewhere = make_run(tmp_path, "elsewhere")
    assert find_run("old") == old
    assert find_run(str(elsewhere)) == elsewhere
    assert find_run("last") == new
    (old / "events.jsonl").touch()
    assert find_run("last") == old
    assert run_directories() == [old, new]


def test_a_run_that_is_not_there_is_answered_with_the_nearest(runs: Path) -> None:
    with pytest.raises(InputError, match="no run in"):
        find_run("last")
    make_run(runs, "stories-1")
    with pytest.raises(InputError, match="no run 'storeis-1'") as caught:
        find_run("storeis-1")
    assert "stories-1" in caught.value.hint


def test_there_is_one_writer_and_the_second_is_told_who(tmp_path: Path) -> None:
    path = tmp_path / "run"
    command = [sys.executable, "-c", HOLD, str(path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == b"held\n"
        assert is_being_written(path)
        with pytest.raises(BusyError, match=f"pid {other.pid}") as caught, writing(path):
            pass
        other.kill()
    assert caught.value.code == 5
    assert not is_being_written(path), "the lock goes with the process"
    with writing(path):
        assert is_being_written(path)


def test_of_six_starts_at_once_one_wins(tmp_path: Path) -> None:
    """All hold on until their stdin ends; five of them find the lock taken before."""
    command = [sys.executable, "-c", HOLD, str(tmp_path / "run")]
    pipe = subprocess.PIPE
    starts = [
        subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=subprocess.DEVNULL)
        for _ in range(6)
    ]
    said = []
    for start in starts:
        assert start.stdout is not None
        said.append(start.stdout.readline())  # nothing, when it ended with BusyError
    assert sorted(said) == [b""] * 5 + [b"held\n"]
    codes = []
    for start in starts:
        start.communicate()
        codes.append(start.returncode)
    assert sorted(codes) == [0, 1, 1, 1, 1, 1]


def test_a_name_that_is_being_made_is_busy_and_not_taken(tmp_path: Path, runs: Path) -> None:
    with writing(runs / "mine"), pytest.raises(BusyError, match=f"pid {os.getpid()}"):
        new_directory("mine", "", ("texts",))
    with writing(tmp_path / "out"), pytest.raises(BusyError):
        new_directory("", str(tmp_path / "out"), ("texts",))


def test_two_writers_in_one_process_are_two(tmp_path: Path) -> None:
    with writing(tmp_path), pytest.raises(BusyError), writing(tmp_path):
        pass


def test_the_lock_is_given_back_when_the_body_raises(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="boom"), writing(tmp_path):
        raise ValueError("boom")
    assert not is_being_written(tmp_path)
    with writing(tmp_path):
        pass


def test_a_place_that_cannot_be_written_is_a_resource_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ResourceError, match="cannot write") as caught, writing(tmp_path / "file"):
        pass
    assert "--out" in caught.value.hint


def test_a_run_that_was_never_made_is_not_being_written(tmp_path: Path) -> None:
    assert not is_being_written(tmp_path / "none")
