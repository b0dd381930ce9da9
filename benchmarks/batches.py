"""Tokens per second of one prompt at a time and of several at once, and of transformers' generate.

``python benchmarks/batches.py`` writes a random model of 6 layers x 384 into a scratch folder,
loads it with both programs and continues 16 prompts of 4 to 60 tokens by 32 tokens each, greedily
and without an end. All contenders take turns in one process; medians are printed. With a model's
directory as argument, that one is measured.
"""

import argparse
import statistics
import sysconfig
import tempfile
import time
from pathlib import Path

import torch
from transformers import AutoModelForCausalLM

from tissu_core.checkpoint.model_directory import load_model, write_model_files
from tissu_core.config.decoding import DecodingConfig
from tissu_core.config.shape import ModelShape, resolve_shape
from tissu_core.decoding.generate import decode
from tissu_core.decoding.row import Row
from tissu_core.models.build import build_model
from tissu_core.runtime.device import default_threads
from tissu_core.text.bpe_trainer import learn_bpe
from tissu_core.text.tokenizer import Tokenizer

CPU = torch.device("cpu")
PROMPTS, NEW_TOKENS = 16, 32
GREEDY = DecodingConfig(greedy=True)


def write_model(folder: Path) -> None:
    text = Path(sysconfig.get_path("stdlib"), "argparse.py").read_text("utf-8")
    tokenizer = Tokenizer(learn_bpe([text], 4096))
    config = resolve_shape(
        ModelShape(), layers=6, width=384, context_tokens=256, vocab_size=tokenizer.vocab_size
    )
    write_model_files(folder, build_model(config, device=CPU, seed=0), tokenizer)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", nargs="?", type=Path)
    parser.add_argument("--batch-sizes", nargs="*", type=int, default=[1, 2, 4, 8, 16])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=default_threads())
    asked = parser.parse_args()
    torch.set_num_threads(asked.threads)
    with tempfile.TemporaryDirectory() as scratch:
        folder = asked.model or Path(scratch)
        if asked.model is None:
            write_model(folder)
        ours = load_model(folder, CPU).model
        theirs = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    theirs.generation_config.eos_token_id = None
    generator = torch.Generator().manual_seed(0)
    lengths = torch.randint(4, 61, (PROMPTS,), generator=generator).tolist()
    prompts = [torch.randint(16, 1000, (n,), generator=generator) for n in lengths]

    def tissu(size: int) -> int:
        rows = (Row(prompt.tolist(), GREEDY, NEW_TOKENS) for prompt in prompts)
        return sum(1 for _ in decode(ours, rows, size))

    def transformers(size: int) -> int:
        for begin in range(0, PROMPTS, size):
            part = prompts[begin : begin + size]
            ids = torch.nn.utils.rnn.pad_sequence(part, batch_first=True, padding_side="left")
            counts = torch.tensor([[len(prompt)] for prompt in part])
            theirs.generate(
                ids,
                attention_mask=(torch.arange(ids.shape[1]) >= ids.shape[1] - counts).long(),
                do_sample=False,
                max_new_tokens=NEW_TOKENS,
                pad_token_id=0,
            )
        return PROMPTS * NEW_TOKENS

    contenders = [(name, size) for size in asked.batch_sizes for name in (tissu, transformers)]
    times: dict[tuple[str, int], list[float]] = {}
    for _ in range(asked.rounds):
        for work, size in contenders:
            started = time.perf_counter()
            tokens = work(size)
            pace = tokens / (time.perf_counter() - started)
            times.setdefault((work.__name__, size), []).append(pace)
    print(f"{torch.get_num_threads()} threads, torch {torch.__version__}, tokens/s")
    print(f"{'batch':>8} {'tissu':>10} {'transformers':>14}")
    for size in asked.batch_sizes:
        mine, other = (statistics.median(times[name, size]) for name in ("tissu", "transformers"))
        print(f"{size:8} {mine:10.0f} {other:14.0f}", flush=True)


if __name__ == "__main__":
    main()
