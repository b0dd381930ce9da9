"""``tissu inspect gradcheck``: gradients held against finite differences."""

from typing import Annotated

import typer

from tissu_cli.flags import Json
from tissu_cli.render.console import data, print_json
from tissu_core.errors import TissuError
from tissu_core.events.records import to_record

app = typer.Typer()


@app.command(
    help="Check that every layer's backward is the slope of its forward: finite differences in "
    "fp64. Exit 1 if one is not."
)
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
) -> None:
    from tissu_core.runs.inspect.gradcheck import check_gradients

    found = check_gradients(module)
    if json:
        checks = [*found]
        are_passed = all(check.is_passed for check in checks)
        print_json({"passed": are_passed, "checks": [to_record(check) for check in checks]})
    else:
        from tissu_cli.render.inspect.gradcheck import HEADING, check_line, summary_line

        checks, console = [], data()
        for check in found:
            if not checks:
                console.print(HEADING)
            checks.append(check)
            console.print(check_line(check))
        console.print(summary_line(checks))
    if not all(check.is_passed for check in checks):
        raise typer.Exit(TissuError.code)
