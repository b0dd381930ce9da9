"""Seconds from the command to the first painted screen of ``tissu chat``, on a pseudo-terminal.

``python benchmarks/first_paint.py [MODEL]`` alternates it with a Textual app of five widgets that
does nothing, which is the least that a screen can cost. Medians of the seconds that passed and of
those of one core: on a busy machine only the latter and the ratios say something. The model is any
that is there.
"""

import argparse
import os
import pty
import select
import signal
import statistics
import subprocess
import sys
import time

BARE = """
from textual.app import App
from textual.containers import VerticalScroll
from textual.widgets import Footer, Static, TextArea

class Bare(App):
    def compose(self):
        yield Static("bare")
        yield VerticalScroll()
        yield TextArea(placeholder="Message, or / for commands")
        yield Static("status")
        yield Footer()

Bare().run()
"""
PAINTED = b"essage, or /"  # the cursor may be on the first letter


def seconds_to_paint(command: list[str]) -> tuple[float, float]:
    """Start a command on a terminal of 100x30, and wait for its prompt to be drawn.

    Returns the seconds that passed, and those that the process itself computed.
    """
    parent, child = pty.openpty()
    started = time.perf_counter()
    process = subprocess.Popen(
        command,
        stdin=child,
        stdout=child,
        stderr=child,
        start_new_session=True,
        env={**os.environ, "TERM": "xterm-256color", "COLUMNS": "100", "LINES": "30", "CI": ""},
    )
    os.close(child)
    seen = b""
    while PAINTED not in seen:
        if not select.select([parent], [], [], 20)[0]:
            raise SystemExit(f"{command} painted nothing")
        seen += os.read(parent, 1 << 16)
    seconds = time.perf_counter() - started
    os.killpg(process.pid, signal.SIGKILL)
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    os.close(parent)
    return seconds, used.ru_utime + used.ru_stime


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", nargs="?")
    parser.add_argument("--rounds", type=int, default=9)
    asked = parser.parse_args()
    model = [asked.model] if asked.model else []
    commands = {
        "a Textual app of five widgets": [sys.executable, "-c", BARE],
        "tissu chat": [sys.executable, "-m", "tissu_cli", "chat", *model, "--no-history"],
        "tissu chat, history kept": [sys.executable, "-m", "tissu_cli", "chat", *model],
    }
    rounds: dict[str, list[tuple[float, float]]] = {name: [] for name in commands}
    for _ in range(asked.rounds):
        for name, command in commands.items():
            rounds[name].append(seconds_to_paint(command))
    medians = {
        name: [statistics.median(column) for column in zip(*figures, strict=True)]
        for name, figures in rounds.items()
    }
    bare_seconds, bare_computed = next(iter(medians.values()))
    for name, (seconds, computed) in medians.items():
        print(
            f"{name:32} {seconds:6.3f} s {seconds / bare_seconds:5.2f}x"
            f"   computed {computed:6.3f} s {computed / bare_computed:5.2f}x"
        )


if __name__ == "__main__":
    main()
