"""Real runs ended at any moment, and many starts at once."""

import json
import os
import random
import signal
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.end_to_end.conftest import FAST, Tissu, write_corpus
from tests.end_to_end.forking import Server, forking
from tissu_core.checkpoint.store import CheckpointStore
from tissu_core.checkpoint.weights import load_tensors
from tissu_core.runtime.compiler import find_compiler

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
NUM_TIMES = 200
NUM_STARTS = 20
SAVE_EVERY = 3


@pytest.fixture
def server(tissu: Tissu) -> Iterator[Server]:
    with forking(tissu.home) as server:
        yield server


@pytest.fixture
def words(tmp_path: Path) -> list[str]:
    return words_for(write_corpus(tmp_path / "corpus"))


def words_for(corpus: Path, *more: str) -> list[str]:
    every = ["training.log_every=1", "training.eval_every=100000"]
    settings = [word for setting in every for word in ("--set", setting)]
    save = ["--set", f"training.save_every={SAVE_EVERY}"]
    # Whether compiling pays is measured, and on a busy machine two runs may decide otherwise.
    fixed = ["--steps", "100000", "--no-compile"]
    return ["train", str(corpus), *fixed, *settings, *save, *FAST, *more]


class Ended:
    """A run that is ended again and again, and what must hold each time."""

    def __init__(self, server: Server, directory: Path, number: signal.Signals) -> None:
        self.store = CheckpointStore(directory / "checkpoints")
        self.newest = -1
        self.codes: Counter[int] = Counter()
        self._server, self._directory, self._number = server, directory, number
        self._logged = 0

    def begin(self, *words: str | Path) -> int:
        """A session; the number of its process."""
        log = self._directory / "events.jsonl"
        self._logged = log.stat().st_size if log.exists() else 0
        return self._server.start(*words)

    def end(self, run: int) -> None:
        """Send the signal, and see what is left."""
        began = time.monotonic()
        os.kill(run, self._number)
        code = self._server.wait(run)
        assert time.monotonic() - began < 30
        self.codes[code] += 1
        events = self._events()
        # Nobody heard it who had anything to save.
        is_early = code == -signal.SIGTERM and not events
        if self._number == signal.SIGTERM:
            assert code == 143 or is_early, code
        else:
            assert code == -signal.SIGKILL, "it gave up"
        self._check(events, is_told=code == 143)

    def _events(self) -> list[dict[str, Any]]:
        """Of this session; a line that is half was being written."""
        log = self._directory / "events.jsonl"
        lines = log.read_bytes()[self._logged :].split(b"\n")[:-1] if log.exists() else []
        return [json.loads(line) for line in lines if line]

    def _check(self, events: list[dict[str, Any]], *, is_told: bool) -> None:
        pointed = self.store.pointed("last")
        steps = [event["step"] for event in events if event["event"] == "StepFinished"]
        before, self.newest = self.newest, -1
        if self.store.steps():
            path = self.store.newest_verified(is_fallback_allowed=False)  # raises if it is damaged
            self.newest = int(path.name.removeprefix("step-"))
        assert self.newest >= max(before, -1 if pointed is None else pointed)
        assert max(steps, default=0) - max(0, self.newest) <= SAVE_EVERY, (
            "more is lost than was said"
        )
        if is_told and events:
            assert events[-1]["event"] == "RunFinished"
            assert events[-1]["stopped_early"]
            assert events[-1]["step"] == self.newest

    def goes_on(self, *words: str | Path) -> int:
        """Resume it, or begin once more where nothing was begun, and wait for a save."""
        is_begun = (self._directory / "config.toml").exists()
        resume = ("train", "--resume", self._directory.name)
        run = self.begin(*(resume if is_begun else words))
        self._server.wait_for_save(self.store, max(0, self.newest) + SAVE_EVERY, run)
        return run


def check_against_one_that_never_stopped(
    tissu: Tissu, server: Server, words: list[str], store: CheckpointStore, step: int
) -> None:
    straight = CheckpointStore(tissu.home / "runs/straight/checkpoints")
    run = server.start(*words, "--name", "straight", "--set", f"training.save_every={step}")
    server.wait_for_save(straight, step, run)
    os.kill(run, signal.SIGKILL)
    server.wait(run)
    for file in ("model.safetensors", "optimizer.safetensors"):
        expected = load_tensors(straight.path_of(step) / file)
        found = load_tensors(store.path_of(step) / file)
        assert expected.keys() == found.keys()
        assert all(torch.equal(found[name], tensor) for name, tensor in expected.items())


@pytest.mark.timeout(900)
@pytest.mark.parametrize("times", [14, pytest.param(NUM_TIMES, marks=pytest.mark.slow)])
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_signals_while_it_trains_lose_no_checkpoint_and_change_no_bit(
    tissu: Tissu, server: Server, words: list[str], number: signal.Signals, times: int
) -> None:
    draw = random.Random(1337)
    ended = Ended(server, tissu.home / "runs/ended", number)
    run = ended.begin(*words, "--name", "ended")
    server.wait_for_save(ended.store, SAVE_EVERY, run)
    ended.end(run)
    run, began = ended.begin("train", "--resume", "ended"), time.monotonic()
    server.wait_for_save(ended.store, ended.newest + SAVE_EVERY, run)
    span = 1.5 * (time.monotonic() - began)
    moved = 0
    for _ in range(times):
        time.sleep(draw.uniform(0.0, span))
        before = ended.newest
        ended.end(run)
        moved += ended.newest > before
        # A third gets as far as a save, however busy it is.
        span *= 0.9 if ended.newest > before else 1.05
        run = ended.begin("train", "--resume", "ended")
    server.wait_for_save(ended.store, ended.newest + SAVE_EVERY, run)
    ended.end(run)
    sys.stdout.write(
        f"\n{times} times, {moved} after a new save, step {ended.newest}, {ended.codes}\n"
    )
    assert moved > times / 10
    check_against_one_that_never_stopped(tissu, server, words, ended.store, ended.newest)


@pytest.mark.timeout(900)
@pytest.mark.parametrize("times", [5, pytest.param(NUM_TIMES // 4, marks=pytest.mark.slow)])
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_signals_before_the_first_step_leave_what_can_be_begun_or_gone_on_with(
    tissu: Tissu, server: Server, tmp_path: Path, number: signal.Signals, times: int
) -> None:
    """While text is read, the tokenizer learns, the run is planned, its first files are written."""
    draw = random.Random(1338)
    span = 2.0
    for name in (f"fresh-{n}" for n in range(times)):
        # Text that no run has seen, or its tokens would be there.
        corpus = write_corpus(tmp_path / name, seed=draw.randrange(1 << 30))
        words = words_for(corpus, "--name", name)
        ended = Ended(server, tissu.home / "runs" / name, number)
        run = ended.begin(*words)
        time.sleep(draw.uniform(0.0, span))
        ended.end(run)
        began = time.monotonic()
        run = ended.goes_on(*words)
        span = 1.5 * (time.monotonic() - began)
        ended.end(run)


@pytest.mark.timeout(900)
@pytest.mark.skipif(find_compiler() is None, reason="there is no C++ compiler")
@pytest.mark.parametrize("times", [1, pytest.param(NUM_TIMES // 20, marks=pytest.mark.slow)])
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_signals_while_it_compiles_leave_what_goes_on(
    tissu: Tissu, server: Server, words: list[str], number: signal.Signals, times: int
) -> None:
    draw = random.Random(1339)
    for name in (f"compiled-{n}" for n in range(times)):
        command = [*words, "--name", name, "--compile"]
        ended = Ended(server, tissu.home / "runs" / name, number)
        run = ended.begin(*command)
        server.wait_for_file(ended.store.directory.parent / "config.toml", run)
        time.sleep(draw.uniform(0.0, 6.0))
        ended.end(run)
        run = ended.goes_on(*command)
        ended.end(run)


@pytest.mark.slow
def test_of_20_starts_at_once_one_wins(tissu: Tissu, server: Server, words: list[str]) -> None:
    store = CheckpointStore(tissu.home / "runs/r/checkpoints")
    run = server.start(*words, "--name", "r")
    server.wait_for_save(store, 5, run)
    os.kill(run, signal.SIGTERM)
    assert server.wait(run) == 143
    stopped = store.steps()[-1]

    runs = [server.start("train", "--resume", "r") for _ in range(NUM_STARTS)]
    server.wait_for_save(store, stopped + 5, *runs)
    time.sleep(2)  # so that the last of them has found the lock taken
    codes: Counter[int] = Counter()
    for pid in runs:
        os.kill(pid, signal.SIGTERM)  # those that ended are not gone before they are waited for
    for pid in runs:
        codes[server.wait(pid)] += 1
    assert codes == {5: NUM_STARTS - 1, 143: 1}
    store.newest_verified(is_fallback_allowed=False)
