"""What a verb does on many ranks at once: they meet, the main one speaks and writes."""

from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from tissu_core.config.machine import MachineConfig
from tissu_core.events.training import TrainEvent
from tissu_core.parallel.place import find_place
from tissu_core.runs.run_directory import writing
from tissu_core.runs.run_loop import Log, logging_to

if TYPE_CHECKING:
    from tissu_core.parallel.ranks import Ranks

T = TypeVar("T")


def needs_workers(machine: MachineConfig) -> bool:
    """Whether processes are to be started: many are asked for, and nobody started this as one."""
    return machine.num_workers > 1 and find_place() is None


def on_all_ranks(
    machine: MachineConfig, verb: Callable[["Ranks"], Iterator[TrainEvent]]
) -> Iterator[TrainEvent]:
    """What the verb says on the main rank; the others say nothing, and do the same."""
    from tissu_core.parallel.ranks import joined
    from tissu_core.runtime.device import resolve_device

    place = find_place()
    is_on_gpu = place is not None and resolve_device(machine.device).type == "cuda"
    with joined(place, on_gpu=is_on_gpu) as ranks:
        for event in verb(ranks):
            if ranks.is_main:
                yield event


@contextmanager
def writing_on_main(directory: Path, ranks: "Ranks") -> Iterator[Log]:
    """Be the one writer of a run's directory, whose log is written; on the main rank."""
    if ranks.is_main:
        with writing(directory), logging_to(directory) as log:
            yield log
    else:
        yield lambda event: event


def in_turn(
    ranks: "Ranks", work: Callable[[], Generator[TrainEvent, None, T]]
) -> Generator[TrainEvent, None, T]:
    """Work whose result is kept on the disk: the main rank does it, then the others find it."""
    if not ranks.is_main:
        ranks.from_main(lambda: None)
        return (yield from work())
    try:
        found = yield from work()
    except Exception as error:
        told = error  # which the others raise, too
        ranks.from_main(lambda: _raise(told))
        raise
    ranks.from_main(lambda: None)
    return found


def _raise(error: Exception) -> None:
    raise error
