"""The verb inspect memory: where the bytes go, and whether they fit. No weights are read."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from tissu_core.config.machine import DeviceConfig
from tissu_core.config.model import ModelConfig
from tissu_core.errors import ConfigError
from tissu_core.events.model_memory import (
    MemoryCounted,
    MemoryEvent,
    TrainingMemory,
    WeightsCounted,
)
from tissu_core.models.count import (
    kv_bytes_per_token,
    kv_cache_bytes,
    num_parameters,
    train_parts,
)
from tissu_core.runs.catalog import find_model

if TYPE_CHECKING:
    from tissu_core.checkpoint.stored_model import TensorFacts

_PARTS = (
    ("embedding", ("embed_",)),
    ("attention", ("self_attn.",)),
    ("feed-forward", ("mlp.",)),
    ("norms", ("norm",)),
    ("head", ("lm_head",)),
)
"""What a tensor's name holds, in the order of asking; ``q_norm`` is of attention."""
_RECOMPUTES = ("none", "ffn", "block")


def inspect_memory(
    model: str | None, *, context: int | None, batch: int, machine: DeviceConfig
) -> Iterator[MemoryEvent]:
    """Bytes of a model's files, of using it and of training it; the last event has them.

    Raises:
        InputError: If there is no such model, or it is of a kind tissu does not read.
        ConfigError: If it has learned fewer positions than ``context``.
    """
    path = find_model(model)
    from tissu_core.checkpoint.model_directory import from_hugging_face, open_model
    from tissu_core.runtime.device import describe_device, resolve_device
    from tissu_core.runtime.memory import free_bytes
    from tissu_core.runtime.precision import resolve_precision

    device = resolve_device(machine.device)
    precision = resolve_precision("auto", device)
    stored = open_model(path)
    yield from stored.notices()
    config = _with_context(from_hugging_face(stored.table, path), context, path)
    weights = tuple(_weights(stored.tensors))
    free, cache = free_bytes(device), batch * kv_cache_bytes(config)
    use = sum(part.loaded_bytes for part in weights) + cache
    yield MemoryCounted(
        model=str(path),
        device=describe_device(device),
        free_bytes=free,
        batch=batch,
        context_tokens=config.max_position_embeddings,
        num_parameters=num_parameters(config),
        precision=precision,
        weights=weights,
        cache_bytes_per_token=kv_bytes_per_token(config),
        cache_bytes=cache,
        use_bytes=use,
        is_use_fitting=use <= free,
        optimizer_bytes=tuple(_optimizers(config)),
        training=tuple(
            _training(config, batch, recompute, free, is_fp32=precision == "fp32")
            for recompute in _RECOMPUTES
        ),
    )


def _with_context(config: ModelConfig, context: int | None, path: Path) -> ModelConfig:
    learned = config.max_position_embeddings
    if context is None or context == learned:
        return config
    if config.position_embedding == "learned" and context > learned:
        raise ConfigError(
            f"{path.name} has learned {learned:,} positions, and {context:,} are asked for",
            field="context",
            hint=f"--context {learned}",
        )
    return replace(config, max_position_embeddings=context)


def _weights(tensors: "Mapping[str, TensorFacts]") -> Iterator[WeightsCounted]:
    """Each part in each type, in the order of the parts."""
    sums: dict[tuple[str, str], list[int]] = {}
    for name, facts in tensors.items():
        part = next((p for p, words in _PARTS if any(w in name for w in words)), "others")
        found = sums.setdefault((part, facts.dtype), [0, 0])
        found[0] += facts.num_bytes
        found[1] += facts.num_loaded_bytes
    order = [part for part, _ in _PARTS]
    for part, dtype in sorted(sums, key=lambda k: order.index(k[0]) if k[0] in order else 9):
        stored, loaded = sums[part, dtype]
        yield WeightsCounted(part=part, dtype=dtype, num_bytes=stored, loaded_bytes=loaded)


def _training(
    config: ModelConfig, batch: int, recompute: str, free: int, *, is_fp32: bool
) -> TrainingMemory:
    parts = train_parts(config, batch, recompute, is_fp32=is_fp32)
    rounded = {name: round(size) for name, size in parts.items() if size}
    total = sum(rounded.values())
    return TrainingMemory(
        recompute=recompute,
        parts=tuple(rounded.items()),
        num_bytes=total,
        is_fitting=total <= free,
    )


def _optimizers(config: ModelConfig) -> Iterator[tuple[str, int]]:
    """The state that each optimizer makes for the model's shapes, where nothing has memory."""
    from tissu_core.models.build import build_empty
    from tissu_core.training.optim import MATRICES_RATE, build_optimizer

    for name, rate in MATRICES_RATE.items():
        optimizer = build_optimizer(
            build_empty(config),
            name=name,
            learning_rate=rate,
            weight_decay=0.0,
            width=config.hidden_size,
        )
        yield name, sum(state.nbytes for state in optimizer.state_tensors().values())
