"""Reading and tokenising a corpus against the tokenizers library alone, and the peak of memory.

``python benchmarks/tokenising.py 10 100 1000`` writes corpora of so many megabytes, the sources of
Python's standard library again and again, into a scratch folder. Each round prepares the corpus and
encodes the same files with the library in batches of the same size, in a process of its own;
medians of both speeds and of their ratio are printed, and the largest peak of memory.
"""

import argparse
import json
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


def peak_megabytes() -> int:
    for line in Path("/proc/self/status").read_text("ascii").splitlines():
        if line.startswith("VmHWM"):
            return int(line.split()[1]) >> 10
    return 0


def ours(corpus: Path, cache: Path) -> tuple[TokenShards, float]:
    """The shards, and the seconds after the vocabulary was learned."""
    started = 0.0
    run = prepare(DataConfig(corpus=(str(corpus),)), VOCAB_SIZE, cache, lambda: False)
    while True:
        try:
            event = next(run)
        except StopIteration as end:
            return end.value, time.perf_counter() - started
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
    with tempfile.TemporaryDirectory() as cache:
        shards, seconds = ours(corpus, Path(cache))
        peak = peak_megabytes()
        other = theirs(corpus, shards)
    print(json.dumps([shards.facts["text_bytes"] / 1e6, seconds, other, peak]))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("megabytes", nargs="*", type=int, default=[10])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--round", type=Path, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.round:
        one_round(asked.round)
        return
    print(f"{'':>8} {'tissu':>11} {'tokenizers':>13} {'ratio':>8} {'peak':>9}")
    for megabytes in asked.megabytes:
        with tempfile.TemporaryDirectory() as folder:
            write_corpus(Path(folder), megabytes)
            command = [sys.executable, __file__, "--round", folder]
            rounds = [json.loads(subprocess.check_output(command)) for _ in range(asked.rounds)]
        speed = statistics.median(size / seconds for size, seconds, _, _ in rounds)
        other = statistics.median(size / seconds for size, _, seconds, _ in rounds)
        ratio = statistics.median(b / a for _, a, b, _ in rounds)
        peak = max(peak for *_, peak in rounds)
        print(f"{megabytes:5} MB {speed:6.2f} MB/s {other:8.2f} MB/s {ratio:8.2f} {peak:6} MB")


if __name__ == "__main__":
    main()
