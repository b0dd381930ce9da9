"""The settings in which models differ: their shapes, what they are stored in, how they learned."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tissu_core.config.layers import to_settings
from tissu_core.events.compared import SettingDiffers
from tissu_core.runs.run_directory import run_of
from tissu_core.runs.train.stored_run import read_run

if TYPE_CHECKING:
    from tissu_core.checkpoint.model_directory import LoadedModel

_SHAPE = "model."


@dataclass(frozen=True, slots=True)
class KnownSettings:
    """Of one model: its architecture and files, and how it was trained, if a run of tissu made it.

    Both by dotted paths.
    """

    of_model: Mapping[str, str]
    of_run: Mapping[str, str] | None


def known_settings(loaded: "LoadedModel", weights: str) -> KnownSettings:
    """All that is known of a model, whose tensors are stored as ``weights`` says.

    Raises:
        InputError: If its run's settings cannot be read.
    """
    shape = {_SHAPE + name: _told(value) for name, value in asdict(loaded.model.config).items()}
    tokenizer = loaded.tokenizer
    written = f"{tokenizer.vocab_size:,} tokens, {tokenizer.sha256[:8]}"
    return KnownSettings(
        of_model={**shape, "tokenizer": written, "weights": weights},
        of_run=_learned(loaded.path),
    )


def _learned(path: Path) -> dict[str, str] | None:
    run = run_of(path)
    if run is None:
        return None
    settings = to_settings(read_run(run).run)
    return {name: _told(value) for name, value in settings.items() if not name.startswith(_SHAPE)}


def differing(models: Sequence[KnownSettings]) -> tuple[SettingDiffers, ...]:
    """Those that not all models share; how they were trained, only where it is known of all."""
    tables: list[list[Mapping[str, str]]] = [[each.of_model for each in models]]
    runs = [each.of_run for each in models if each.of_run is not None]
    if len(runs) == len(models):
        tables.append(runs)
    found = []
    for table in tables:
        for name in dict.fromkeys(name for each in table for name in each):
            values = tuple(each.get(name, "") for each in table)
            if len({*values}) > 1:
                found.append(SettingDiffers(name=name, values=values))
    return tuple(found)


def _told(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, dict):
        return ", ".join(f"{name} {_told(each)}" for name, each in value.items() if each)
    return ", ".join(map(_told, value)) if isinstance(value, list | tuple) else str(value)
