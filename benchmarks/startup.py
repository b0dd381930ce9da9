"""Seconds until a command is done: ``--version``, ``--help``, ``chat -p`` of one token.

``python benchmarks/startup.py [MODEL]`` alternates them, with bare imports beside as a measure of
what the machine needs; medians.
"""

import argparse
import statistics
import subprocess
import sys
import time

TISSU = [sys.executable, "-m", "tissu_cli"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", nargs="?")
    parser.add_argument("--rounds", type=int, default=9)
    asked = parser.parse_args()
    model = [asked.model] if asked.model else []
    commands = {
        "python -c pass": [sys.executable, "-c", "pass"],
        "python -c 'import typer'": [sys.executable, "-c", "import typer"],
        "tissu --version": [*TISSU, "--version"],
        "tissu --help": [*TISSU, "--help"],
        "python -c 'import torch'": [sys.executable, "-c", "import torch"],
        "tissu chat -p x --max-tokens 1": [*TISSU, "chat", *model, "-p", "x", "--max-tokens", "1"],
    }
    *_, chat = commands
    if subprocess.run(commands[chat], check=False, capture_output=True).returncode == 3:
        print("chat -p is skipped: there is no model; name one, or: tissu train --demo")
        del commands[chat]
    seconds: dict[str, list[float]] = {name: [] for name in commands}
    for _ in range(asked.rounds):
        for name, command in commands.items():
            started = time.perf_counter()
            subprocess.run(command, check=True, capture_output=True)
            seconds[name].append(time.perf_counter() - started)
    for name, times in seconds.items():
        print(f"{name:32} {statistics.median(times):6.3f} s")


if __name__ == "__main__":
    main()
