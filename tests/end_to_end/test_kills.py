"""Real runs killed at any moment, and many starts at once."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from tests.end_to_end.conftest import FAST, Tissu, environment, write_corpus
from tissu_core.checkpoint.store import CheckpointStore
from tissu_core.checkpoint.weights import load_tensors

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
NUM_KILLS = 200
NUM_STARTS = 20


class Server:
    """``fork_server.py``, asked from here."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self._process = process

    def start(self, *words: str | Path) -> int:
        return self._ask([*map(str, words)])

    def wait(self, pid: int) -> int:
        return self._ask(pid)

    def _ask(self, question: object) -> int:
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.write(json.dumps(question) + "\n")
        self._process.stdin.flush()
        return int(self._process.stdout.readline())


@pytest.fixture
def server(tissu: Tissu) -> Iterator[Server]:
    command = [sys.executable, "-m", "tests.end_to_end.fork_server"]
    environ = environment(tissu.home)
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen(command, text=True, env=environ, **pipes) as process:
        yield Server(process)


@pytest.fixture
def words(tmp_path: Path) -> list[str]:
    corpus = write_corpus(tmp_path / "corpus")
    return ["train", str(corpus), "--steps", "100000", "--eval-every", "100000", *FAST]


def wait_for(store: CheckpointStore, step: int) -> None:
    deadline = time.monotonic() + 120
    while (store.pointed("last") or -1) < step:
        assert time.monotonic() < deadline
        time.sleep(0.005)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_200_kills_lose_no_finished_checkpoint_and_change_no_bit(
    tissu: Tissu, server: Server, words: list[str]
) -> None:
    draw = random.Random(1337)
    store = CheckpointStore(tissu.home / "runs/killed/checkpoints")
    run = server.start(*words, "--name", "killed", "--save-every", "3")
    wait_for(store, 3)
    os.kill(run, signal.SIGKILL)
    server.wait(run)
    newest = store.steps()[-1]
    run, began = server.start("train", "--resume", "killed"), time.monotonic()
    wait_for(store, newest + 3)
    span = 1.5 * (time.monotonic() - began)
    moved = 0
    for _ in range(NUM_KILLS):
        time.sleep(draw.uniform(0.0, span))
        os.kill(run, signal.SIGKILL)
        assert server.wait(run) == -signal.SIGKILL, "a resume gave up"
        path = store.newest_verified(is_fallback_allowed=False)  # raises if it is damaged
        step = int(path.name.removeprefix("step-"))
        assert step >= max(newest, store.pointed("last") or 0)
        moved += step > newest
        span *= 0.9 if step > newest else 1.05  # a third gets as far as a save, however busy it is
        newest = step
        run = server.start("train", "--resume", "killed")
    wait_for(store, newest + 3)
    os.kill(run, signal.SIGKILL)
    server.wait(run)
    killed = store.newest_verified(is_fallback_allowed=False)
    last = int(killed.name.removeprefix("step-"))
    sys.stdout.write(f"\n{NUM_KILLS} kills, {moved} after a new save, step {last}\n")
    assert moved > NUM_KILLS / 10

    straight = CheckpointStore(tissu.home / "runs/straight/checkpoints")
    run = server.start(*words, "--name", "straight", "--save-every", str(last))
    wait_for(straight, last)
    os.kill(run, signal.SIGKILL)
    server.wait(run)
    for file in ("model.safetensors", "optimizer.safetensors"):
        expected = load_tensors(straight.path_of(last) / file)
        found = load_tensors(killed / file)
        assert expected.keys() == found.keys()
        assert all(torch.equal(found[name], tensor) for name, tensor in expected.items())


@pytest.mark.slow
def test_of_20_starts_at_once_one_wins(tissu: Tissu, server: Server, words: list[str]) -> None:
    store = CheckpointStore(tissu.home / "runs/r/checkpoints")
    run = server.start(*words, "--name", "r", "--save-every", "5")
    wait_for(store, 5)
    os.kill(run, signal.SIGTERM)
    assert server.wait(run) == 143
    stopped = store.steps()[-1]

    runs = [server.start("train", "--resume", "r") for _ in range(NUM_STARTS)]
    wait_for(store, stopped + 5)
    time.sleep(2)  # so that the last of them has found the lock taken
    codes: Counter[int] = Counter()
    for pid in runs:
        os.kill(pid, signal.SIGTERM)  # those that ended are not gone before they are waited for
    for pid in runs:
        codes[server.wait(pid)] += 1
    assert codes == {5: NUM_STARTS - 1, 143: 1}
    store.newest_verified(is_fallback_allowed=False)
