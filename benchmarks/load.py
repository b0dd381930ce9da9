"""Seconds and memory from a model's file to ready, beside transformers and llama.cpp.

``python benchmarks/load.py MODEL.gguf`` (or a Hugging Face directory, which llama.cpp does not
read) lets each program load weights and tokenizer in fresh processes, in turn; imports are not
counted. Medians of seconds; peak memory over what the imports took. A program that is not installed
is left out aloud; ``--llama-cpp PYTHON`` names an interpreter that has llama-cpp-python.
"""

import argparse
import json
import statistics
import subprocess
import sys

CONTENDERS = {
    "tissu": """
import torch
from tissu_core.config.machine import DeviceConfig
from tissu_core.runs import loading
begin()
loaded = loading.load_to_decode(str(path), DeviceConfig(device="cpu"))
loaded.tokenizer.encode("ready")
""",
    "transformers": """
from transformers import AutoModelForCausalLM, AutoTokenizer
import gguf, torch
file = {"gguf_file": path.name} if path.is_file() else {}
folder = path.parent if path.is_file() else path
begin()
AutoTokenizer.from_pretrained(folder, **file)("ready")
AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, **file)
""",
    "llama.cpp": """
import llama_cpp
begin()
llama_cpp.Llama(str(path), n_ctx=2048, verbose=False).tokenize(b"ready")
""",
}
FRAME = """
import json, resource, sys, time
from pathlib import Path
path = Path(sys.argv[1])
def peak():
    kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return kib * (1 if sys.platform == "darwin" else 1024)
def begin():
    global started, before
    started, before = time.perf_counter(), peak()
{load}
print(json.dumps([time.perf_counter() - started, peak() - before]))
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model")
    parser.add_argument("--llama-cpp", default=sys.executable, metavar="PYTHON")
    parser.add_argument("--rounds", type=int, default=5)
    asked = parser.parse_args()
    found: dict[str, list[tuple[float, float]]] = {name: [] for name in CONTENDERS}
    for _ in range(asked.rounds):
        for name in [*found]:
            python = asked.llama_cpp if name == "llama.cpp" else sys.executable
            code = FRAME.replace("{load}", CONTENDERS[name])
            done = subprocess.run(
                [python, "-c", code, asked.model], check=False, capture_output=True, text=True
            )
            if done.returncode:
                print(f"{name} is left out: {done.stderr.strip().splitlines()[-1]}")
                del found[name]
            else:
                found[name].append(json.loads(done.stdout.splitlines()[-1]))
    for name, figures in found.items():
        seconds, num_bytes = (statistics.median(column) for column in zip(*figures, strict=True))
        print(f"{name:14} {seconds:7.2f} s   {num_bytes / 1e6:7.0f} MB")


if __name__ == "__main__":
    main()
