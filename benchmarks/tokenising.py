"""Reading and tokenising a corpus against the tokenizers library alone, and the peaks of memory.

``python benchmarks/tokenising.py 10 100 1000`` writes corpora of so many megabytes, the sources of
Python's standard library again and again, into a scratch folder. Each round prepares the corpus and
encodes the same files with the library in batches of the same size, in a process of its own;
medians of both speeds and of their ratio are printed. The clock of both begins when the vocabulary
is learned: what tissu does before (listing, hashing, learning) is the column of its own seconds.
Peaks are the largest of all rounds: of preparing, of the process that learns, and of 20 steps of
``tissu train`` on the prepared tokens.
"""

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import sysconfig
import tempfile
import time
from pathlib import Path

from tissu_core.config.data import DataConfig
from tissu_core.data.prepare import prepare
from tissu_core.data.shards import TokenShards

VOCAB_SIZE = 4096
BATCH_CHARACTERS = 1 << 20


def write_corpus(folder: Path, megabytes: int) -> None:
    library = Path(sysconfig.get_path("stdlib"))
    sources = [path.read_bytes() for path in sorted(library.glob("*.py"))]
    written = number = 0
    while written < megabytes << 20:
        # A line of its own makes each repetition another file; equal ones would be read once.
        text = b"# %d\n" % number + sources[number % len(sources)]
        path = folder / f"{number // 1000:04}" / f"{number:07}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        written += path.write_bytes(text)
        number += 1


def megabytes_of(usage: resource.struct_rusage) -> int:
    return usage.ru_maxrss >> (20 if sys.platform == "darwin" else 10)


def training_peak(corpus: Path, home: Path) -> int:
    """Of 20 steps on tokens that are there already."""
    shape = ["--layers", "4", "--width", "256", "--context", "256", "--batch-tokens", "4096"]
    command = [sys.executable, "-m", "tissu_cli", "train", str(corpus), "--steps", "20", *shape]
    child = subprocess.Popen(
        [*command, "--vocab-size", str(VOCAB_SIZE)],
        env=os.environ | {"TISSU_HOME": str(home)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    _, status, usage = os.wait4(child.pid, 0)
    assert status == 0
    return megabytes_of(usage)


def ours(corpus: Path, cache: Path) -> tuple[TokenShards, float, float]:
    """The shards, the seconds until the vocabulary was learned, and those after."""
    began = started = time.perf_counter()
    run = prepare(DataConfig(corpus=(str(corpus),)), VOCAB_SIZE, cache, lambda: False)
    while True:
        try:
            event = next(run)
        except StopIteration as end:
            return end.value, started - began, time.perf_counter() - started
        if getattr(event, "stage", "") != "tokenising":
            started = time.perf_counter()


def theirs(corpus: Path, shards: TokenShards) -> float:
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(shards.directory / "tokenizer.json"))
    tokenizer.encode_special_tokens = True
    started = time.perf_counter()
    texts: list[str] = []
    size = 0
    for path in sorted(corpus.rglob("*.py")):
        texts.append(path.read_text("utf-8"))
        size += len(texts[-1])
        if size >= BATCH_CHARACTERS:
            tokenizer.encode_batch_fast(texts, add_special_tokens=False)
            texts, size = [], 0
    tokenizer.encode_batch_fast(texts, add_special_tokens=False)
    return time.perf_counter() - started


def one_round(corpus: Path) -> None:
    with tempfile.TemporaryDirectory() as home:
        shards, before, seconds = ours(corpus, Path(home, "cache"))
        who = (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
        peaks = [megabytes_of(resource.getrusage(one)) for one in who]
        peaks.append(training_peak(corpus, Path(home)))
        other = theirs(corpus, shards)
    print(json.dumps([shards.facts["text_bytes"] / 1e6, before, seconds, other, peaks]))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("megabytes", nargs="*", type=int, default=[10])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--round", type=Path, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.round:
        one_round(asked.round)
        return
    print(f"{'':8} {'before':>8} {'tissu':>11} {'tokenizers':>11} {'ratio':>6}", end="")
    print(f" {'preparing':>10} {'learning':>10} {'training':>10}")
    for megabytes in asked.megabytes:
        with tempfile.TemporaryDirectory() as folder:
            write_corpus(Path(folder), megabytes)
            command = [sys.executable, __file__, "--round", folder]
            rounds = [json.loads(subprocess.check_output(command)) for _ in range(asked.rounds)]
        before = statistics.median(before for _, before, _, _, _ in rounds)
        speed = statistics.median(size / seconds for size, _, seconds, _, _ in rounds)
        other = statistics.median(size / seconds for size, _, _, seconds, _ in rounds)
        ratio = statistics.median(b / a for _, _, a, b, _ in rounds)
        peaks = [max(peaks[i] for *_, peaks in rounds) for i in range(3)]
        line = f"{megabytes:5} MB {before:6.1f} s {speed:6.2f} MB/s {other:6.2f} MB/s {ratio:6.2f}"
        print(line, *(f"{peak:7} MB" for peak in peaks), flush=True)


if __name__ == "__main__":
    main()
