"""The verb eval speed: how fast a model reads and writes here, and whether it was faster before."""

import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from tissu_core.config.machine import DeviceConfig
from tissu_core.config.speed import SpeedConfig
from tissu_core.errors import ConfigError, InputError, OutOfMemoryError
from tissu_core.events.measures import SpeedEvent, SpeedMeasured, SpeedPoint
from tissu_core.events.records import build_event
from tissu_core.events.shared import Noticed, StageAdvanced
from tissu_core.models.count import num_parameters
from tissu_core.runs.catalog import find_model
from tissu_core.runs.enough_memory import enough_memory
from tissu_core.storage import read_json

if TYPE_CHECKING:
    from tissu_core.evals.speed import Speed
    from tissu_core.models.decoder import Decoder

CONTEXTS = (64, 512, 2000)
TOLERANCE = 0.1
"""A figure that is smaller by less than this share is the machine's noise."""


def measure_speed(
    model: str | None,
    machine: DeviceConfig,
    config: SpeedConfig,
) -> Iterator[SpeedEvent]:
    """Measure each batch behind each context; the last event is the result.

    What takes more memory than there is ends the measuring; what was measured before it stays.

    Raises:
        ConfigError: If the model cannot read as much as is asked for.
        InputError: If it cannot be read.
        OutOfMemoryError: If there is not enough memory for the first of them.
    """
    find_model(model)
    from tissu_core.evals.speed import Speed, memory_bandwidth, weight_bytes
    from tissu_core.models.packed import packing_of
    from tissu_core.runs.loading import load_to_decode
    from tissu_core.runtime.device import default_threads, describe_device
    from tissu_core.runtime.memory import peak_bytes

    began = time.perf_counter()
    loaded = load_to_decode(model, machine)
    seconds = time.perf_counter() - began
    yield from loaded.notices
    positions = loaded.model.config.max_position_embeddings
    if config.new_tokens > positions // 2:
        config = replace(config, new_tokens=max(2, positions // 2))
        text = f"{config.new_tokens} tokens are written: the model reads no more than {positions}"
        yield Noticed(level="info", text=text)
    most = positions - config.new_tokens - 1
    asked = _fitting(config.contexts, most)
    if not config.contexts and len(asked) < len(CONTEXTS):
        yield Noticed(level="info", text=f"longer contexts than {most:,} do not fit this model")
    device, threads = loaded.model.device, machine.threads or default_threads()
    speeds: list[Speed] = []
    for found in _measure(loaded.model, asked, config):
        if isinstance(found, StageAdvanced | Noticed):
            yield found
        else:
            speeds.append(found)
    peak = peak_bytes(device)  # before what follows, which reads 256 MB of its own
    bandwidth = memory_bandwidth(device, threads)
    least = [weight_bytes(loaded.model, speed.batch) / bandwidth for speed in speeds]
    points = map(partial(_point, price_per_hour=config.price_per_hour), speeds, least)
    yield SpeedMeasured(
        model=str(loaded.path),
        device=describe_device(device),
        precision=packing_of(loaded.model) or "fp32",
        num_parameters=num_parameters(loaded.model.config),
        load_seconds=seconds,
        weight_bytes=weight_bytes(loaded.model),
        peak_bytes=peak,
        memory_bandwidth=bandwidth,
        points=tuple(points),
    )


def _measure(
    model: "Decoder", contexts: Sequence[int], config: SpeedConfig
) -> "Iterator[Speed | StageAdvanced | Noticed]":
    from tissu_core.evals import speed

    pairs = speed.grid(config.batches, contexts)
    for done, (batch, context) in enumerate(pairs):
        yield StageAdvanced(stage="measuring", done=done, total=len(pairs), unit="pairs")
        try:
            with enough_memory(
                f"for {batch:,} x {context:,} tokens", hint="a smaller --batch or --context"
            ):
                found = speed.measure_speed(model, batch, context, config.new_tokens)
        except OutOfMemoryError as error:
            if not done:
                raise
            text = f"{error.message}: {len(pairs) - done} of {len(pairs)} pairs are not measured"
            yield Noticed(level="warning", text=text)
            return
        yield found


def _point(speed: "Speed", seconds_per_step: float, price_per_hour: float | None) -> SpeedPoint:
    """What was measured, beside how long the weights alone take to be read for each step."""
    rate = speed.decode_tokens_per_second
    return SpeedPoint(
        batch=speed.batch,
        context=speed.context,
        first_token_seconds=speed.first_token_seconds,
        prefill_tokens_per_second=speed.prefill_tokens_per_second,
        decode_tokens_per_second=rate,
        bandwidth_share=rate / speed.batch * seconds_per_step,
        step_p50_seconds=speed.step_p50_seconds,
        step_p99_seconds=speed.step_p99_seconds,
        joules_per_token=speed.joules_per_token,
        price_per_million_tokens=None
        if price_per_hour is None
        else price_per_hour / 3600 / rate * 1_000_000,
    )


def _fitting(contexts: Sequence[int], most: int) -> tuple[int, ...]:
    """The contexts asked for, or of the usual ones those that the model reads.

    Raises:
        ConfigError: If one that was asked for is too long.
    """
    if contexts and max(contexts) > most:
        raise ConfigError(
            f"--context is {max(contexts):,}, and the model reads {most:,} with what is written "
            "behind it",
            field="context",
            hint=f"--context {most}",
        )
    return (*contexts,) or tuple(context for context in CONTEXTS if context <= most) or (most,)


def read_speed(path: Path) -> SpeedMeasured:
    """What ``tissu eval speed --json`` wrote before.

    Raises:
        InputError: If it is no such file, or cannot be read.
    """
    try:
        record = read_json(path)
    except OSError as error:
        raise InputError(
            f"cannot read {path}: {error.strerror}", hint="tissu eval speed --json > speed.json"
        ) from error
    event = build_event(SpeedMeasured, record) if record.get("event") == "SpeedMeasured" else None
    if event is None:
        raise InputError(
            f"{path} holds no measurement of speed", hint="tissu eval speed --json > speed.json"
        )
    found: SpeedMeasured = event
    return found


def slower_than(before: SpeedMeasured, now: SpeedMeasured) -> Iterator[str]:
    """Each figure that is smaller by more than the machine's noise, in words."""
    known = {(point.batch, point.context): point for point in before.points}
    for point in now.points:
        old = known.get((point.batch, point.context))
        if old is None:
            continue
        for name in ("prefill_tokens_per_second", "decode_tokens_per_second"):
            was, is_now = getattr(old, name), getattr(point, name)
            if is_now < (1 - TOLERANCE) * was:
                what = name.partition("_")[0]
                yield (
                    f"{what} of {point.batch} x {point.context:,} tokens: {is_now:,.0f} tokens/s, "
                    f"{1 - is_now / was:.0%} less than {was:,.0f}"
                )
