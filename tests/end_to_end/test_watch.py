"""``tissu watch``, ``--detach`` and ``--view dashboard`` as a person has them."""

import json
import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.cli.tui.watch.desk import Run, step, story
from tests.end_to_end.conftest import FAST, Copy, Tissu, log_of
from tests.end_to_end.screens import PATIENCE_SECONDS, Chat
from tests.end_to_end.test_terminal import HOSTILE, Terminal
from tissu_core.events.shared import Noticed
from tissu_core.events.training import SampleGenerated
from tissu_core.runs.watch import presence_of

pytestmark = pytest.mark.skipif(os.name != "posix", reason="pseudo-terminals")

LONG = (
    *("--name", "r", "--steps", "1000000", "--eval-every", "900000", *FAST),
    *("--set", "training.log_every=20", "--no-compile"),
)


class Watch(Chat):
    """A command whose screen is that of ``tissu watch``."""

    def __init__(
        self, home: Path, *arguments: str | Path, size: tuple[int, int] = (24, 80)
    ) -> None:
        Terminal.__init__(self, home, *arguments, size=size)
        self.child.delaybeforesend = None


@pytest.fixture
def run(tissu: Tissu) -> Iterator[Path]:
    """Where the run ``r`` goes; whoever trains it is ended with the test."""
    directory = tissu.home / "runs" / "r"
    yield directory
    if presence_of(directory) == "trains":
        os.kill(_pid(directory), signal.SIGKILL)


def _pid(directory: Path) -> int:
    return int(json.loads((directory / "owner.json").read_text("utf-8"))["pid"])


def until(holds: Callable[[], object]) -> None:
    patience = time.monotonic() + PATIENCE_SECONDS
    while not holds():
        assert time.monotonic() < patience, "it never came"
        time.sleep(0.05)


def test_a_run_is_left_alone_watched_asked_and_stopped(
    tissu: Tissu, corpus: Path, run: Path
) -> None:
    started = tissu.process("train", corpus, *LONG, "--detach")
    assert (started.code, started.out) == (0, "r\n"), started.err
    assert "tissu watch r" in started.err
    assert os.getsid(_pid(run)) == _pid(run), "a session of its own"
    plain = tissu.start("watch", "r", stdout=-1, stderr=-1, stdin=-3)

    first = Watch(tissu.home, "watch")
    first.shows("r  running", "tokens/s", "sample  not yet", "p Pause/resume")
    first.child.send("p")
    first.shows("r  paused", "pause, as was asked")
    first.child.send("k")
    first.shows("save, as was asked", " s ago at step")
    first.child.send("s")
    first.shows("sample  at step")
    first.child.send("p")
    first.shows("r  running")
    first.child.send("q")
    first.shows("r is training", "d  leave")
    first.child.send("d")
    assert first.read_to_end() == 0
    first.assert_restored()
    assert first.foreign == []
    assert "r goes on:  tissu watch r" in first.text
    assert presence_of(run) == "trains"

    second = Watch(tissu.home, "watch", "r", size=(36, 120))
    second.shows("r  running", "learning rate", "you are here")
    second.child.send("qs")
    assert second.read_to_end() == 0, second.frame
    assert "tissu train --resume r" in second.text
    assert presence_of(run) == "rests"
    out, _ = plain.communicate(timeout=PATIENCE_SECONDS)
    assert plain.returncode == 0
    assert b"\x1b" not in out
    assert b"pause, as was asked" in out and b"the run stopped after step" in out
    reports = [event for event in log_of(run) if event["event"] == "StepFinished"]
    assert out.count(b" tok/s ") == len(reports) > 2
    check_records(tissu, run)


def check_records(tissu: Tissu, run: Path) -> None:
    """What was asked is in the log, and the run stands where it was stopped."""
    now = tissu("watch", "--json").json["runs"][0]
    taken = [event for event in log_of(run) if event["event"] == "RequestTaken"]
    assert [event["request"] for event in taken] == ["pause", "save", "sample", "resume", "stop"]
    assert taken[0]["step"] == taken[3]["step"] < taken[4]["step"] == now["saved_step"]
    assert now["state"] == "stopped"
    assert "stopped" in tissu("watch", "r", "--once").out
    assert "step" in (run / "train.log").read_text("utf-8")


def test_closing_the_dashboard_ends_no_run(tissu: Tissu, corpus: Path, run: Path) -> None:
    screen = Watch(tissu.home, "train", corpus, *LONG, "--view", "dashboard")
    screen.shows("r  running", "tokens/s")
    os.kill(screen.child.pid, signal.SIGHUP)
    assert screen.read_to_end() == 129
    assert presence_of(run) == "trains"
    again = Watch(tissu.home, "watch", "r")
    again.shows("r  running")
    again.child.send("q")
    again.shows("n  stop now")
    again.child.send("n")
    assert again.read_to_end() == 0
    until(lambda: presence_of(run) == "rests")
    assert not list((run / "checkpoints").glob("step-*"))
    assert "nothing was saved yet" in again.text


def test_a_run_that_cannot_begin_says_why(tissu: Tissu, corpus: Path, run: Path) -> None:
    refused = tissu.process("train", corpus.parent / "nowhere", *LONG, "--detach")
    assert refused.code == 3
    assert "nowhere" in refused.error[0]
    assert refused.out == ""
    both = tissu("train", corpus, "--detach", "--dry-run")
    assert (both.code, both.error[0].count("--detach")) == (2, 1)
    undrawn = tissu("train", corpus, *LONG, "--view", "dashboard")
    assert undrawn.code == 2
    assert "terminal" in undrawn.error[0]
    assert not run.exists()


def test_ctrl_c_before_the_run_has_begun_ends_it(
    tissu: Tissu, corpus: Path, run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun = tmp_path / "begun"
    slow = (
        "import os, time, pathlib\n"
        "if os.environ.get('_TISSU_LEFT_ALONE'):\n"
        f"    pathlib.Path({str(begun)!r}).write_text(str(os.getpid()))\n"
        "    time.sleep(600)\n"
    )
    (tmp_path / "sitecustomize.py").write_text(slow, "utf-8")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    parent = tissu.start("train", corpus, *LONG, "--detach", stderr=-1)
    until(lambda: begun.exists() and begun.read_text("utf-8"))
    parent.send_signal(signal.SIGINT)
    _, said = parent.communicate(timeout=PATIENCE_SECONDS)
    assert parent.returncode == 130, said.decode()
    with pytest.raises(ProcessLookupError):
        os.kill(int(begun.read_text("utf-8")), 0)
    assert not run.exists()


def test_watching_what_is_not_there(tissu: Tissu) -> None:
    for words in (["watch"], ["watch", "nope"], ["watch", "--json"]):
        assert tissu(*words).code == 3


def test_a_run_of_a_newer_version_is_watched_as_far_as_it_is_known(trained_copy: Copy) -> None:
    trained = trained_copy()
    settings = trained.run / "config.toml"
    settings.write_text(f"weft = 3\n{settings.read_text('utf-8')}", "utf-8")
    with (trained.run / "events.jsonl").open("a", encoding="utf-8") as log:
        log.write('{"time": 1, "event": "WeftInserted", "step": 3}\n' * 2)
    plain = trained.tissu("watch", "cloth", "--plain")
    assert (plain.code, plain.out.count("does not know are passed over")) == (0, 1)
    assert "2 lines that this tissu does not know" in trained.tissu("watch", "cloth", "--once").out
    (record,) = trained.tissu("watch", "cloth", "--json").json["runs"]
    assert (record["state"], record["step"], record["unknown_lines"]) == ("finished", 40, 2)
    assert 0 < record["mfu"] < 2
    assert 0 <= record["data_wait"] <= 1


def test_text_of_others_never_reaches_the_terminal_as_commands(tmp_path: Path) -> None:
    told = [*story(), Noticed(level="warning", text=HOSTILE)]
    told += [SampleGenerated(step=410, prompt=HOSTILE, text=HOSTILE), step(410)]
    run = Run(tmp_path / HOSTILE, *told, is_training=False)
    screen = Watch(tmp_path, "watch", run.directory, size=(36, 120))
    screen.shows("broken off", "[@click=x]", "at step 410")
    screen.child.send("q")
    assert screen.read_to_end() == 0
    screen.assert_restored()
    assert screen.foreign == []
    for option in ("--plain", "--once"):
        lines = Terminal(tmp_path, "watch", run.directory, option)
        assert lines.read_to_end() == 0
        assert lines.foreign_controls() == b""
        assert "[@click=x]" in lines.text
