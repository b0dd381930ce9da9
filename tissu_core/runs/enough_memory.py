"""Work that may want more memory than there is. Imports no torch until it does."""

from collections.abc import Iterator
from contextlib import contextmanager

from tissu_core.errors import OutOfMemoryError


@contextmanager
def enough_memory(purpose: str, *, hint: str, safe: str = "nothing was changed") -> Iterator[None]:
    """Say that memory did not suffice where torch or the system does.

    Raises:
        OutOfMemoryError: If it did not.
    """
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        from tissu_core.runtime.memory import is_out_of_memory

        if isinstance(error, RuntimeError) and not is_out_of_memory(error):
            raise
        raise OutOfMemoryError(
            f"there is not enough memory {purpose}", safe=safe, hint=hint
        ) from error
