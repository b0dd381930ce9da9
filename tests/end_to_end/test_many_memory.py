"""Two processes of which one runs out of memory."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.end_to_end.conftest import FAST, Result, Tissu, environment, log_of
from tests.parity.ranks import free_port

pytestmark = pytest.mark.skipif(os.name != "posix", reason="gloo and process groups")

_SHORT = """import os
from tissu_core.runs.train import assembly
given, calls = assembly.next_token, []

def short(model, windows, **how):
    calls.append(len(windows))
    if os.environ["RANK"] == "1" and len(calls) == 4:
        raise RuntimeError("DefaultCPUAllocator: can't allocate memory")
    return given(model, windows, **how)

assembly.next_token = short
from tissu_cli.main import main
main()
"""


def train_short(tissu: Tissu, corpus: Path, *more: str) -> list[Result]:
    """Two processes as a launcher starts them; the second runs out in its fourth step."""
    place = {"WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free_port())}
    options = [*FAST, "--device", "cpu", "--steps", "8", "--view", "log", *more]
    started = [
        subprocess.Popen(
            [sys.executable, "-c", _SHORT, "train", str(corpus), *options],
            env=environment(tissu.home, **place, RANK=str(rank)),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in range(2)
    ]
    ends = [process.communicate(timeout=120) for process in started]
    codes = [process.returncode for process in started]
    return [Result(code, out, err) for code, (out, err) in zip(codes, ends, strict=True)]


def test_copies_go_on_with_smaller_micro_batches(tissu: Tissu, corpus: Path) -> None:
    main, other = train_short(tissu, corpus)
    assert (main.code, other.code) == (0, 0), main.err + other.err
    said = "memory did not suffice for 4 sequences at once on rank 1; now it is 2 at once"
    assert main.err.count(said) == 1
    assert said not in other.err
    (run,) = (tissu.home / "runs").iterdir()
    assert [e["text"] for e in log_of(run) if e["event"] == "Noticed"][-1].startswith(said)


def test_parts_of_one_model_end_with_a_command_that_goes_on(tissu: Tissu, corpus: Path) -> None:
    ended = train_short(tissu, corpus, "--shard", "full")
    assert [each.code for each in ended] == [4, 4]
    assert ended[0].error == ended[1].error
    message, _, hint = ended[0].error
    assert message == "error: memory does not suffice for 4 sequences at once on rank 1"
    command = hint.removeprefix("try: tissu ").split()
    assert command[-1] == "training.micro_batch=2"
    goes_on = tissu(*command)
    assert goes_on.code == 0, goes_on.err
    assert "training.micro_batch 4 -> 2" in goes_on.err
