"""Processes of their own: start-up, signals, kills, one writer, closed pipes and terminals."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.end_to_end.conftest import COMMAND, FAST, Tissu, Trained, environment
from tissu_core.checkpoint.store import CheckpointStore

SLOW_IMPORTS = ("torch", "numpy", "textual", "tokenizers", "transformers", "safetensors", "jinja2")
posix = pytest.mark.skipif(os.name != "posix", reason="POSIX signals")


@pytest.mark.parametrize("arguments", [["--help"], ["--version"], ["train", "--help"]])
def test_help_and_version_import_nothing_slow(arguments: list[str]) -> None:
    code = (
        "import sys\nfrom tissu_cli.main import run\n"
        f"assert run({arguments!r}) == 0\n"
        f"loaded = [name for name in {SLOW_IMPORTS!r} if name in sys.modules]\n"
        "assert not loaded, loaded\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)


def test_lists_import_no_torch(trained_once: Trained) -> None:
    code = (
        "import sys\nfrom tissu_cli.main import run\n"
        "for words in (['runs', 'list'], ['models', 'list'], ['inspect', 'run']):\n"
        "    assert run(words) == 0\n"
        "assert 'torch' not in sys.modules\n"
    )
    environ = environment(trained_once.tissu.home)
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, env=environ)


def test_a_process_says_the_same_as_the_command_inside_this_one(trained_once: Trained) -> None:
    tissu = trained_once.tissu
    for words in (
        ["generate", "cloth", "-p", "The weaver ", "--seed", "7", "--max-tokens", "9"],
        ["inspect", "weights", "layer.0.atn"],
        ["models", "list"],
    ):
        assert tissu.process(*words, COLUMNS="100") == tissu(*words)


def start_long_run(tissu: Tissu, corpus: Path, *options: str) -> "subprocess.Popen[bytes]":
    run = tissu.start(
        *("train", corpus, "--name", "long", "--steps", "100000", "--save-every", "5", *FAST),
        "--no-compile",  # which a busy machine would choose, and take a minute for
        *options,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )
    wait_for_checkpoint(tissu.home / "runs" / "long", run)
    return run


def wait_for_checkpoint(run: Path, process: "subprocess.Popen[bytes]") -> None:
    deadline = time.monotonic() + 240  # a busy machine took more than 60
    while not (run / "checkpoints" / "last.json").exists():
        assert process.poll() is None, process.stderr.read() if process.stderr else ""
        assert time.monotonic() < deadline
        time.sleep(0.02)


@posix
@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)], ids=["ctrl-c", "sigterm"]
)
def test_a_stop_signal_saves_at_a_step_boundary_and_says_how_to_go_on(
    tissu: Tissu, corpus: Path, number: signal.Signals, code: int
) -> None:
    run = start_long_run(tissu, corpus)
    run.send_signal(number)
    _, errors = run.communicate(timeout=30)
    assert run.returncode == code
    narration = errors.decode()
    assert "tissu train --resume long" in narration
    assert "Traceback" not in narration
    records = [json.loads(line) for line in (tissu.home / "runs/long/events.jsonl").open()]
    assert records[-1]["event"] == "RunFinished"
    assert records[-1]["stopped_early"] is True
    store = CheckpointStore(tissu.home / "runs/long/checkpoints")
    assert store.newest_verified(is_fallback_allowed=False) == store.path_of(records[-1]["step"])
    assert store.pointed("last") == records[-1]["step"]


SLOW_SAVE = """
import sys, time
from tissu_core.runs.train import assembly

def never_done(*parts):
    sys.stderr.write("SAVING\\n")
    sys.stderr.flush()
    time.sleep(120)

assembly.write_training_state = never_done
from tissu_cli.main import main
main()
"""


@posix
def test_the_first_ctrl_c_waits_for_a_save_and_the_second_leaves_at_once(
    tissu: Tissu, corpus: Path
) -> None:
    command = [sys.executable, "-c", SLOW_SAVE, "train", str(corpus), "--save-every", "1", *FAST]
    with subprocess.Popen(command, env=environment(tissu.home), stderr=subprocess.PIPE) as run:
        assert run.stderr is not None
        assert any(b"SAVING" in line for line in run.stderr)
        run.send_signal(signal.SIGINT)
        with pytest.raises(subprocess.TimeoutExpired):
            run.wait(1)
        run.send_signal(signal.SIGINT)
        assert run.wait(30) == 130


@posix
def test_a_closed_terminal_ends_no_run(tissu: Tissu, corpus: Path) -> None:
    run = start_long_run(tissu, corpus)
    assert run.stderr is not None
    run.stderr.close()
    run.send_signal(signal.SIGHUP)
    log = tissu.home / "runs" / "long" / "train.log"
    deadline = time.monotonic() + 30
    while not (log.exists() and log.read_text().count("step ") > 3):
        assert run.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.05)
    run.send_signal(signal.SIGTERM)
    assert run.wait(timeout=30) == 143


@posix
def test_one_writer_and_the_first_goes_on_unharmed(tissu: Tissu, corpus: Path) -> None:
    run = start_long_run(tissu, corpus)
    second = tissu("train", "--resume", "long")
    assert second.code == 5
    assert f"pid {run.pid} since " in second.error[0]
    assert f" on {socket.gethostname()}" in second.error[0]
    assert "unharmed" in second.error[1]
    assert "running" in tissu("runs", "list").out
    assert run.poll() is None
    run.send_signal(signal.SIGINT)
    run.communicate(timeout=30)
    assert run.returncode == 130


@posix
def test_kill_leaves_a_checkpoint_that_resumes_without_a_word_from_anybody(
    tissu: Tissu, corpus: Path
) -> None:
    run = start_long_run(tissu, corpus)
    run.kill()
    run.communicate()
    store = CheckpointStore(tissu.home / "runs/long/checkpoints")
    saved = store.steps()[-1]
    again = tissu.start("train", "--resume", "long", stderr=subprocess.PIPE)
    deadline = time.monotonic() + 240  # a busy machine took more than 60
    while not [step for step in store.steps() if step > saved]:
        assert again.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.02)
    again.send_signal(signal.SIGINT)
    _, errors = again.communicate(timeout=30)
    assert again.returncode == 130
    assert f"goes on after step {saved}" in errors.decode()


@posix
@pytest.mark.parametrize("words", [["inspect", "weights", "layer"], ["models", "list", "--json"]])
def test_a_closed_pipe_ends_quietly(trained_once: Trained, words: list[str]) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run(
        [*COMMAND, *words],
        stdout=writer,
        stderr=subprocess.PIPE,
        env=environment(trained_once.tissu.home),
        check=False,
    )
    os.close(writer)
    assert done.returncode == 141
    assert done.stderr == b""


@posix
def test_a_reader_of_json_that_leaves_ends_no_run(tissu: Tissu, corpus: Path) -> None:
    run = tissu.start(
        *("train", corpus, "--name", "r", "--steps", "20", "--view", "json", *FAST),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert run.stdout is not None
    run.stdout.readline()
    run.stdout.close()
    assert run.wait(timeout=60) == 0
    assert (tissu.home / "runs" / "r" / "model" / "model.safetensors").exists()


@posix
def test_ctrl_c_keeps_what_was_generated(trained_once: Trained) -> None:
    words = ["generate", "cloth", "-p", "The ", "--max-tokens", "31", "--seed", "1"]
    whole = trained_once.tissu.process(*words)
    assert whole.code == 0
    run = trained_once.tissu.start(
        *words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, bufsize=0
    )
    assert run.stdout is not None
    first = run.stdout.read(1)  # unbuffered: a buffer would keep what communicate() then misses
    run.send_signal(signal.SIGINT)
    rest, _ = run.communicate(timeout=30)
    printed = (first + rest).decode().removesuffix("\n")
    assert whole.out.startswith(printed)
    assert run.returncode == 130 or printed == whole.out.removesuffix("\n")


def test_python_dash_m_is_the_same_command() -> None:
    done = subprocess.run([*COMMAND, "--version"], capture_output=True, check=True)
    assert done.stdout.startswith(b"tissu 0.")


def test_a_thread_that_is_left_behind_cannot_abort_the_process_on_its_way_out() -> None:
    code = (
        "import atexit, os, threading, time\n"
        "from tissu_cli.main import main\n"
        "atexit.register(os.abort)\n"  # as a thread in C++ may when Python takes itself down
        "threading.Thread(target=time.sleep, args=(60,), daemon=True).start()\n"
        "main()\n"
    )
    words = [sys.executable, "-c", code, "--version"]
    done = subprocess.run(words, capture_output=True, check=True)
    assert done.stdout.startswith(b"tissu 0.")
