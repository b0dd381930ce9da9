"""Bits per byte at equal wall-clock: Muon, AdamW at several rates, on one text and one shape.

``python benchmarks/optimizers.py TEXT --seconds 75`` trains each in turn and prints a table. With
``--steps`` it times one step of each optimizer, torch.optim.Muon among them, and trains nothing.
"""

import argparse
import os
import statistics
import sys
import tempfile
import threading
import time

RATES = {"muon": ("0.01", "0.02", "0.04"), "adamw": ("0.0015", "0.003", "0.006")}


def bits_per_byte(text: str, optimizer: str, rate: str, seconds: float) -> tuple[float, float]:
    """Bits per byte and median tokens a second of a run that trains for ``seconds``."""
    from tissu_core import STARTED
    from tissu_core.config.load import build_config
    from tissu_core.config.runs import TrainRun
    from tissu_core.events.training import RunFinished, StepFinished
    from tissu_core.runs.train.train import train

    minutes = (time.monotonic() - STARTED + seconds) / 60
    run = build_config(
        TrainRun,
        {
            "data": {"corpus": [text]},
            "model": {
                "num_hidden_layers": 4,
                "hidden_size": 256,
                "context_tokens": 128,
                "vocab_size": 4096,
            },
            "optimizer": {"name": optimizer, "learning_rate": float(rate)},
            "training": {"minutes": minutes, "batch_tokens": 3072, "eval_every": 10**9},
        },
    )
    speeds, score = [], float("nan")
    for event in train(run, threading.Event()):
        if isinstance(event, StepFinished):
            speeds.append(event.tokens_per_second)
        elif isinstance(event, RunFinished):
            score = event.bits_per_byte
    return score, statistics.median(speeds)


def time_steps(layers: int, width: int) -> None:
    """One step of each optimizer over the same gradients, in turn."""
    import torch

    from tissu_core.config.shape import ModelShape, resolve_shape
    from tissu_core.models.build import build_model
    from tissu_core.training.optim import build_optimizer

    config = resolve_shape(
        ModelShape(), layers=layers, width=width, context_tokens=128, vocab_size=4096
    )
    model = build_model(config, device=torch.device("cpu"), seed=0)
    matrices = [p for name, p in model.named_parameters() if p.ndim == 2 and "layers" in name]
    ours = build_optimizer(model, name="muon", learning_rate=0.02, weight_decay=0.1, width=width)
    steps = {
        "tissu's muon": lambda: ours.step(1.0),
        "torch.optim.Muon": torch.optim.Muon(matrices, lr=0.02).step,
        "AdamW fused": torch.optim.AdamW(model.parameters(), fused=True).step,
    }
    times: dict[str, list[float]] = {name: [] for name in steps}
    for _ in range(7):
        for name, step in steps.items():
            for parameter in model.parameters():
                parameter.grad = torch.randn_like(parameter)
            started = time.perf_counter()
            step()
            times[name].append((time.perf_counter() - started) * 1e3)
    row = ", ".join(f"{name} {statistics.median(t):.0f} ms" for name, t in times.items())
    print(f"{layers} layers x {width}: one step of {row}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("text", nargs="?")
    parser.add_argument("--seconds", type=float, default=75.0)
    parser.add_argument("--steps", action="store_true")
    options = parser.parse_args()
    if options.steps or not options.text:
        time_steps(4, 256)
        time_steps(6, 384)
        return
    with tempfile.TemporaryDirectory() as home:
        os.environ["TISSU_HOME"] = home
        for optimizer, rates in RATES.items():
            for rate in rates:
                score, speed = bits_per_byte(options.text, optimizer, rate, options.seconds)
                print(f"{optimizer:6} at {rate:7} {score:.4f} bits per byte {speed:8.0f} tok/s")
                sys.stdout.flush()


if __name__ == "__main__":
    main()
