"""The verb export gguf: one file for llama.cpp and what is built on it."""

from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING

from tissu_core.checkpoint.gguf.metadata import FILE_TYPES
from tissu_core.events.measures import ExportEvent, ModelExported
from tissu_core.events.shared import Noticed, StageAdvanced
from tissu_core.models.count import num_parameters
from tissu_core.runs.export.place import (
    check_type,
    load_for_export,
    new_file,
    whole_files,
)
from tissu_core.runs.models.packing import tell_of_packing
from tissu_core.runs.new_directory import require_room

if TYPE_CHECKING:
    from tissu_core.export.gguf import GgufExport

TYPES = tuple(FILE_TYPES)


def export_gguf(model: str | None, *, kind: str, out: str) -> Iterator[ExportEvent]:
    """Write a GGUF file; the last event says what it holds.

    Raises:
        ConfigError: If the type is none of ``TYPES``, ``out`` is taken, or llama.cpp does not
            compute the model.
        InputError: If the model cannot be read, is packed already, or holds NaN.
        ResourceError: If the disk has too little room; nothing is written then.
    """
    kind = check_type(kind, TYPES)
    from tissu_core.export.gguf import plan_export

    loaded, name = load_for_export(model)
    yield from loaded.notices
    target = new_file(out or f"{name}-{kind}.gguf", "gguf")
    export = plan_export(
        loaded.model,
        loaded.tokenizer,
        kind=kind,
        name=name,
        family=loaded.family,
        end_ids=loaded.end_ids,
    )
    require_room(target, export.num_bytes, "a smaller --type")
    if kind.startswith("q"):
        yield from tell_of_packing(loaded.path)
    yield from _notices(export, kind)
    done = 0
    with whole_files(target) as temporary:
        for num_bytes in export.write(temporary):
            done += num_bytes
            yield StageAdvanced(stage="writing", done=done, total=export.num_bytes, unit="bytes")
    types = Counter(entry.kind.name for entry in export.entries)
    yield ModelExported(
        model=str(loaded.path),
        path=str(target),
        format="gguf",
        type=kind,
        num_bytes=export.num_bytes,
        num_parameters=num_parameters(loaded.model.config),
        tensor_types=tuple(f"{kind} {count}" for kind, count in types.most_common()),
    )


def _notices(export: "GgufExport", kind: str) -> Iterator[Noticed]:
    if export.unread_window is not None:
        yield Noticed(
            level="warning",
            text=f"each token of this model sees {export.unread_window:,} tokens, and in llama.cpp "
            "all before it: longer texts will differ there",
        )
    is_packed = kind.startswith("q")
    matrices = [entry.kind.name for entry in export.entries if len(entry.shape) > 1]
    others = sum(name in ("F16", "Q5_0") for name in matrices)
    if others and is_packed:
        yield Noticed(
            level="info",
            text=f"{others} of {len(matrices)} matrices have rows that blocks of {kind} do not "
            "divide; they take the next larger type",
        )
