"""What a verb does on many ranks at once: they meet, the main one speaks and writes."""

import json
import threading
import time
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import Future, wait
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from tissu_core.config.machine import MachineConfig, check_copies
from tissu_core.errors import TissuError
from tissu_core.events.shared import Noticed
from tissu_core.events.training import RanksAwaited, TrainEvent
from tissu_core.parallel.place import Place, find_place
from tissu_core.runs.run_directory import writing
from tissu_core.runs.train.run_loop import Log, logging_to
from tissu_core.runs.wire import error_record, read_error

if TYPE_CHECKING:
    from tissu_core.parallel.ranks import Ranks

T = TypeVar("T")
_QUIET_SECONDS = 10.0
_LOOK_SECONDS = 0.2


def needs_workers(machine: MachineConfig) -> bool:
    """Whether processes are to be started: many are asked for, and nobody started this as one.

    Raises:
        ConfigError: If this is one alone, and a model is to lie on several.
    """
    if find_place() is not None:
        return False
    check_copies(machine, machine.num_workers)
    return machine.num_workers > 1


def on_all_ranks(
    machine: MachineConfig,
    verb: Callable[["Ranks"], Iterator[TrainEvent]],
    stop: threading.Event,
) -> Iterator[TrainEvent]:
    """What the verb says on the main rank; the others say nothing, and do the same."""
    from tissu_core.runtime.device import resolve_device

    place = find_place()
    is_on_gpu = place is not None and resolve_device(machine.device).type == "cuda"
    with ExitStack() as stack:
        ranks = yield from _meet(place, stack, stop, on_gpu=is_on_gpu)
        if ranks is None:
            yield Noticed(level="info", text="stopped before the first step; nothing was saved")
            return
        for event in _ended_by_one_error(verb(ranks), ranks):
            if ranks.is_main:
                yield event


def _ended_by_one_error(events: Iterator[TrainEvent], ranks: "Ranks") -> Iterator[TrainEvent]:
    """The same. A rank that loses another in the middle of a sum raises what that one raised."""
    if not ranks.are_many:
        yield from events
        return
    from tissu_core.parallel.last_words import last_words, leave_words

    try:
        yield from events
    except TissuError as error:
        leave_words(json.dumps(error_record(error)))
        raise
    except RuntimeError as error:
        words = last_words()
        if words is None:
            raise
        raise read_error(json.loads(words)) from error


def _meet(
    place: Place | None, stack: ExitStack, stop: threading.Event, *, on_gpu: bool
) -> Generator[TrainEvent, None, "Ranks | None"]:
    """This process among the others, until ``stack`` ends; None if it was stopped before.

    They meet in a thread: torch waits half an hour for who never comes, and answers no signal.
    """
    from tissu_core.parallel.ranks import joined

    meeting = joined(place, on_gpu=on_gpu)
    if place is None:
        return stack.enter_context(meeting)
    met: Future[Ranks] = Future()

    def meet() -> None:
        try:
            met.set_result(stack.enter_context(meeting))
        except Exception as error:  # noqa: BLE001  raised where the result is taken
            met.set_exception(error)

    threading.Thread(target=meet, name="meeting", daemon=True).start()
    yield from _waited_for(met, place, stop)
    if not met.done():
        return None
    if on_gpu:  # which is a setting of each thread
        import torch

        torch.cuda.set_device(place.local_rank)
    return met.result()


def _waited_for(met: "Future[Ranks]", place: Place, stop: threading.Event) -> Iterator[TrainEvent]:
    """Until they have met or this process is stopped; a word when that takes long."""
    began, is_told = time.monotonic(), False
    while not met.done() and not stop.is_set():
        wait([met], _LOOK_SECONDS)
        if not (is_told or met.done()) and time.monotonic() - began >= _QUIET_SECONDS:
            is_told = True
            others = "another rank" if place.world_size == 2 else f"{place.world_size - 1} others"
            where = f"{place.address}:{place.port}"
            text = f"rank {place.rank} waits for {others} at {where}"
            yield RanksAwaited(level="info", text=text)


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
