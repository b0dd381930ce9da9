"""Bits per byte at equal wall-clock: tissu's defaults against GPT-2's shape with AdamW.

``python benchmarks/quality.py TEXT --minutes 2 5 --seeds 3`` runs the command for each in turn.
What the defaults choose for the text and the machine (layers, width, context, batch, vocabulary) is
what the other gets too, so that architecture, first weights and optimizer are all that differs.
GPT-2's rate is the best of ``--rates``, tried for half a minute each; clipping, warm-up and cosine
are the same. The first of ``--minutes`` sets the shape.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

COMMAND = [sys.executable, "-m", "tissu_cli", "train"]
GPT2 = [
    *("--norm", "layernorm", "--ffn", "gelu_tanh", "--pos", "learned", "--bias"),
    *("--tie-embeddings", "--init", "gpt2", "--optimizer", "adamw"),
]


def train(text: Path, *options: str) -> list[dict[str, Any]]:
    """The events of a run."""
    command = [*COMMAND, str(text), "--view", "json", *options]
    done = subprocess.run(command, capture_output=True, check=True, text=True)
    return [json.loads(line) for line in done.stdout.splitlines()]


def chosen_for(text: Path, minutes: str) -> list[str]:
    """What the defaults choose, as options."""
    events = train(text, "--minutes", minutes, "--dry-run")
    plan = next(event for event in events if event["event"] == "Planned")
    layers, width = plan["model"].split(" layers x ")
    sizes = {
        "--layers": layers,
        "--width": width,
        "--context": plan["context_tokens"],
        "--batch-tokens": plan["batch_tokens"],
        "--vocab-size": plan["vocab_size"],
    }
    return [str(word) for option in sizes.items() for word in option]


def bits_per_byte(text: Path, *options: str) -> float:
    """At the end of a run; it is evaluated there alone, so that no time goes into it before."""
    end = train(text, "--eval-every", "1000000", *options)[-1]
    assert end["event"] == "RunFinished"
    return float(end["bits_per_byte"])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("text", type=Path)
    parser.add_argument("--minutes", nargs="+", default=["2", "5"])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--rates", nargs="+", default=["0.0005", "0.001", "0.002", "0.004"])
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as home:
        os.environ["TISSU_HOME"] = home
        sizes = chosen_for(asked.text, asked.minutes[0])
        print("both:", " ".join(sizes))
        tried = {
            rate: bits_per_byte(asked.text, *sizes, *GPT2, "--lr", rate, "--minutes", "0.6")
            for rate in asked.rates
        }
        rate = min(tried, key=tried.__getitem__)
        print("GPT-2's rates:", ", ".join(f"{r}: {score:.4f}" for r, score in tried.items()))
        for minutes in asked.minutes:
            ratios = []
            for seed in range(asked.seeds):
                shared = [*sizes, "--minutes", minutes, "--seed", str(seed)]
                own = bits_per_byte(asked.text, *shared)
                other = bits_per_byte(asked.text, *shared, *GPT2, "--lr", rate)
                ratios.append(own / other)
                print(f"{minutes:>3} min, seed {seed}: {own:.4f} / {other:.4f} = {ratios[-1]:.4f}")
                sys.stdout.flush()
            print(f"{minutes:>3} min: {1 - statistics.mean(ratios):.1%} lower")


if __name__ == "__main__":
    main()
