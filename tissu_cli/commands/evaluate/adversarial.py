"""``tissu eval adversarial``: what harder forms of questions cost a model."""

from functools import partial
from typing import TYPE_CHECKING, Annotated

import typer

from tissu_cli.flags import Given, Json, ModelOption, resolve_settings, with_settings
from tissu_cli.output import Output, Sheet
from tissu_cli.render.status import StatusLine, narrated
from tissu_core.config.inspection import PicturesConfig
from tissu_core.config.machine import DeviceConfig
from tissu_core.config.use import UseRun
from tissu_core.events.records import to_record
from tissu_core.events.suites import HardScored

if TYPE_CHECKING:
    from rich.console import RenderableType

app = typer.Typer()


@app.command(
    help="Questions, and harder forms of them scored apart: typing errors, distractors, negation, "
    "garden paths, injected orders. Without SUITE, tissu's own; of another its items with typing "
    "errors and distractors, and the forms that its file has."
)
@with_settings(("machine.", DeviceConfig), ("", PicturesConfig))
def adversarial(
    suites: Annotated[
        list[str] | None,
        typer.Argument(metavar="SUITE", help="A name, or a file such as ./mine.toml; several."),
    ] = None,
    model: ModelOption = None,
    kind: Annotated[
        list[str] | None,
        typer.Option("--kind", metavar="NAME", help="Only these kinds of harder forms; repeat."),
    ] = None,
    seed: Annotated[
        int, typer.Option(metavar="N", min=0, help="Of the typing errors and distractors.")
    ] = 0,
    batch: Annotated[
        int, typer.Option("--batch", metavar="N", min=1, max=256, help="Rows at once.")
    ] = 8,
    json: Json = False,
    *,
    given: Given,
) -> None:
    from tissu_core.runs.evaluate.adversarial import measure_adversarial

    output, machine = Output(given, is_json=json), resolve_settings(UseRun, given).machine
    events = measure_adversarial(
        suites or (), model, machine, kinds=kind or (), seed=seed, batch_size=batch
    )
    with StatusLine() as status:
        found = [*narrated(events, status)]
    output.show({"suites": [to_record(each) for each in found]}, partial(_draw, found))


def _draw(found: list[HardScored], _: Sheet) -> "RenderableType":
    from rich.console import Group

    from tissu_cli.render.evaluate.adversarial import adversarial_report

    return Group(*map(adversarial_report, found))
