"""The verbs export onnx, pt2, torchscript and manifest: a model as a graph of operations."""

import json
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from tissu_core import __version__
from tissu_core.errors import missing_package
from tissu_core.events.measures import ExportEvent, ModelExported
from tissu_core.events.shared import Noticed, StageAdvanced
from tissu_core.models.count import num_parameters
from tissu_core.runs.export.place import load_for_export, new_file, whole_files
from tissu_core.runs.new_directory import require_room

if TYPE_CHECKING:
    from tissu_core.checkpoint.model_directory import LoadedModel

SUFFIXES = {"onnx": "onnx", "pt2": "pt2", "torchscript": "ts", "manifest": "json"}
_LARGEST = (1 << 31) - (1 << 26)
"""Bytes of weights in one ONNX file: a protobuf ends at 2 GB, with what stands beside them."""
_ONNX = ("onnx", "onnxscript")


def export_graph(model: str | None, *, format: str, out: str) -> Iterator[ExportEvent]:
    """Write the graph in a ``format`` of ``SUFFIXES``; the last event says what it holds.

    Raises:
        ConfigError: If ``out`` is taken, or the computation depends on what is read.
        InputError: If the model cannot be read, is packed already, or a package is missing.
        ResourceError: If the disk has too little room; nothing is written then.
    """
    if format == "onnx":
        for package in _ONNX:
            if find_spec(package) is None:
                raise missing_package(package, "writing ONNX")
    loaded, name = load_for_export(model)
    yield from loaded.notices
    target = new_file(out or f"{name}.{SUFFIXES[format]}", SUFFIXES[format])
    parameters = num_parameters(loaded.model.config)
    if format != "manifest":
        require_room(target, 4 * parameters, "a smaller model")
    if format == "torchscript":
        yield Noticed(
            level="warning",
            text="TorchScript is deprecated in torch; tissu export pt2 is what came after it",
        )
    is_apart = format == "onnx" and 4 * parameters > _LARGEST
    if is_apart:
        yield Noticed(
            level="info",
            text=f"one ONNX file holds 2 GB, so the weights stand beside it in {target.name}.data",
        )
    yield StageAdvanced(stage="following the graph", done=0, total=0, unit="")
    with whole_files(target) as temporary:
        _write(loaded, format, temporary, is_apart=is_apart)
    beside = target.with_name(f"{target.name}.data")
    yield ModelExported(
        model=str(loaded.path),
        path=str(target),
        format=format,
        type="f32",
        num_bytes=target.stat().st_size + (beside.stat().st_size if is_apart else 0),
        num_parameters=parameters,
        tensor_types=(),
    )


def _write(loaded: "LoadedModel", format: str, path: Path, *, is_apart: bool) -> None:
    import torch

    from tissu_core.export.graph import to_program, write_onnx, write_torchscript

    match format:
        case "torchscript":
            write_torchscript(loaded.model, path)
        case "onnx":
            write_onnx(to_program(loaded.model), path, is_apart=is_apart)
        case "pt2":
            torch.export.save(to_program(loaded.model), path)
        case _:
            path.write_text(json.dumps(_manifest(loaded), indent=1) + "\n", "utf-8")


def _manifest(loaded: "LoadedModel") -> dict[str, object]:
    """What ``manifest.schema.json`` describes."""
    from tissu_core.checkpoint.model_directory import to_hugging_face
    from tissu_core.export.graph import INPUTS, OUTPUTS, list_nodes, to_program

    program = to_program(loaded.model)
    return {
        "format": "tissu-manifest",
        "version": 1,
        "tissu": __version__,
        "config": to_hugging_face(loaded.model.config, loaded.tokenizer.end_id, loaded.family),
        "tensors": [
            {"name": name, "shape": list(tensor.shape), "dtype": str(tensor.dtype)[6:]}
            for name, tensor in loaded.model.state_dict().items()
        ],
        "inputs": list(INPUTS),
        "outputs": list(OUTPUTS),
        "operations": list_nodes(program),
    }
