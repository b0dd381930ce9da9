"""A signal is answered while the compiler works."""

import signal
import subprocess
import time
from pathlib import Path

import pytest

from tests.end_to_end.conftest import FAST, Tissu
from tissu_core.runs.follow import read_facts
from tissu_core.runtime.compiler import find_compiler


@pytest.mark.slow
@pytest.mark.skipif(find_compiler() is None, reason="there is no C++ compiler")
@pytest.mark.parametrize("seconds", [0.5, 4.0, 9.0])
def test_a_run_that_is_ended_while_it_compiles_goes_on_later(
    tissu: Tissu, corpus: Path, seconds: float
) -> None:
    run = tissu.start(
        *("train", corpus, "--name", "r", "--steps", "9", "--compile", "--view", "log", *FAST),
        stderr=subprocess.PIPE,
    )
    assert run.stderr is not None
    assert any(line.startswith(b"compiling") for line in run.stderr)
    time.sleep(seconds)
    run.send_signal(signal.SIGTERM)
    run.stderr.read()
    code = run.wait(30)
    if code != 143:  # it was done by then, and perhaps about to leave
        assert code in (0, -signal.SIGTERM)
        assert read_facts(tissu.home / "runs/r").state == "finished"
    assert not (tissu.home / "runs/r/lock").exists()
    if read_facts(tissu.home / "runs/r").state != "finished":
        assert tissu.process("train", "--resume", "r").code == 0
    assert read_facts(tissu.home / "runs/r").step == 9
