"""Where a prompt comes from."""

import sys

from tissu_core.errors import ConfigError, InputError


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
    if sys.stdin is None or sys.stdin.isatty():
        raise ConfigError("there is no prompt", field="prompt", hint=f'{command} -p "..."')
    try:
        return sys.stdin.buffer.read().decode("utf-8")
    except UnicodeDecodeError as error:
        raise InputError(
            f"stdin is not UTF-8 at byte {error.start:,}", hint="pipe text in"
        ) from error
