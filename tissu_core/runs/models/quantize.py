"""The verb quantize: a model in fewer bits, and what that costs."""

import shutil
from collections.abc import Generator, Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tissu_core import __version__
from tissu_core.config.compress import GROUPS, QuantizeConfig
from tissu_core.config.data import DataConfig
from tissu_core.config.machine import DeviceConfig
from tissu_core.config.model import ModelConfig
from tissu_core.errors import ConfigError
from tissu_core.events.measures import ModelQuantized, QuantizeEvent
from tissu_core.events.shared import FileSkipped, Noticed, StageAdvanced
from tissu_core.models.count import num_parameters
from tissu_core.runs.catalog import find_model
from tissu_core.runs.models.calibration import (
    read_calibration,
    require_calibration,
    tell_of_strange_text,
)
from tissu_core.runs.models.measured import measure
from tissu_core.runs.models.packing import tell_of_packing
from tissu_core.runs.new_directory import new_model_directory, require_room
from tissu_core.storage import remove_leftovers, sealed_directory, sha256_file

if TYPE_CHECKING:
    from torch import Tensor

    from tissu_core.checkpoint.model_directory import LoadedModel
    from tissu_core.models.score import Score

_NO_TEXT = Noticed(
    level="warning",
    text="there is no text to measure on: the model has no run whose tokens are at hand; "
    "--text DATA names some",
)
_SPEED_CONTEXT, _SPEED_TOKENS = 64, 16


def quantize(
    model: str | None,
    *,
    how: QuantizeConfig,
    out: str,
    data: DataConfig,
    calibration: DataConfig,
    machine: DeviceConfig,
) -> Iterator[QuantizeEvent]:
    """Write a model with packed weights; the last event has size and bits per byte of both.

    They are measured on the corpus of ``data``, else on the validation text of the model's run.

    Raises:
        ConfigError: If ``out`` holds something, the group fits no layer, or a text is missing.
        InputError: If the model cannot be read, is packed already, or holds NaN.
        ResourceError: If the disk has too little room; nothing is written then.
    """
    require_calibration(calibration, how.method)
    target = new_model_directory(out, find_model(model), f"int{how.bits}")
    from tissu_core.checkpoint.weights import WEIGHTS_FILE

    loaded = yield from _open(model, target, how, machine)
    path, parameters = loaded.path, num_parameters(loaded.model.config)
    group = choose_group(loaded.model.config, how)
    before = yield from measure(loaded, data)
    if before is None:
        yield _NO_TEXT
    yield from _round(loaded, how, group, calibration, before)
    after = yield from measure(loaded, data)
    facts = _facts(path, how, group)
    # Beside the scores of runs stand only scores of the same text.
    score = {} if after is None or data.corpus else {"bits_per_byte": after.bits_per_byte}
    _write(loaded, target, facts | score)
    del loaded
    nearest = (
        None if after is None else (yield from _measure_nearest(model, how, group, data, machine))
    )
    yield StageAdvanced(stage="measuring", done=0, total=0, unit="tokens")
    yield ModelQuantized(
        model=str(path),
        path=str(target),
        bits=how.bits,
        group_size=group,
        method=how.method,
        num_parameters=parameters,
        bf16_bytes=2 * parameters,
        num_bytes=(target / WEIGHTS_FILE).stat().st_size,
        bits_per_byte_before=None if before is None else before.bits_per_byte,
        bits_per_byte_after=None if after is None else after.bits_per_byte,
        bits_per_byte_nearest=nearest,
        measured_bytes=0 if after is None else after.num_bytes,
        tokens_per_second_before=_speed(path, machine),
        tokens_per_second_after=_speed(target, machine),
    )


def _open(
    model: str | None, target: Path, how: QuantizeConfig, machine: DeviceConfig
) -> Generator[Noticed, None, "LoadedModel"]:
    """The model in fp32, of which all can be rounded and for whose copy there is room."""
    from tissu_core.checkpoint.model_directory import in_full
    from tissu_core.compress.finite import require_finite
    from tissu_core.runs.loading import load_for_use

    loaded = in_full(load_for_use(model, machine)[0])
    yield from loaded.notices
    yield from tell_of_packing(loaded.path)
    require_finite(loaded.model)
    require_room(target, num_parameters(loaded.model.config) * how.bits // 8, "fewer --bits")
    return loaded


def _measure_nearest(
    model: str | None,
    how: QuantizeConfig,
    group: int | None,
    data: DataConfig,
    machine: DeviceConfig,
) -> Generator[StageAdvanced | Noticed | FileSkipped, None, float | None]:
    """Bits per byte of the model rounded to the nearest, for what a longer method must beat.

    It is read anew, so that there are never two in memory.
    """
    if how.method == "rtn" or group is None:
        return None
    from tissu_core.checkpoint.model_directory import in_full
    from tissu_core.compress.int4 import quantize_int4
    from tissu_core.runs.loading import load_for_use

    loaded = in_full(load_for_use(model, machine)[0])
    quantize_int4(loaded.model, group)
    score = yield from measure(loaded, data)
    return None if score is None else score.bits_per_byte


def _speed(path: Path, machine: DeviceConfig) -> float:
    """Tokens a second that the model writes behind a few others."""
    from tissu_core.evals.speed import measure_speed
    from tissu_core.runs.loading import load_to_decode

    model = load_to_decode(str(path), machine).model
    most = model.config.max_position_embeddings
    context = min(_SPEED_CONTEXT, most // 2)
    tokens = min(_SPEED_TOKENS, most - context - 1)
    return measure_speed(model, 1, context, tokens).decode_tokens_per_second


def _write(loaded: "LoadedModel", target: Path, facts: dict[str, Any]) -> None:
    from tissu_core.checkpoint.model_directory import write_model_files

    remove_leftovers(target.parent)
    with sealed_directory(target, facts) as temporary:
        write_model_files(temporary, loaded.model, loaded.tokenizer, end_ids=loaded.end_ids)
        for kept in ("generation_config.json", "chat_template.jinja"):
            if (loaded.path / kept).is_file():
                shutil.copyfile(loaded.path / kept, temporary / kept)


def choose_group(config: ModelConfig, how: QuantizeConfig) -> int | None:
    """The weights that share a scale; None of 8 bits.

    Raises:
        ConfigError: If that number divides no width of a layer, or one was named and leaves some.
    """
    if how.bits == 8:
        return None
    heads = config.num_attention_heads * config.head_dim
    widths = {config.hidden_size, config.intermediate_size, heads}
    fitting = [group for group in GROUPS if all(width % group == 0 for width in widths)]
    if how.group is None:
        return max((group for group in fitting if group <= 64), default=GROUPS[0])
    if how.group not in fitting:
        odd = min(width for width in widths if width % how.group)
        raise ConfigError(
            f"--group {how.group} does not divide {odd}, the width of layers of this model",
            field="group",
            hint=f"--group {fitting[-1]}" if fitting else "--bits 8",
        )
    return how.group


def _round(
    loaded: "LoadedModel",
    how: QuantizeConfig,
    group: int | None,
    calibration: DataConfig,
    measured: "Score | None",
) -> Iterator[StageAdvanced | Noticed | FileSkipped]:
    from tissu_core.compress.awq import quantize_awq
    from tissu_core.compress.gptq import quantize_gptq
    from tissu_core.compress.int4 import quantize_int4
    from tissu_core.compress.int8 import quantize_int8

    rows: list[Tensor] = []
    if how.method != "rtn":
        rows = yield from read_calibration(loaded, calibration)
        yield from tell_of_strange_text(loaded, rows, measured)
    total = loaded.model.config.num_hidden_layers
    tell = partial(StageAdvanced, stage="rounding", total=total, unit="layers")
    yield tell(done=0)
    if group is None:
        quantize_int8(loaded.model)
    elif how.method == "rtn":
        quantize_int4(loaded.model, group)
    else:
        method = quantize_gptq if how.method == "gptq" else quantize_awq
        for done in method(loaded.model, rows, group):
            yield tell(done=done)


def _facts(path: Path, how: QuantizeConfig, group: int | None) -> dict[str, Any]:
    from tissu_core.checkpoint.weights import weight_files

    files = [path] if path.is_file() else weight_files(path)
    source = {"path": str(path), "sha256": {f.name: sha256_file(f) for f in files}}
    method = "int8" if group is None else f"int{how.bits} {how.method}, groups of {group}"
    return {"tissu": __version__, "kind": "model", "method": method, "lineage": [source]}
