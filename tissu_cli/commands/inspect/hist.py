"""``tissu inspect hist``: how weights, gradients and activations changed over a run."""

from typing import TYPE_CHECKING, Annotated, get_args

import typer

from tissu_cli.flags import Given, Json, OneLayer, with_settings
from tissu_cli.output import Output, Sheet
from tissu_core.config.inspection import PicturesConfig
from tissu_core.errors import ConfigError
from tissu_core.events.histograms import HistogramKind, HistogramsRead

if TYPE_CHECKING:
    from rich.console import RenderableType

app = typer.Typer()
_KINDS: dict[str, HistogramKind] = {kind: kind for kind in get_args(HistogramKind)}


@app.command(
    help="Histograms over a run that was trained with --hist-every: of a layer or a kind as heat "
    "strips, of all as lines. Dead units and exploding tensors are named."
)
@with_settings(("", PicturesConfig))
def hist(
    run: Annotated[
        str,
        typer.Argument(metavar="RUN", help="A run by name or directory; the newest if left out."),
    ] = "last",
    layer: OneLayer = None,
    kind: Annotated[
        str | None,
        typer.Option(metavar="|".join(_KINDS), help="These alone.", show_default=False),
    ] = None,
    dead_for: Annotated[
        int,
        typer.Option(metavar="N", min=1, help="Records in which a dead unit was never used."),
    ] = 3,
    json: Json = False,
    *,
    given: Given,
) -> None:
    if kind is not None and kind not in _KINDS:
        raise ConfigError(
            f"--kind is {kind!r}", field="kind", hint=f"--kind {', '.join(_KINDS)}: one of them"
        )
    from tissu_core.runs.inspect.hist import inspect_histograms

    output = Output(given, is_json=json)
    chosen = _KINDS[kind] if kind is not None else None
    events = inspect_histograms(run, layer=layer, kind=chosen, dead_for=dead_for)
    output.tell(events, _draw)


def _draw(event: HistogramsRead, sheet: Sheet) -> "RenderableType":
    from tissu_cli.render.inspect.hist import histograms_view

    return histograms_view(event, sheet.width)
