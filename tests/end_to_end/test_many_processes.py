"""``tissu train --procs 2``: one command, one log, one model, however many compute."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from tests.end_to_end.conftest import FAST, TINY, Tissu, environment, log_of

pytestmark = pytest.mark.skipif(os.name != "posix", reason="gloo and process groups")
TWO = [*FAST, "--procs", "2", "--device", "cpu", "--precision", "fp32", "--seed", "1"]
LONG = ["--steps", "100000", "--set", "training.save_every=5", "--set", "training.eval_every=50000"]


def workers_of(parent: int) -> list[int]:
    """The processes that train under a command, by rank."""
    found = {}
    for path in Path("/proc").glob("[0-9]*/environ"):
        try:
            told = path.read_bytes().split(b"\0")
            command = (path.parent / "cmdline").read_bytes()
        except OSError:
            continue
        ranks = [int(each[5:]) for each in told if each.startswith(b"RANK=")]
        if ranks and b"tissu_core.runs.train.worker" in command and _is_under(parent, path.parent):
            found[ranks[0]] = int(path.parent.name)
    return [found[rank] for rank in sorted(found)]


def _is_under(parent: int, process: Path) -> bool:
    while process.name not in ("0", "1"):
        if int(process.name) == parent:
            return True
        try:
            above = (process / "stat").read_text().rpartition(")")[2].split()[1]
        except OSError:
            return False
        process = Path("/proc") / above
    return False


def wait_for_save(process: "subprocess.Popen[bytes]", run: Path) -> None:
    until = time.monotonic() + 120
    while not [*run.glob("checkpoints/step-*")]:
        assert process.poll() is None, process.returncode
        assert time.monotonic() < until
        time.sleep(0.1)


def test_two_processes_make_one_ordinary_run(tissu: Tissu, corpus: Path) -> None:
    result = tissu.process(
        "train", corpus, "--name", "two", "--steps", "6", *TWO, "--shard", "optim"
    )
    assert result.code == 0, result.err
    alone = tissu(
        "train",
        corpus,
        "--name",
        "one",
        "--steps",
        "6",
        *FAST,
        "--precision",
        "fp32",
        "--seed",
        "1",
    )
    assert alone.code == 0, alone.err
    losses = [
        [event["loss"] for event in log_of(tissu.home / "runs" / name) if "loss" in event]
        for name in ("one", "two")
    ]
    # Muon's products are in bf16 where the processor has it, and divided otherwise there.
    assert losses[0] == pytest.approx(losses[1], rel=2e-3)
    goes_on = tissu(
        "train", "--resume", "two", "--override", "--procs", "1", "--shard", "none", "--steps", "8"
    )
    assert goes_on.code == 0, goes_on.err
    assert tissu("generate", "two", "-p", "The", "--max-tokens", "4").code == 0


@pytest.mark.parametrize("side", ["--tp", "--pp"])
def test_a_model_over_two_processes_is_one_ordinary_run(
    tissu: Tissu, corpus: Path, side: str
) -> None:
    shape = ["--layers", "2", "--kv-heads", "2", "--optimizer", "adamw", "--ema", "0.9"]
    divided = tissu.process(
        "train", corpus, *TWO, *shape, "--name", "two", "--steps", "6", side, "2"
    )
    assert divided.code == 0, divided.err
    one = [*FAST, *shape, "--precision", "fp32", "--seed", "1"]
    assert tissu("train", corpus, "--name", "one", "--steps", "6", *one).code == 0
    figures = [
        [
            event[figure]
            for event in log_of(tissu.home / "runs" / name)
            for figure in ("loss", "grad_norm", "bits_per_byte")
            if figure in event
        ]
        for name in ("one", "two")
    ]
    assert figures[0] == pytest.approx(figures[1], rel=1e-4)
    goes_on = tissu("train", "--resume", "two", "--override", "--procs", "1", "--steps", "8")
    assert goes_on.code == 0, goes_on.err
    assert f"machine.{side[2:]} 2 -> 1" in goes_on.err
    divides = tissu.process(
        "train", "--resume", "one", "--override", "--procs", "2", side, "2", "--steps", "8"
    )
    assert divides.code == 0, divides.err
    ends = [log_of(tissu.home / "runs" / name)[-1]["loss"] for name in ("one", "two")]
    assert ends[0] == pytest.approx(ends[1], rel=1e-4)
    assert tissu("generate", "two", "-p", "The", "--max-tokens", "4").code == 0


def test_a_rank_that_is_killed_ends_all_and_is_named(tissu: Tissu, corpus: Path) -> None:
    process = tissu.start("train", corpus, "--name", "torn", *TWO, *LONG, stderr=subprocess.PIPE)
    run = tissu.home / "runs" / "torn"
    wait_for_save(process, run)
    began = time.monotonic()
    os.kill(workers_of(process.pid)[1], signal.SIGKILL)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 4, err
    assert "rank 1 of 2 was killed by SIGKILL" in err.decode()
    assert time.monotonic() - began < 60
    assert not workers_of(process.pid)
    result = tissu.process("train", "--resume", "torn", "--override", "--steps", "30")
    assert result.code == 0, result.err


def test_a_stop_saves_and_ends_all(tissu: Tissu, corpus: Path) -> None:
    process = tissu.start("train", corpus, "--name", "calm", *TWO, *LONG)
    wait_for_save(process, tissu.home / "runs" / "calm")
    process.send_signal(signal.SIGTERM)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 143, err
    last = log_of(tissu.home / "runs" / "calm")[-1]
    assert last["event"] == "RunFinished"
    assert last["stopped_early"] is True


def test_a_parent_that_is_killed_leaves_no_process_behind(tissu: Tissu, corpus: Path) -> None:
    process = tissu.start("train", corpus, "--name", "orphan", *TWO, *LONG)
    wait_for_save(process, tissu.home / "runs" / "orphan")
    workers = workers_of(process.pid)
    process.kill()
    process.communicate()
    until = time.monotonic() + 60
    while any(Path(f"/proc/{pid}/cmdline").exists() for pid in workers):
        assert time.monotonic() < until
        time.sleep(0.1)


def test_the_same_command_joins_what_another_launcher_started(tissu: Tissu, corpus: Path) -> None:
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    command = ["--nproc-per-node", "2", "-m", "tissu_cli", "train", str(corpus), "--name", "joined"]
    options = [*FAST, "--steps", "4", "--device", "cpu", "--view", "log"]
    done = subprocess.run(
        [*launcher, *command, *options],
        env=environment(tissu.home),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("trained 4 steps") == 1
    assert [e["event"] for e in log_of(tissu.home / "runs" / "joined")].count("RunStarted") == 1


_IMPATIENT = """from tissu_core.runs.train import many
many._QUIET_SECONDS = 0.5
from tissu_cli.main import main
main()
"""


def test_a_rank_that_others_do_not_join_says_so_and_can_be_stopped(
    tissu: Tissu, corpus: Path
) -> None:
    place = {"RANK": "1", "WORLD_SIZE": "4", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "1"}
    words = ["train", str(corpus), *FAST, "--device", "cpu", "--view", "log"]
    alone = subprocess.Popen(
        [sys.executable, "-c", _IMPATIENT, *words],
        env=environment(tissu.home, **place),
        stderr=subprocess.PIPE,
        text=True,
    )
    assert alone.stderr is not None
    assert alone.stderr.readline() == "info: rank 1 waits for 3 others at 127.0.0.1:1\n"
    alone.send_signal(signal.SIGTERM)
    _, rest = alone.communicate(timeout=30)
    assert alone.returncode == 143
    assert "stopped before the first step" in rest
    assert not (tissu.home / "runs").exists()


@pytest.mark.skipif(torch.cuda.device_count() > 1, reason="there are two GPUs")
def test_more_gpus_than_there_are(tissu: Tissu, corpus: Path) -> None:
    result = tissu("train", corpus, *TINY, "--gpus", "2")
    assert result.code == 4
    assert "--gpus is 2, and this machine has" in result.error[0]
    assert "--procs 2 --device cpu" in result.error[2]
    assert not (tissu.home / "runs").exists()


def test_muon_needs_whole_matrices(tissu: Tissu, corpus: Path) -> None:
    result = tissu("train", corpus, *TWO, "--shard", "full", "--optimizer", "muon", "--dry-run")
    assert result.code == 2
    assert "--optimizer adamw, or --shard optim" in result.error[2]


def test_parts_of_a_model_need_processes_and_whole_heads(tissu: Tissu, corpus: Path) -> None:
    alone = tissu("train", corpus, *TINY, "--tp", "2")
    assert alone.code == 2
    assert "--tp 2 put a model on 2 processes, and this is one" in alone.error[0]
    assert alone.error[2] == "try: --gpus 2, or --procs 2 --device cpu"
    heads = tissu("train", corpus, *TWO, "--kv-heads", "1", "--tp", "2", "--dry-run")
    assert heads.code == 2
    assert "does not divide the 1 key/value heads" in heads.error[0]
    muon = tissu(
        "train", corpus, *TWO, "--kv-heads", "2", "--tp", "2", "--optimizer", "muon", "--dry-run"
    )
    assert muon.code == 2
    assert "--optimizer adamw, or --pp" in muon.error[2]
    assert not (tissu.home / "runs").exists()
