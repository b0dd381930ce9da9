"""What ``tissu train --hist-every`` costs: a record, beside a step of the same model.

``python benchmarks/histograms.py`` takes steps of 6 layers x 384 on 4,096 tokens each on a CPU, and
records between them, in turns; medians are printed, in seconds of processor time.
"""

import argparse
import json
import statistics
import time

import torch

from tissu_core.config.shape import ModelShape, resolve_shape
from tissu_core.events.histograms import HistogramsTaken
from tissu_core.events.records import to_record
from tissu_core.models.build import build_model
from tissu_core.training.histograms import StepHistograms
from tissu_core.training.objectives.next_token import next_token
from tissu_core.training.optim import build_optimizer

CPU = torch.device("cpu")
CONTEXT, SEQUENCES = 256, 16


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--every", type=int, default=50)
    asked = parser.parse_args()
    config = resolve_shape(
        ModelShape(), layers=6, width=384, context_tokens=CONTEXT, vocab_size=4096
    )
    model = build_model(config, device=CPU, seed=0)
    optimizer = build_optimizer(model, name="muon", learning_rate=0.02, weight_decay=0.0, width=384)
    taken: list[HistogramsTaken] = []
    looking = StepHistograms(model, 1, "fp32", SEQUENCES, taken.append)
    times: dict[str, list[float]] = {"step": [], "record": []}
    for number in range(asked.rounds):
        windows = torch.randint(4096, (SEQUENCES, CONTEXT + 1))
        began = time.process_time()
        next_token(model, windows).loss_sum.backward()
        middle = time.process_time()
        looking.look(number, windows)
        looked = time.process_time()
        optimizer.step(1.0)
        end = time.process_time()
        times["step"].append(middle - began + end - looked)
        times["record"].append(looked - middle)
    step, record = (statistics.median(values) for values in times.values())
    size = len(json.dumps(to_record(taken[-1])))
    print(f"step {step:.2f} s, record {record:.3f} s and {size / 1e3:.0f} kB")
    print(f"every {asked.every} steps: {record / step / asked.every:.2%} of the time")


if __name__ == "__main__":
    main()
