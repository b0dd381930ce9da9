"""What llama.cpp makes of a GGUF that tissu wrote, beside tissu's own logits of the same file.

``python benchmarks/exported_gguf.py MODEL`` exports a model in each type; llama.cpp opens each and
reads the first tokens of TEXT, and tissu reads them with the file's matrices unpacked to fp32.
Printed are whether tokens and template are the same, KL(tissu || llama.cpp) in nats a token, how
often the likeliest token is the same, and how many of 32 greedy tokens are. ``--llama-cpp PYTHON``
names an interpreter that has llama-cpp-python.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import torch

from tissu_core.checkpoint.model_directory import LoadedModel, in_full
from tissu_core.config.machine import DeviceConfig
from tissu_core.runs.loading import load_for_use

TYPES = ("f32", "f16", "q8_0", "q4_0", "q4_k")
GREEDY = 32
THEIRS = """
import json, sys
import llama_cpp, numpy as np
path, text, count, begin, new, out = sys.argv[1:]
llama = llama_cpp.Llama(path, n_ctx=1024, logits_all=True, verbose=False)
ids = llama.tokenize(open(text, "rb").read(), add_bos=False, special=True)[: int(count)]
llama.eval(ids)
np.save(out, llama.scores[: len(ids)])
llama.reset()
llama.eval(ids[: int(begin)])
greedy = []
for _ in range(int(new)):
    greedy.append(int(llama.scores[llama.n_tokens - 1].argmax()))
    llama.eval(greedy[-1:])
template = llama.metadata.get("tokenizer.chat_template")
print(json.dumps({"ids": ids, "greedy": greedy, "template": template}))
"""


@torch.inference_mode()
def greedy(loaded: LoadedModel, ids: list[int], new: int) -> list[int]:
    found: list[int] = []
    for _ in range(new):
        logits = loaded.model(torch.tensor([ids + found]), last_only=True)
        found.append(int(logits.argmax()))
    return found


@torch.inference_mode()
def compare(path: Path, text: Path, count: int, python: str) -> str:
    out = path.with_suffix(".npy")
    begin = count // 2
    command = [python, "-c", THEIRS, *map(str, (path, text, count, begin, GREEDY, out))]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    theirs = json.loads(done.stdout.splitlines()[-1])
    loaded = in_full(load_for_use(str(path), DeviceConfig(device="cpu"))[0])
    ids = loaded.tokenizer.encode(text.read_text("utf-8"))[:count]
    logits = loaded.model(torch.tensor([ids]))[0].log_softmax(-1)
    other = torch.from_numpy(np.load(out))[:, : logits.shape[1]].log_softmax(-1)
    kl = float((logits.exp() * (logits - other)).sum(-1).mean())
    top = float((logits.argmax(-1) == other.argmax(-1)).float().mean())
    own = greedy(loaded, ids[:begin], GREEDY)
    agreed = next(
        (i for i, pair in enumerate(zip(own, theirs["greedy"], strict=True)) if pair[0] != pair[1]),
        GREEDY,
    )
    is_same = {
        "tokens": ids == theirs["ids"],
        "template": loaded.tokenizer.chat_template == theirs["template"],
    }
    facts = [f"{name} {'the same' if same else 'OTHERS'}" for name, same in is_same.items()]
    return f"{', '.join(facts)}, KL {kl:.2e}, top-1 {100 * top:.1f} %, greedy {agreed} of {GREEDY}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model")
    parser.add_argument("--text", type=Path, default=Path(__file__).parent.parent / "README.md")
    parser.add_argument("--tokens", type=int, default=384)
    parser.add_argument("--llama-cpp", default=sys.executable, metavar="PYTHON")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        for kind in TYPES:
            path = Path(folder) / f"{kind}.gguf"
            command = [sys.executable, "-m", "tissu_cli", "export", "gguf", asked.model]
            subprocess.run(
                [*command, "--type", kind, "-o", str(path)], check=True, capture_output=True
            )
            print(f"{kind:5}", compare(path, asked.text, asked.tokens, asked.llama_cpp), flush=True)
            path.unlink()


if __name__ == "__main__":
    main()
