"""The verb eval speed --ops: ways to compute single operations, side by side."""

from collections.abc import Iterator

from tissu_core.config.machine import DeviceConfig
from tissu_core.config.speed import OperationsConfig
from tissu_core.errors import ConfigError, nearest
from tissu_core.events.operations import OperationsEvent, OperationsTimed, OperationTimed
from tissu_core.events.shared import StageAdvanced
from tissu_core.runs.catalog import find_model

EVERY_OPERATION = "all"


def time_operations(
    model: str | None, machine: DeviceConfig, config: OperationsConfig
) -> Iterator[OperationsEvent]:
    """Time ways to compute operations for a model's shapes; its weights are not read.

    Raises:
        InputError: If there is no such model.
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
        ways += (
            OperationTimed(
                operation=timed.operation,
                shape=timed.shape,
                way=timed.way,
                is_used=timed.is_used,
                median_seconds=timed.median_seconds,
                iqr_seconds=timed.iqr_seconds,
                largest_error=timed.largest_error,
            )
            for timed in iter_timed(shape, [name], config.lut_size, device)
        )
    yield OperationsTimed(model=str(path), device=describe_device(device), ways=tuple(ways))
