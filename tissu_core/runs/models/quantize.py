"""The verb quantize: a model in fewer bits, and what that costs."""

import shutil
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from tissu_core import __version__
from tissu_core.config.data import DataConfig
from tissu_core.config.machine import DeviceConfig
from tissu_core.data.corpus import read_corpus
from tissu_core.data.shards import TokenShards
from tissu_core.errors import ConfigError, InputError
from tissu_core.events.measures import ModelQuantized, QuantizeEvent
from tissu_core.events.shared import Noticed, StageAdvanced
from tissu_core.models.count import num_parameters
from tissu_core.runs.catalog import find_model
from tissu_core.runs.home import cache_directory
from tissu_core.runs.new_directory import new_model_directory
from tissu_core.runs.run_directory import run_of
from tissu_core.runs.train.stored_run import read_run
from tissu_core.storage import is_sealed, remove_leftovers, sealed_directory, sha256_file

if TYPE_CHECKING:
    from tissu_core.checkpoint.model_directory import LoadedModel
    from tissu_core.models.score import Score


def quantize(
    model: str | None, *, bits: int, out: str, data: DataConfig, machine: DeviceConfig
) -> Iterator[QuantizeEvent]:
    """Write a model with int8 weights; the last event has size and bits per byte of both.

    They are measured on the corpus of ``data``, else on the validation text of the model's run.

    Raises:
        ConfigError: If the bits are not 8, or ``out`` holds something.
        InputError: If the model cannot be read or is quantized already.
    """
    if bits != 8:
        raise ConfigError(
            f"--bits is {bits}, and this version packs 8", field="bits", hint="--bits 8"
        )
    path = find_model(model)
    target = new_model_directory(out, path, "int8")
    from tissu_core.checkpoint.model_directory import write_model_files
    from tissu_core.checkpoint.weights import WEIGHTS_FILE
    from tissu_core.compress.int8 import quantize_int8
    from tissu_core.models.int8 import is_int8
    from tissu_core.runs.loading import load_for_use

    loaded, _ = load_for_use(model, machine)
    path = loaded.path
    if is_int8(loaded.model):
        raise InputError(f"{path} is int8 already", hint="name the model it was made from")
    yield from loaded.notices
    before = yield from _measure(loaded, data)
    if before is None:
        yield Noticed(
            level="warning",
            text="there is no text to measure on: the model has no run whose tokens are at hand; "
            "--text DATA names some",
        )
    yield StageAdvanced(stage="rounding", done=0, total=0, unit="bits")
    quantize_int8(loaded.model)
    after = yield from _measure(loaded, data)
    facts = _facts(path)
    # Beside the scores of runs stand only scores of the same text.
    score = {} if after is None or data.corpus else {"bits_per_byte": after.bits_per_byte}
    remove_leftovers(target.parent)
    with sealed_directory(target, facts | score) as temporary:
        write_model_files(temporary, loaded.model, loaded.tokenizer, end_ids=loaded.end_ids)
        for kept in ("generation_config.json", "chat_template.jinja"):
            if (path / kept).is_file():
                shutil.copyfile(path / kept, temporary / kept)
    parameters = num_parameters(loaded.model.config)
    yield ModelQuantized(
        model=str(path),
        path=str(target),
        bits=bits,
        num_parameters=parameters,
        bf16_bytes=2 * parameters,
        num_bytes=(target / WEIGHTS_FILE).stat().st_size,
        bits_per_byte_before=None if before is None else before.bits_per_byte,
        bits_per_byte_after=None if after is None else after.bits_per_byte,
        measured_bytes=0 if after is None else after.num_bytes,
    )


def _facts(path: Path) -> dict[str, object]:
    from tissu_core.checkpoint.weights import weight_files

    files = [path] if path.is_file() else weight_files(path)
    source = {"path": str(path), "sha256": {f.name: sha256_file(f) for f in files}}
    return {"tissu": __version__, "kind": "model", "method": "int8", "lineage": [source]}


def _measure(
    loaded: "LoadedModel", data: DataConfig
) -> Generator[QuantizeEvent, None, "Score | None"]:
    """The score on the corpus, else on the run's validation text; None where there is none."""
    if data.corpus:
        from tissu_core.runs.evaluate import score_files

        files = yield from read_corpus(data, cache_directory())
        context = loaded.model.config.max_position_embeddings
        score, _ = yield from score_files(loaded, files, context)
        return score
    run = run_of(loaded.path)
    if run is None:
        return None
    stored = read_run(run)
    tokens = cache_directory() / "tokens" / stored.tokens_key
    if not is_sealed(tokens):
        return None
    from tissu_core.evals.validation import iter_score, validation_windows
    from tissu_core.models.score import Score

    shards = TokenShards(tokens)
    _, spans = shards.split(stored.run.data.validation_fraction)
    batches = validation_windows(
        shards,
        spans,
        context=stored.run.model.context_tokens or 0,
        max_tokens=spans.num_tokens,
        batch_sequences=stored.run.training.micro_batch or 1,
    )
    for found in iter_score(
        loaded.model, loaded.tokenizer, batches, num_tokens=spans.num_tokens, precision="fp32"
    ):
        if isinstance(found, Score):
            return found
        yield found
    return None
