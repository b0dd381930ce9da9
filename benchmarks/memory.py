"""Peak memory of a training step against context, width and what is computed again.

``python benchmarks/memory.py`` takes two steps of each shape in a process of its own, 4 sequences
at once, and prints what it held beyond an idle torch, beside the estimate that the plan goes by
(models/count.py). ``--device cuda`` measures on a GPU.
"""

import argparse
import itertools
import multiprocessing
import time

import torch

from tissu_core.config.model import ModelConfig
from tissu_core.models.build import build_model
from tissu_core.models.count import train_bytes
from tissu_core.runtime.allocator import keep_freed_memory
from tissu_core.runtime.device import default_threads, use_deterministic_cpu
from tissu_core.runtime.memory import peak_bytes, reset_peak, used_bytes
from tissu_core.runtime.precision import autocast, resolve_precision
from tissu_core.training.objectives.next_token import next_token
from tissu_core.training.optim import build_optimizer

SEQUENCES, VOCAB, HEAD_DIM = 4, 4096, 64


def shape(layers: int, width: int, context: int) -> ModelConfig:
    return ModelConfig(
        vocab_size=VOCAB,
        hidden_size=width,
        num_hidden_layers=layers,
        num_attention_heads=width // HEAD_DIM,
        num_key_value_heads=width // HEAD_DIM,
        head_dim=HEAD_DIM,
        max_position_embeddings=context,
        intermediate_size=width * 8 // 3 // 64 * 64,
    )


def measure(config: ModelConfig, recompute: str, device_name: str) -> tuple[float, float]:
    """Bytes held at most, and seconds of the second step."""
    device = torch.device(device_name)
    use_deterministic_cpu(device, default_threads())
    if device.type == "cpu":
        keep_freed_memory()
    precision = resolve_precision("auto", device)
    reset_peak(device)
    before = used_bytes(device)
    model = build_model(config, device=device, seed=0)
    model.set_recompute(recompute)
    optimizer = build_optimizer(
        model, name="adamw", learning_rate=1e-3, weight_decay=0.1, width=config.hidden_size
    )
    seconds = 0.0
    for _ in range(2):
        ids = torch.randint(VOCAB, (SEQUENCES, config.max_position_embeddings + 1), device=device)
        started = time.perf_counter()
        with autocast(device, precision):
            loss = next_token(model, ids).loss_sum
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step(1.0, torch.tensor(False, device=device))
        seconds = time.perf_counter() - started
    return peak_bytes(device) - before, seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--layers", type=int, default=4)
    parser.add_argument("--widths", type=int, nargs="+", default=[256, 512])
    parser.add_argument("--contexts", type=int, nargs="+", default=[128, 256, 512, 1024])
    parser.add_argument("--recompute", nargs="+", default=["none", "ffn", "block"])
    parser.add_argument("--device", default="cpu")
    asked = parser.parse_args()
    spawn = multiprocessing.get_context("spawn")
    print(f"{asked.layers} layers, {SEQUENCES} sequences, vocabulary {VOCAB}, {asked.device}")
    print(f"{'width':>6}{'context':>9}{'again':>8}{'measured':>12}{'estimate':>12}{'step':>9}")
    for width, context, recompute in itertools.product(
        asked.widths, asked.contexts, asked.recompute
    ):
        config = shape(asked.layers, width, context)
        with spawn.Pool(1) as alone:
            held, seconds = alone.apply(measure, (config, recompute, asked.device))
        estimate = train_bytes(config, SEQUENCES, recompute)
        print(
            f"{width:>6}{context:>9}{recompute:>8}{held / 1e6:>9.0f} MB{estimate / 1e6:>9.0f} MB"
            f"{seconds:>7.2f} s",
            flush=True,
        )


if __name__ == "__main__":
    main()
