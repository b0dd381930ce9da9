"""Everything that can go wrong in a way a person can mend.

::

    TissuError                       exit code
      ConfigError                    2   a setting is wrong; names the field
      InputError                     3   a folder, file, model or prompt cannot be used
      ResourceError                  4   disk, memory or device does not suffice
      BusyError                      5   somebody else is writing there
      IntegrityError                 6   bytes are not what they were when they were written
      NetworkError                   7   the network gives nothing, or what must not be taken
      DivergedError                  8   the loss is no longer a number

The core raises; one function of the terminal renders. Every error says what and where
(``message``), what is safe (``safe``) and one thing to type next (``hint``).
"""

from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from typing import Any, ClassVar


class TissuError(Exception):
    """An error with an answer."""

    code: ClassVar[int] = 1

    def __init__(self, message: str, *, hint: str, safe: str = "nothing was changed") -> None:
        super().__init__(message)
        self.message = message
        self.safe = safe
        self.hint = hint

    def __reduce__(self) -> tuple[Any, ...]:
        """As it is, to another process: what it was made of is its own business."""
        return _made_again, (type(self), self.args, self.__dict__)


def _made_again(
    kind: type[TissuError], args: tuple[Any, ...], facts: Mapping[str, Any]
) -> TissuError:
    error = kind.__new__(kind, *args)
    error.args = args
    error.__dict__.update(facts)
    return error


class ConfigError(TissuError):
    """A setting is unknown, out of range, or does not fit another one."""

    code = 2

    def __init__(self, message: str, *, field: str, hint: str) -> None:
        super().__init__(message, hint=hint)
        self.field = field


class InputError(TissuError):
    """A folder, file, model or prompt is missing or cannot be used."""

    code = 3


class ResourceError(TissuError):
    """Disk, memory or device does not suffice."""

    code = 4


class OutOfMemoryError(ResourceError):
    """Memory does not suffice: something smaller may fit."""


class BusyError(TissuError):
    """Another process is writing there."""

    code = 5


class IntegrityError(TissuError):
    """Bytes are not what they were when they were written."""

    code = 6


class NetworkError(TissuError):
    """The network gives nothing, or answers with what must not be taken."""

    code = 7


class DivergedError(TissuError):
    """The loss or a gradient stopped being a number."""

    code = 8


def nearest(name: str, known: Iterable[str], limit: int = 3) -> list[str]:
    """The names most like ``name``, best first; empty when none is close.

    >>> nearest("corpsu", ["corpus", "notes"])
    ['corpus']
    """
    return get_close_matches(name, list(known), n=limit, cutoff=0.5)


def missing_package(package: str, purpose: str) -> InputError:
    """The error for an optional package that is not installed."""
    return InputError(
        f"{purpose} needs the package {package}",
        hint=f"pip install {package}   (or: pipx inject tissu {package})",
    )
