"""Starts command lines from a process that has imported torch: a start costs 0.02 s, not 2 s.

Reads JSON lines. A list of words is a command line, answered with the process's number; a number is
answered with its exit code once it ended, negative for a signal. What a command says, and
where its threads are when it is aborted, is in ``said/NUMBER`` of its home.
"""

import faulthandler
import importlib
import json
import os
import sys
from pathlib import Path

from tissu_cli.main import run

IMPORTED = (
    "torch._dynamo",  # what the first optimizer imports, and by far the most of it
    "tissu_cli.render.train.farewell",
    "tissu_cli.render.train.views",
    "tissu_core.runs.train.assemble",
    "tissu_core.runs.train.resume",
    "tissu_core.runs.train.train",
)
SAID = Path(os.environ["TISSU_HOME"]) / "said"


def start(words: list[str]) -> int:
    pid = os.fork()
    if pid == 0:
        nowhere = os.open(os.devnull, os.O_RDONLY)
        said = os.open(SAID / str(os.getpid()), os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        for kept, descriptor in ((nowhere, 0), (said, 1), (said, 2)):
            os.dup2(kept, descriptor)
        faulthandler.enable()
        code = run(words)
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
    return pid


if __name__ == "__main__":
    SAID.mkdir(parents=True)
    for name in IMPORTED:
        importlib.import_module(name)
    for line in sys.stdin:
        asked = json.loads(line)
        answer = start(asked) if isinstance(asked, list) else os.waitpid(asked, 0)[1]
        code = answer if isinstance(asked, list) else os.waitstatus_to_exitcode(answer)
        sys.stdout.write(f"{code}\n")
        sys.stdout.flush()
