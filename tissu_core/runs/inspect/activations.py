"""The verb inspect activations: what the parts of a model compute while it reads."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from tissu_core.config.data import DataConfig
from tissu_core.config.machine import DeviceConfig
from tissu_core.events.activations import (
    ActivationsEvent,
    ActivationsMeasured,
    MassiveActivation,
)
from tissu_core.events.shared import StageAdvanced
from tissu_core.runs.catalog import find_model
from tissu_core.runs.inspect.layers import require_layer
from tissu_core.runs.inspect.prompt import read_rows, require_text
from tissu_core.runs.tokenize.figures import written_id

if TYPE_CHECKING:
    from torch import Tensor

    from tissu_core.checkpoint.model_directory import LoadedModel
    from tissu_core.interpret.activations import Place

_WINDOWS = 8
"""Read of ``--text``: enough for a unit that is of any use to be used."""


def inspect_activations(
    model: str | None,
    *,
    prompt: str | None,
    layer: int | None,
    data: DataConfig,
    machine: DeviceConfig,
) -> Iterator[ActivationsEvent]:
    """Read a prompt or the corpus of ``data``; the last event has what was computed meanwhile.

    With ``layer``, of that block alone.

    Raises:
        ConfigError: If there is nothing to read, or both, or no such layer.
        InputError: If the model or the text cannot be read.
    """
    require_text(prompt, data)
    find_model(model)
    from tissu_core.interpret.activations import (
        bad_weights,
        first_not_finite,
        places_of,
        summarize_places,
        watch_rows,
    )
    from tissu_core.runs.loading import load_for_use

    loaded, _ = load_for_use(model, machine)
    yield from loaded.notices
    require_layer(layer, loaded.model.config.num_hidden_layers, "the model")
    rows = yield from read_rows(loaded, prompt, data, _WINDOWS)
    places = places_of(loaded.model)
    for done in watch_rows(loaded.model, rows, places):
        yield StageAdvanced(stage="reading", done=done, total=len(rows), unit="windows")
    is_bad = any(place.not_finite for place in places)
    yield ActivationsMeasured(
        model=str(loaded.path),
        num_tokens=sum(row.numel() for row in rows),
        places=tuple(p for p in summarize_places(places) if layer is None or p.layer == layer),
        massive=tuple(
            each for each in _massive(places, rows, loaded) if layer is None or each.layer == layer
        ),
        first_not_finite=first_not_finite(loaded.model, rows) if is_bad else "",
        bad_weights=bad_weights(loaded.model) if is_bad else (),
    )


def _massive(
    places: "Sequence[Place]", rows: "Sequence[Tensor]", loaded: "LoadedModel"
) -> Iterator[MassiveActivation]:
    """Those of all places, with the token at which each is largest."""
    for place in places:
        for each in place.massive.values():
            yield MassiveActivation(
                name=place.name,
                layer=place.layer,
                channel=each.channel,
                value=each.value,
                ratio=each.ratio,
                token=written_id(loaded.tokenizer, int(rows[each.row][0, each.position])),
                position=each.position,
                num_tokens=each.num_tokens,
            )
