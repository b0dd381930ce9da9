"""Where a prompt comes from."""

import codecs
import sys
from collections.abc import Iterator
from typing import BinaryIO

from tissu_core.errors import ConfigError, InputError

_CHUNK_BYTES = 1 << 16


def clean_argument(text: str) -> str:
    """Text of the command line; bytes that are no text become U+FFFD."""
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def read_prompt(given: str | None, command: str) -> str:
    """The prompt of ``-p``, or of a pipe.

    Raises:
        ConfigError: If there is neither.
        InputError: If what is piped in is not UTF-8 text.
    """
    if given is not None:
        return clean_argument(given)
    return "".join(iter_text(_stdin("prompt", f'{command} -p "..."'), "stdin"))


def iter_stdin(command: str) -> Iterator[str]:
    """The text of a pipe, as it comes.

    Raises:
        ConfigError: If somebody sits at stdin.
        InputError: If what is piped in is not UTF-8 text.
    """
    return iter_text(_stdin("text", command), "stdin")


def iter_text(file: BinaryIO, name: str) -> Iterator[str]:
    """A file's text in chunks.

    Raises:
        InputError: If it is not UTF-8.
    """
    decoder, position = codecs.getincrementaldecoder("utf-8")(), 0
    while True:
        chunk = file.read(_CHUNK_BYTES)
        try:
            text = decoder.decode(chunk, final=not chunk)
        except UnicodeDecodeError as error:
            at = position + len(chunk) - len(error.object) + error.start
            raise InputError(
                f"{name} is not UTF-8 at byte {at:,}", hint="give text in UTF-8"
            ) from error
        if text:
            yield text
        if not chunk:
            return
        position += len(chunk)


def _stdin(field: str, hint: str) -> BinaryIO:
    if sys.stdin is None or sys.stdin.isatty():
        raise ConfigError(f"there is no {field}", field=field, hint=hint)
    return sys.stdin.buffer
