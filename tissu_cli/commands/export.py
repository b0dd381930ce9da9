"""``tissu export``: a model as another program reads it."""

import shlex
from collections.abc import Iterator
from typing import Annotated

import typer

from tissu_cli.flags import Json, Model
from tissu_cli.render.console import data, print_json, say
from tissu_cli.render.numbers import size
from tissu_cli.render.status import StatusLine, narrated
from tissu_core.events.measures import ExportEvent, ModelExported
from tissu_core.events.records import to_record

app = typer.Typer(help="Write a model for another program.", no_args_is_help=True)
_TYPE = "How the numbers of matrices are written."


def register(root: typer.Typer) -> None:
    """Add the commands to the tree."""
    root.add_typer(app, name="export", rich_help_panel="Ship a model")


File = Annotated[
    str,
    typer.Option(
        "-o",
        "--out",
        metavar="FILE",
        help="The file; made from MODEL's name and the type if left out.",
        show_default=False,
    ),
]
Directory = Annotated[
    str,
    typer.Option(
        "-o",
        "--out",
        metavar="DIR",
        help="An empty or new directory; made from MODEL's name if left out.",
        show_default=False,
    ),
]


@app.command(help="One file for llama.cpp, Ollama and LM Studio, tokenizer and template inside.")
def gguf(
    model: Model = None,
    type: Annotated[str, typer.Option(metavar="f32|f16|q8_0|q4_0|q4_k", help=_TYPE)] = "q8_0",
    out: File = "",
    json: Json = False,
) -> None:
    from tissu_core.runs.export.gguf import export_gguf

    _tell(export_gguf(model, kind=type, out=out), json=json)


@app.command(help="A directory for transformers, vLLM and SGLang, whatever the model came from.")
def hf(
    model: Model = None,
    type: Annotated[str, typer.Option(metavar="f32|f16|bf16", help=_TYPE)] = "bf16",
    out: Directory = "",
    json: Json = False,
) -> None:
    from tissu_core.runs.export.hugging_face import export_hugging_face

    _tell(export_hugging_face(model, kind=type, out=out), json=json)


@app.command(help="One archive of arrays for numpy, the tokenizer's files beside it.")
def npz(
    model: Model = None,
    type: Annotated[str, typer.Option(metavar="f32|f16", help=_TYPE)] = "f32",
    out: Directory = "",
    json: Json = False,
) -> None:
    from tissu_core.runs.export.hugging_face import export_npz

    _tell(export_npz(model, kind=type, out=out), json=json)


@app.command(help="One .onnx file of any batch, length and past, for onnxruntime.")
def onnx(model: Model = None, out: File = "", json: Json = False) -> None:
    from tissu_core.runs.export.graph import export_graph

    _tell(export_graph(model, format="onnx", out=out), json=json)


@app.command(help="A program of torch.export, which torch runs without tissu.")
def pt2(model: Model = None, out: File = "", json: Json = False) -> None:
    from tissu_core.runs.export.graph import export_graph

    _tell(export_graph(model, format="pt2", out=out), json=json)


@app.command(help="TorchScript, for programs that still read it.")
def torchscript(model: Model = None, out: File = "", json: Json = False) -> None:
    from tissu_core.runs.export.graph import export_graph

    _tell(export_graph(model, format="torchscript", out=out), json=json)


@app.command(help="Tensors and operations as JSON, without the weights.")
def manifest(model: Model = None, out: File = "", json: Json = False) -> None:
    from tissu_core.runs.export.graph import export_graph

    _tell(export_graph(model, format="manifest", out=out), json=json)


def _tell(events: Iterator[ExportEvent], *, json: bool) -> None:
    with StatusLine() as status:
        for event in narrated(events, status):
            if isinstance(event, ModelExported):
                print_json(to_record(event)) if json else _show(event)


def _show(event: ModelExported) -> None:
    from tissu_cli.render.tables import facts_table

    bits = 8 * event.num_bytes / event.num_parameters
    rows = [
        ("written", event.path),
        ("from", event.model),
        ("size", f"{size(event.num_bytes)}, {bits:.2f} bits a weight"),
        ("tensors", ", ".join(event.tensor_types)),
    ]
    data().print(facts_table([(name, value) for name, value in rows if value]))
    if event.format in ("gguf", "hf", "npz"):
        say(f"talk to it: tissu chat {shlex.quote(event.path)}")
