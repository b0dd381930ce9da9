"""The verb eval speed --ops: ways to compute single operations, side by side."""

from collections.abc import Generator, Iterator

from tissu_core.config.data import DataConfig
from tissu_core.config.machine import DeviceConfig
from tissu_core.config.speed import OperationsConfig
from tissu_core.data.corpus import read_corpus
from tissu_core.errors import ConfigError, nearest
from tissu_core.events.operations import (
    OperationsEvent,
    OperationsTimed,
    OperationTimed,
    TableMeasured,
)
from tissu_core.events.shared import StageAdvanced
from tissu_core.runs.catalog import find_model
from tissu_core.runs.evaluate.scoring import score_files, set_windows
from tissu_core.runs.home import cache_directory

EVERY_OPERATION = "all"
_UNBOUNDED = ("relu2",)  # beyond a table's reach it is not x


def time_operations(
    model: str | None, machine: DeviceConfig, config: OperationsConfig, data: DataConfig
) -> Iterator[OperationsEvent]:
    """Time ways to compute operations for a model's shapes; its weights are not read.

    Where ``data`` names text, the model reads it twice: with its activation computed, and read from
    a table.

    Raises:
        InputError: If there is no such model, or the text cannot be read.
        ConfigError: If an operation is unknown; names the nearest.
    """
    path, wanted = find_model(model), config.names
    import torch

    from tissu_core.evals.operations import iter_timed, operations
    from tissu_core.runs.loading import read_model_config
    from tissu_core.runtime.device import default_threads, describe_device, resolve_device

    known = operations()
    unknown = [name for name in wanted if name not in (*known, EVERY_OPERATION)]
    if unknown:
        close = nearest(unknown[0], known) or [*known, EVERY_OPERATION]
        raise ConfigError(
            f"{unknown[0]!r} is no operation that is timed",
            field="ops",
            hint="--ops " + " or ".join(close),
        )
    chosen = known if EVERY_OPERATION in wanted else tuple(dict.fromkeys(wanted))
    torch.set_num_threads(machine.threads or default_threads())
    device, shape = resolve_device(machine.device), read_model_config(path)
    ways: list[OperationTimed] = []
    for number, name in enumerate(chosen):
        yield StageAdvanced(stage=f"timing {name}", done=number, total=len(chosen), unit="ops")
        ways += iter_timed(shape, [name], config.lut_size, device)
    table = None
    if data.corpus:
        table = yield from _measure_table(model, machine, config.lut_size, data)
    yield OperationsTimed(
        model=str(path), device=describe_device(device), ways=tuple(ways), table=table
    )


def _measure_table(
    model: str | None, machine: DeviceConfig, size: int, data: DataConfig
) -> Generator[OperationsEvent, None, TableMeasured]:
    files = yield from read_corpus(data, cache_directory())
    from tissu_core.evals.perplexity import TextScorer
    from tissu_core.layers.lookup import use_tables
    from tissu_core.runs.loading import load_for_use

    loaded, _ = load_for_use(model, machine)
    yield from loaded.notices
    activation = loaded.model.config.feed_forward
    if activation in _UNBOUNDED:
        raise ConfigError(
            f"{activation} is no function that a table of few points holds",
            field="data",
            hint="--ops without --data, or a model of gelu or swiglu",
        )
    _, stride = set_windows(loaded, None, None)
    computed, _ = yield from score_files(TextScorer(loaded, stride), files, stage="computing")
    use_tables(loaded.model, size)
    found, _ = yield from score_files(TextScorer(loaded, stride), files, stage="looking up")
    return TableMeasured(
        activation=activation,
        lut_size=size,
        num_tokens=found.num_tokens,
        computed_perplexity=computed.perplexity,
        perplexity=found.perplexity,
        computed_bits_per_byte=computed.bits_per_byte,
        bits_per_byte=found.bits_per_byte,
    )
