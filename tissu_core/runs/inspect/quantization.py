"""The verb inspect quantization: what fewer bits would cost, layer by layer."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from tissu_core.config.data import DataConfig
from tissu_core.config.machine import DeviceConfig
from tissu_core.errors import InputError
from tissu_core.events.measures import RoundingEvent
from tissu_core.events.shared import Noticed, StageAdvanced
from tissu_core.runs.catalog import find_model
from tissu_core.runs.models.calibration import read_windows

if TYPE_CHECKING:
    from torch import Tensor

BITS = (8, 6, 4, 3)
WINDOW, WINDOWS = 256, 8
"""Read for each layer and number of bits: enough to tell layers apart, as all read the same."""


def inspect_quantization(
    model: str | None,
    *,
    bits: Sequence[int],
    group: int,
    data: DataConfig,
    machine: DeviceConfig,
) -> Iterator[RoundingEvent]:
    """Each layer rounded alone, then all together; bits per byte where ``data`` has a corpus.

    Raises:
        InputError: If the model or the text cannot be read, or the model is packed already.
    """
    find_model(model)
    import torch

    from tissu_core.checkpoint.model_directory import in_full
    from tissu_core.compress.finite import require_finite
    from tissu_core.interpret.quantization import iter_rounded
    from tissu_core.runs.loading import load_for_use

    loaded = in_full(load_for_use(model, machine)[0])
    require_finite(loaded.model)
    yield from loaded.notices
    windows: list[Tensor] = []
    if data.corpus:
        window = min(WINDOW, loaded.model.config.max_position_embeddings)
        windows, _ = yield from read_windows(loaded, data, window, WINDOWS)
        if not windows:
            raise InputError(
                f"the text has no {window} tokens in a row", hint="--text with more of it"
            )
    else:
        yield Noticed(level="info", text="--text DATA shows bits per byte, too")
    token_bytes = torch.tensor(loaded.tokenizer.token_bytes(), device=loaded.model.device)
    chosen = sorted({*(bits or BITS)}, reverse=True)
    total = len(chosen) * (loaded.model.config.num_hidden_layers + 2)
    found = iter_rounded(loaded.model, windows, token_bytes, chosen, group)
    for done, rounded in enumerate(found, 1):
        yield rounded
        yield StageAdvanced(stage="rounding", done=done, total=total, unit="layers")
