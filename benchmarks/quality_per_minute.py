"""Bits per byte of text that nobody trained on, after so many minutes, from nothing but a text.

``python benchmarks/quality_per_minute.py TEXT --minutes 2 5 10`` holds out the end of each file of
TEXT, runs ``tissu train`` on the rest with no option but the minutes, all counted from the start of
the process and with empty caches, and measures the model it leaves. With ``--nanogpt`` and
``--nanochat``, each a checkout, these train beside it for the same time on the same tokens;
``peer_training.py`` tells what they are given. The compiled code of the peers is in their cache.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from pathlib import Path
from typing import Any

HELD_SHARE = 0.05
PEERS = ("nanogpt", "nanochat")
COMMAND = [sys.executable, "-m", "tissu_cli"]


def hold_out(text: Path, folder: Path) -> tuple[Path, Path]:
    """Folders of what is trained on and of what is not, the last lines of each file."""
    trained, held = folder / "trained", folder / "held"
    trained.mkdir()
    held.mkdir()
    for path in sorted(text.rglob("*.txt")) if text.is_dir() else [text]:
        whole = path.read_text("utf-8")
        cut = whole.find("\n", round(len(whole) * (1 - HELD_SHARE))) + 1
        (trained / path.name).write_text(whole[:cut], "utf-8")
        (held / path.name).write_text(whole[cut:], "utf-8")
    return trained, held


def output_of(*command: str | Path, home: Path) -> str:
    environ = {**os.environ, "TISSU_HOME": str(home), "TORCHINDUCTOR_CACHE_DIR": str(home / "code")}
    done = subprocess.run(
        [*map(str, command)], stdout=subprocess.PIPE, check=True, text=True, env=environ
    )
    return done.stdout


def tissu(trained: Path, held: Path, home: Path, minutes: float, seed: int) -> dict[str, Any]:
    """What a run with the defaults comes to, and how long it took."""
    words = ("--minutes", f"{minutes:g}", "--seed", str(seed), "--name", "r", "--view", "json")
    began = time.monotonic()
    lines = output_of(*COMMAND, "train", trained, *words, home=home).splitlines()
    seconds = time.monotonic() - began
    events = {event["event"]: event for event in map(json.loads, lines)}
    plan, step = events["Planned"], events["StepFinished"]
    score = json.loads(output_of(*COMMAND, "eval", "ppl", held, "-m", "r", "--json", home=home))
    return {
        "bits_per_byte": score["bits_per_byte"],
        "tokens": step["tokens"],
        "seconds": seconds,
        "model": f"{plan['model']}, context {plan['context_tokens']}, "
        f"batch {plan['batch_tokens']}, vocabulary {plan['vocab_size']}",
    }


def peer(
    name: str, checkout: Path, held: Path, homes: tuple[Path, Path], minutes: float, seed: int
) -> dict[str, Any]:
    """The same of a peer, on the tokens in the first home and with the code in the second."""
    home, cache = homes
    shards = next((home / "cache" / "tokens").iterdir())
    script = Path(__file__).with_name("peer_training.py")
    words = (script, name, checkout, shards, held, f"{60 * minutes:g}", "--seed", str(seed))
    found: dict[str, Any] = json.loads(
        output_of(sys.executable, *words, home=cache).splitlines()[-1]
    )
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("text", type=Path)
    parser.add_argument("--minutes", type=float, nargs="+", default=[2, 5, 10])
    parser.add_argument("--seeds", type=int, default=1)
    for name in PEERS:
        parser.add_argument(f"--{name}", type=Path, metavar="PATH", help="a checkout of it")
    asked = parser.parse_args()
    checkouts = {name: getattr(asked, name) for name in PEERS if getattr(asked, name)}
    for name in PEERS:
        if name not in checkouts:
            print(f"{name} is not compared: --{name} PATH names a checkout")
    with tempfile.TemporaryDirectory() as folder:
        trained, held = hold_out(asked.text, Path(folder))
        warm: set[str] = set()
        for minutes in asked.minutes:
            scores = defaultdict(list)
            for seed in range(asked.seeds):
                home = Path(tempfile.mkdtemp(dir=folder))
                results = {"tissu": tissu(trained, held, home, minutes, seed)}
                for name, checkout in checkouts.items():
                    homes = home, Path(folder) / name
                    if name not in warm:
                        peer(name, checkout, held, homes, 0.1, seed)
                        warm.add(name)
                    results[name] = peer(name, checkout, held, homes, minutes, seed)
                for name, result in results.items():
                    scores[name].append(result["bits_per_byte"])
                    facts = ", ".join(f"{k} {v}" for k, v in result.items() if k != "bits_per_byte")
                    print(f"{minutes:g} min, seed {seed}, {name}: {scores[name][-1]:.4f} ({facts})")
                    sys.stdout.flush()
            line = ", ".join(f"{name} {statistics.median(of):.4f}" for name, of in scores.items())
            print(f"{minutes:g} min, medians: {line}")


if __name__ == "__main__":
    main()
