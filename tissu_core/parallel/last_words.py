"""Why a rank ended, for those that wait in vain for their part of a sum.

It is kept where the ranks met, which outlives their connections: with torch's launcher in a process
of its own, else on rank 0.
"""

from contextlib import suppress
from datetime import timedelta

from torch.distributed import distributed_c10d

_KEY = "tissu/last words"
_PATIENCE = timedelta(seconds=1)


def leave_words(words: str) -> None:
    """Say it, before the connections end."""
    with suppress(RuntimeError, ValueError):  # there may be nobody to tell any more
        distributed_c10d._get_default_store().set(_KEY, words)


def last_words() -> str | None:
    """What one that ended has said; None if it ended without a word, as one that is killed."""
    try:
        store = distributed_c10d._get_default_store()
        store.wait([_KEY], _PATIENCE)
        return store.get(_KEY).decode()
    except (RuntimeError, ValueError):
        return None
