"""``tissu inspect weights``: tensors in figures, histograms and spectra."""

from functools import partial
from typing import TYPE_CHECKING, Annotated

import typer

from tissu_cli.flags import Given, Json, Model, resolve_settings, with_settings
from tissu_cli.output import Output, Sheet
from tissu_cli.render.console import data
from tissu_core.config.inspection import HistogramConfig, PicturesConfig
from tissu_core.events.records import to_record

if TYPE_CHECKING:
    from rich.console import RenderableType

    from tissu_core.events.tensors import TensorSummarized

app = typer.Typer()
_BINS, _WIDEST = 48, 96


@app.command(
    help="Statistics, histogram and spectrum of every tensor that a path names: layer.0.attn, "
    "layers.*.mlp.*, layers.[0-3].attn, **.norm. Rows and columns that are dead or far larger "
    "than the others, the error of packed ones, and --against another model what changed."
)
@with_settings(("", HistogramConfig), ("", PicturesConfig))
def weights(
    path: Annotated[
        str,
        typer.Argument(metavar="TENSOR", help="Parts of a tensor's name: layer.0.attn, embed."),
    ],
    model: Model = None,
    against: Annotated[
        str | None,
        typer.Option(
            "--against", metavar="MODEL", help="Compare with the same tensors of this model."
        ),
    ] = None,
    spectrum: Annotated[
        bool | None,
        typer.Option(
            "--spectrum/--no-spectrum",
            help="Singular values of matrices. Default: of a few that are quick.",
            show_default=False,
        ),
    ] = None,
    json: Json = False,
    *,
    given: Given,
) -> None:
    from tissu_core.runs.inspect.weights import inspect_weights

    output, histogram = Output(given, is_json=json), resolve_settings(HistogramConfig, given)
    bins = min(histogram.bins or _WIDEST, max(1, data().width - 4))
    tensors = [
        *inspect_weights(
            path,
            model,
            histogram.bins or _BINS if json else bins,
            against=against,
            has_spectrum=spectrum,
        )
    ]
    record = {"tensors": [to_record(tensor) for tensor in tensors]}
    output.show(record, partial(_draw, tensors, histogram.rows))


def _draw(tensors: "list[TensorSummarized]", rows: int, sheet: Sheet) -> "RenderableType":
    from tissu_cli.render.inspect.weights import tensors_view

    return tensors_view(tensors, rows, sheet.width)
