"""``tissu eval adversarial``: what harder forms of questions cost a model."""

from typing import Annotated

import typer

from tissu_cli.flags import Given, Json, ModelOption, resolve_settings, with_settings
from tissu_cli.render.console import data, print_json
from tissu_cli.render.status import StatusLine, narrated
from tissu_core.config.inspection import PicturesConfig
from tissu_core.config.machine import DeviceConfig
from tissu_core.config.use import UseRun
from tissu_core.events.records import to_record

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
    from rich.console import Group

    from tissu_cli.render.adversarial import adversarial_report
    from tissu_cli.render.pictures import save_pictures
    from tissu_core.runs.evaluate.adversarial import measure_adversarial

    machine = resolve_settings(UseRun, given).machine
    events = measure_adversarial(
        suites or (), model, machine, kinds=kind or (), seed=seed, batch_size=batch
    )
    with StatusLine() as status:
        found = [*narrated(events, status)]
    if json:
        print_json({"suites": [to_record(each) for each in found]})
        return
    drawn = Group(*map(adversarial_report, found))
    data().print(drawn)
    save_pictures(resolve_settings(PicturesConfig, given), drawn)
