"""Reading and writing speed of a GGUF model, beside llama.cpp and transformers.

``python benchmarks/decode.py MODEL.gguf`` lets each program, in fresh processes and in turn, read
1,024 tokens, then write 64 behind 64 and behind 2,000, and 32 behind 64 for 8 texts at once;
always the likeliest token, the same random ids for all. transformers has bf16 weights, made of the
same file. Medians of ROUNDS processes are printed, and their ratios. A program that is not
installed is left out aloud; ``--llama-cpp PYTHON`` names an interpreter that has llama-cpp-python.
"""

import argparse
import json
import statistics
import subprocess
import sys
from typing import Any

CONTENDERS = {
    "tissu": """
import torch
from tissu_core.config.machine import DeviceConfig
from tissu_core.evals.speed import measure_speed
from tissu_core.runs.loading import load_to_decode
model = load_to_decode(path, DeviceConfig(device="cpu")).model
def measure(batch, context, new):
    speed = measure_speed(model, batch, context, new)
    return speed.prefill_tokens_per_second, speed.decode_tokens_per_second
vocab = model.config.vocab_size
""",
    "llama.cpp": """
import llama_cpp, numpy as np
llama = llama_cpp.Llama(path, n_ctx=4096, n_batch=2048, n_threads=threads, n_threads_batch=threads,
    verbose=False, logits_all=False)
vocab = llama.n_vocab()
def measure(batch, context, new):
    if batch > 1:
        return None
    ids = texts(1, context)[0]
    llama.reset(); llama.eval(ids[:8])
    firsts, steps = [], []
    for _ in range(3):
        llama.reset()
        began = time.perf_counter(); llama.eval(ids); llama.sample(temp=0.0)
        firsts.append(time.perf_counter() - began)
        for _ in range(new):
            began = time.perf_counter()
            llama.eval([llama.sample(temp=0.0)])
            steps.append(time.perf_counter() - began)
    return context / statistics.median(firsts), 1 / statistics.median(steps)
""",
    "transformers bf16": """
import torch
from pathlib import Path
from transformers import AutoModelForCausalLM, DynamicCache
torch.set_num_threads(threads)
model = AutoModelForCausalLM.from_pretrained(
    Path(path).parent, gguf_file=Path(path).name, dtype=torch.bfloat16).eval()
vocab = model.config.vocab_size
@torch.inference_mode()
def measure(batch, context, new):
    ids = torch.tensor(texts(batch, context))
    firsts, steps = [], []
    for _ in range(3):
        cache = DynamicCache(config=model.config)
        began = time.perf_counter()
        last = model(ids, past_key_values=cache, logits_to_keep=1).logits[:, -1].argmax(-1)
        firsts.append(time.perf_counter() - began)
        for _ in range(new):
            began = time.perf_counter()
            out = model(last[:, None], past_key_values=cache, logits_to_keep=1)
            last = out.logits[:, -1].argmax(-1)
            steps.append(time.perf_counter() - began)
    return batch * context / statistics.median(firsts), batch / statistics.median(steps)
""",
}
FRAME = """
import json, random, statistics, sys, time
path, threads = sys.argv[1], int(sys.argv[2])
def texts(batch, context):
    source = random.Random(0)
    return [[source.randrange(vocab) for _ in range(context)] for _ in range(batch)]
{contender}
found = {}
for batch, context, new in ((1, 64, 64), (1, 1024, 4), (1, 2000, 64), (8, 64, 32)):
    found[f"{batch} x {context}"] = measure(batch, context, new)
print(json.dumps(found))
"""
ROWS = (
    ("decode behind 64, tok/s", "1 x 64", 1),
    ("decode behind 2,000, tok/s", "1 x 2000", 1),
    ("prefill of 1,024, tok/s", "1 x 1024", 0),
    ("decode of 8 texts, tok/s", "8 x 64", 1),
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model")
    parser.add_argument("--llama-cpp", default=sys.executable, metavar="PYTHON")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    asked = parser.parse_args()
    found: dict[str, list[dict[str, Any]]] = {name: [] for name in CONTENDERS}
    for _ in range(asked.rounds):
        for name in [*found]:
            python = asked.llama_cpp if name == "llama.cpp" else sys.executable
            code = FRAME.replace("{contender}", CONTENDERS[name])
            command = [python, "-c", code, asked.model, str(asked.threads)]
            done = subprocess.run(command, check=False, capture_output=True, text=True)
            if done.returncode:
                print(f"{name} is left out: {(done.stderr.strip().splitlines() or ['?'])[-1]}")
                del found[name]
            else:
                found[name].append(json.loads(done.stdout.splitlines()[-1]))
    print(f"{'':28}" + "".join(f"{name:>20}" for name in found))
    for title, key, at in ROWS:
        medians = {
            name: statistics.median(each[key][at] for each in rounds)
            for name, rounds in found.items()
            if rounds[0][key] is not None
        }
        cells = [
            f"{medians[name]:,.1f} ({medians['tissu'] / medians[name]:.2f} x)"
            if name in medians
            else "-"
            for name in found
        ]
        print(f"{title:28}" + "".join(f"{cell:>20}" for cell in cells))


if __name__ == "__main__":
    main()
