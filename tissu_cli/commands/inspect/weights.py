"""``tissu inspect weights``: tensors in figures, histograms and spectra."""

from typing import Annotated

import typer

from tissu_cli.flags import Given, Json, Model, resolve_settings, with_settings
from tissu_cli.render.console import data, print_json
from tissu_core.config.inspection import HistogramConfig, PicturesConfig
from tissu_core.events.records import to_record

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

    histogram = resolve_settings(HistogramConfig, given)
    console = data()
    bins = min(histogram.bins or _WIDEST, max(1, console.width - 4))
    tensors = inspect_weights(
        path,
        model,
        histogram.bins or _BINS if json else bins,
        against=against,
        has_spectrum=spectrum,
    )
    if json:
        print_json({"tensors": [to_record(tensor) for tensor in tensors]})
        return
    from tissu_cli.render.pictures import save_pictures
    from tissu_cli.render.weights import tensors_view

    view = tensors_view([*tensors], histogram.rows, console.width)
    console.print(view)
    save_pictures(resolve_settings(PicturesConfig, given), view)
