"""``tissu inspect gradcheck``: gradients held against finite differences."""

from typing import Annotated

import typer

from tissu_cli.flags import Given, Json, with_settings
from tissu_cli.output import Output
from tissu_cli.render.console import data, print_json
from tissu_core.config.inspection import PicturesConfig
from tissu_core.errors import TissuError
from tissu_core.events.measures import GradientChecked
from tissu_core.events.records import to_record

app = typer.Typer()


@app.command(
    help="Check that every layer's backward is the slope of its forward: finite differences in "
    "fp64. Exit 1 if one is not."
)
@with_settings(("", PicturesConfig))
def gradcheck(
    module: Annotated[
        str | None,
        typer.Option(
            "--module",
            metavar="NAME",
            help="Only layers with this in their name: attention, loss.z_loss.",
            show_default=False,
        ),
    ] = None,
    json: Json = False,
    *,
    given: Given,
) -> None:
    from tissu_cli.render.inspect.gradcheck import HEADING, check_line, checks_view, summary_line
    from tissu_core.runs.inspect.gradcheck import check_gradients

    output, checks = Output(given, is_json=json), list[GradientChecked]()
    for check in check_gradients(module):
        if not json:
            lines = [check_line(check)] if checks else [HEADING, check_line(check)]
            data().print(*lines, sep="\n")
        checks.append(check)
    are_passed = all(check.is_passed for check in checks)
    if json:
        print_json({"passed": are_passed, "checks": [to_record(check) for check in checks]})
    else:
        data().print(summary_line(checks))
    output.save(lambda _: checks_view(checks))
    if not are_passed:
        raise typer.Exit(TissuError.code)
