"""``tissu inspect weights``: tensors in figures and histograms."""

from typing import Annotated

import typer

from tissu_cli.flags import Given, Json, Model, resolve_settings, with_settings
from tissu_cli.render.console import data, print_json
from tissu_core.config.inspection import HistogramConfig, PicturesConfig
from tissu_core.events.records import to_record

app = typer.Typer()
_BINS, _WIDEST = 48, 96


@app.command(
    help="Statistics and histogram of every tensor that a path names: layer.0.attn, "
    "layers.*.mlp.*, layers.[0-3].attn, **.norm."
)
@with_settings(("", HistogramConfig), ("", PicturesConfig))
def weights(
    path: Annotated[
        str,
        typer.Argument(metavar="TENSOR", help="Parts of a tensor's name: layer.0.attn, embed."),
    ],
    model: Model = None,
    json: Json = False,
    *,
    given: Given,
) -> None:
    from tissu_core.runs.inspect.inspect import inspect_weights

    histogram = resolve_settings(HistogramConfig, given)
    if json:
        tensors = inspect_weights(path, model, histogram.bins or _BINS)
        print_json({"tensors": [to_record(tensor) for tensor in tensors]})
        return
    from tissu_cli.render.pictures import save_pictures
    from tissu_cli.render.weights import tensors_view

    console = data()
    bins = min(histogram.bins or _WIDEST, max(1, console.width - 4))
    view = tensors_view([*inspect_weights(path, model, bins)], histogram.rows)
    console.print(view)
    save_pictures(resolve_settings(PicturesConfig, given), view)
