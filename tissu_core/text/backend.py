"""Tokenizers of the ``tokenizers`` library, from files that may be anything."""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tissu_core.errors import InputError
from tissu_core.storage import refuse_pointer

if TYPE_CHECKING:
    from tokenizers import Tokenizer as Backend

LARGEST_FILE_BYTES = 64 << 20
"""A vocabulary of 262,144 tokens with its merges is a file of 33 MB."""
_MOST_IDS = 1 << 22
_PROBE = "a\U0010fffd"


@contextmanager
def named_failures(where: str | Path) -> Iterator[None]:
    """Whatever the library cannot bear becomes an error that names the file.

    Its panics are no ``Exception``.

    Raises:
        InputError: If the body fails.
    """
    try:
        with _silent_library():
            yield
    except (InputError, KeyboardInterrupt, SystemExit):
        raise
    except BaseException as error:
        reason = str(error) or type(error).__name__
        raise InputError(
            f"{where} is no tokenizer: {reason[:300]}", hint="use another copy, or another model"
        ) from error


@contextmanager
def _silent_library() -> Iterator[None]:
    """No word of the library itself: it writes of a panic to the process's stderr."""
    try:
        kept = os.dup(2)
    except OSError:  # there is none
        yield
        return
    try:
        with Path(os.devnull).open("wb") as nowhere:
            os.dup2(nowhere.fileno(), 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)


def read_bounded(path: Path) -> bytes:
    """The bytes of a tokenizer's file.

    Raises:
        InputError: If it is larger than any tokenizer, a Git LFS pointer, or cannot be read.
    """
    try:
        size = path.stat().st_size
        if size > LARGEST_FILE_BYTES:
            raise InputError(
                f"{path} has {size:,} bytes, and a tokenizer's file at most {LARGEST_FILE_BYTES:,}",
                hint="name the file of a tokenizer",
            )
        refuse_pointer(path)
        return path.read_bytes()
    except OSError as error:
        raise InputError(
            f"cannot read {path}: {error.strerror or error}", hint="name a file that can be read"
        ) from error


def read_backend(path: Path) -> "Backend":
    """The tokenizer in a ``tokenizer.json``.

    Raises:
        InputError: If it is none.
    """
    from tokenizers import Tokenizer as Backend

    data = read_bounded(path)
    with named_failures(path):
        backend = Backend.from_buffer(data)
        # What is read may still lack a token for the unknown, or put in one that is not there.
        largest = max(backend.encode(_PROBE).ids, default=0)
        vocabulary = backend.get_vocab(with_added_tokens=True)
        if not largest <= max(vocabulary.values(), default=-1) < _MOST_IDS:
            raise ValueError(f"its ids are not those of its tokens, or reach {_MOST_IDS:,}")
    return backend


def changed(backend: "Backend", facts: dict[str, Any]) -> "Backend":
    """A copy with other parts, as ``tokenizer.json`` spells them."""
    from tokenizers import Tokenizer as Backend

    copy = Backend.from_str(json.dumps(json.loads(backend.to_str()) | facts))
    copy.encode_special_tokens = backend.encode_special_tokens
    return copy
