"""Learning a tokenizer in a child process.

Learning is native code that answers no signal until it is done (10 to 60 s for 64 MB), so it runs
in a process of its own that the parent can end at any moment.
"""

import json
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

from tissu_core.errors import ResourceError
from tissu_core.text.bpe_trainer import learn_bpe
from tissu_core.text.piece_trainer import learn_pieces
from tissu_core.text.splits import EXPORTABLE
from tissu_core.text.tokenizer import Tokenizer

_POLL_SECONDS = 0.1


def learn(documents: Iterable[str], vocab_size: int, split: str) -> Tokenizer:
    """A tokenizer of this split, from text; the same for the same text."""
    learner = learn_pieces if split in ("char", "word") else learn_bpe
    tokenizer = Tokenizer(learner(documents, vocab_size, split))
    if split not in EXPORTABLE:
        tokenizer.config["is_exportable"] = False
    return tokenizer


def iter_learning(
    sample: Path, vocab_size: int, output: Path, split: str = "qwen2"
) -> Iterator[float]:
    """Learn from ``sample`` (JSON lines of text) in a child process; yields seconds so far.

    The directory ``output`` holds the tokenizer when the iterator ends. Closing the iterator ends
    the child.

    Raises:
        ResourceError: If the child fails, which in practice means it ran out of memory.
    """
    started = time.monotonic()
    command = [sys.executable, "-P", "-m", __name__, str(sample), str(vocab_size), str(output)]
    # A session of its own, on Windows a group: Ctrl-C reaches the parent alone, which then ends
    # the child.
    with subprocess.Popen(
        [*command, split],
        stdin=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        start_new_session=True,
        creationflags=getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0),
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


def _main(sample: str, vocab_size: str, output: str, split: str) -> None:
    with Path(sample).open(encoding="utf-8") as lines:
        learn((json.loads(line) for line in lines), int(vocab_size), split).save(Path(output))


if __name__ == "__main__":
    _main(*sys.argv[1:])
