"""Learning a byte-level BPE vocabulary, in a child process.

Learning is native code that answers no signal until it is done (10 to 60 s for 64 MB), so it runs
in a process of its own that the parent can end at any moment.
"""

import json
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from tissu_core.errors import ResourceError
from tissu_core.text.special_tokens import SPECIAL_TOKENS

if TYPE_CHECKING:
    from tokenizers import Tokenizer as Backend

# Qwen2's split pattern, which llama.cpp knows by name ("qwen2").
QWEN2_PATTERN = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*"
    r"|\s*[\r\n]+|\s+(?!\S)|\s+"
)
# The trainer's time goes with the square of a word's length; a megabyte of one letter never ended.
_SHORT_WORDS = r"[\s\S]{1,256}"
SMALLEST_VOCABULARY = 256 + len(SPECIAL_TOKENS)
_POLL_SECONDS = 0.1


def learn_bpe(documents: Iterable[str], vocab_size: int) -> "Backend":
    """A byte-level BPE tokenizer learned from ``documents``; deterministic.

    It may end with fewer than ``vocab_size`` tokens when the text has no more pairs to merge.
    """
    from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers

    tokenizer = Tokenizer(models.BPE())
    words = pre_tokenizers.Split(Regex(QWEN2_PATTERN), behavior="isolated")
    short_words = pre_tokenizers.Split(Regex(_SHORT_WORDS), behavior="isolated")
    letters = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([words, short_words, letters])
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size,
        special_tokens=list(SPECIAL_TOKENS),
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator(documents, trainer)
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([words, letters])
    return tokenizer


def iter_learning(sample: Path, vocab_size: int, output: Path) -> Iterator[float]:
    """Learn from ``sample`` (JSON lines of text) in a child process; yields seconds so far.

    ``output`` holds the tokenizer when the iterator ends. Closing the iterator ends the child.

    Raises:
        ResourceError: If the child fails, which in practice means it ran out of memory.
    """
    started = time.monotonic()
    command = [sys.executable, "-P", "-m", __name__, str(sample), str(vocab_size), str(output)]
    # A session of its own: Ctrl-C reaches the parent alone, which then ends the child.
    with subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, start_new_session=True
    ) as child:
        try:
            while True:
                try:
                    _, errors = child.communicate(timeout=_POLL_SECONDS)
                    break
                except subprocess.TimeoutExpired:
                    yield time.monotonic() - started
        except BaseException:
            child.kill()
            raise
    if child.returncode:
        detail = errors.decode(errors="replace").strip().splitlines()[-1:] or ["no message"]
        raise ResourceError(
            f"learning the vocabulary failed (exit {child.returncode}: {detail[0]})",
            hint="a smaller --vocab-size",
        )


def _main(sample: str, vocab_size: str, output: str) -> None:
    with Path(sample).open(encoding="utf-8") as lines:
        learn_bpe((json.loads(line) for line in lines), int(vocab_size)).save(output)


if __name__ == "__main__":
    _main(*sys.argv[1:])
