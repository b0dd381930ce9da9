"""The verbs export hf and npz: a directory for transformers and its like, or for numpy."""

from collections.abc import Iterator

from tissu_core import __version__
from tissu_core.events.measures import ExportEvent, ModelExported
from tissu_core.events.shared import Noticed, StageAdvanced
from tissu_core.models.count import num_parameters
from tissu_core.runs.export.place import check_type, load_for_export
from tissu_core.runs.new_directory import new_directory, require_room
from tissu_core.storage import sealed_directory

TYPES = ("f32", "f16", "bf16")
NPZ_TYPES = ("f32", "f16")
"""numpy has no bf16."""
_SIZES = {"f32": 4, "f16": 2, "bf16": 2}


def export_hugging_face(model: str | None, *, kind: str, out: str) -> Iterator[ExportEvent]:
    """Write config, safetensors, tokenizer and generation settings; the last event says what.

    Raises:
        ConfigError: If the type is none of ``TYPES``, or ``out`` is taken.
        InputError: If the model cannot be read, is packed already, or a weight is no number.
        ResourceError: If the disk has too little room; nothing is written then.
    """
    kind = check_type(kind, TYPES)
    yield from _export(model, "hf", kind, out)


def export_npz(model: str | None, *, kind: str, out: str) -> Iterator[ExportEvent]:
    """Write ``model.npz``, with the configuration inside, and the tokenizer's files beside it.

    Raises:
        As ``export_hugging_face``; the types are ``NPZ_TYPES``.
    """
    kind = check_type(kind, NPZ_TYPES)
    yield from _export(model, "npz", kind, out)


def _export(model: str | None, format: str, kind: str, out: str) -> Iterator[ExportEvent]:
    from tissu_core.checkpoint.model_directory import write_model_files
    from tissu_core.checkpoint.npz import write_npz
    from tissu_core.checkpoint.weights import WEIGHTS_FILE
    from tissu_core.export.numbers import require_numbers
    from tissu_core.models.families import TISSU, family_for
    from tissu_core.runtime.precision import DTYPES

    loaded, called = load_for_export(model)
    yield from loaded.notices
    target = new_directory(out or f"{called}-{format}")
    parameters = num_parameters(loaded.model.config)
    require_room(target, parameters * _SIZES[kind], "a smaller --type")
    for name, tensor in loaded.model.state_dict().items():
        require_numbers(name, tensor, is_half=kind == "f16")
    if (loaded.family or family_for(loaded.model.config)) is TISSU:
        yield Noticed(
            level="warning",
            text='no other program computes this architecture; its model_type is "tissu"',
        )
    yield StageAdvanced(stage="writing", done=0, total=parameters, unit="numbers")
    source = {"path": str(loaded.path)}
    facts = {"tissu": __version__, "kind": "model", "method": format, "lineage": [source]}
    with sealed_directory(target, facts) as temporary:
        write_model_files(
            temporary,
            loaded.model,
            loaded.tokenizer,
            family=loaded.family,
            end_ids=loaded.end_ids,
            dtype=DTYPES[{"f32": "fp32", "f16": "fp16"}.get(kind, kind)],
        )
        if format == "npz":
            write_npz(temporary)
    file = target / (WEIGHTS_FILE if format == "hf" else "model.npz")
    yield ModelExported(
        model=str(loaded.path),
        path=str(target if format == "hf" else file),
        format=format,
        type=kind,
        num_bytes=file.stat().st_size,
        num_parameters=parameters,
        tensor_types=(),
    )
