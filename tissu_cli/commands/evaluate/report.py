"""``tissu eval report``: all that was asked for of a model, in a file."""

from json import dumps
from pathlib import Path
from typing import Annotated

import typer

from tissu_cli.flags import Given, Model, measure_settings, resolve_settings, with_settings
from tissu_cli.render.console import data, say
from tissu_cli.render.status import StatusLine, narrated
from tissu_core.config.data import ReadingConfig
from tissu_core.config.machine import DeviceConfig
from tissu_core.config.report import ReportConfig
from tissu_core.errors import ConfigError, InputError, TissuError
from tissu_core.events.report import ReportMade

app = typer.Typer()


@app.command(
    help="A report on a model: perplexity, comparison, suites, the harness, harder forms, worst "
    "passages, leaks, speed, whatever is asked for, with what it was measured on. What fails is a "
    "section that says so."
)
@with_settings(("", ReportConfig), ("machine.", DeviceConfig), ("data.reading.", ReadingConfig))
def report(
    model: Model = None,
    out: Annotated[
        list[str] | None,
        typer.Option(
            "-o", "--out", metavar="FILE", help="Ends in .md, .html or .json; may be given again."
        ),
    ] = None,
    readme: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Put the results into this file, between its lines <!-- tissu report: begin --> "
            "and <!-- tissu report: end -->.",
        ),
    ] = None,
    *,
    given: Given,
) -> None:
    from tissu_core.runs.evaluate.report import make_report

    targets = [Path(name) for name in out or ()]
    _check(targets, readme)
    run = measure_settings((), given)
    events = make_report(model, run.data, run.machine, resolve_settings(ReportConfig, given))
    with StatusLine() as status:
        for event in narrated(events, status):
            made = event
    _save(made, targets, readme)
    if failed := [section.code for section in made.sections if section.error]:
        raise typer.Exit(failed[0] if len({*failed}) == 1 else TissuError.code)


def _check(targets: list[Path], readme: Path | None) -> None:
    """Refuse what could not be written, before anything is measured.

    Raises:
        ConfigError: If no file is named, or one of a kind that is not known.
        InputError: If the README lacks the markers.
    """
    from tissu_cli.render.evaluate.report.files import BEGIN, END, FORMATS, find_place

    if not targets and readme is None:
        raise ConfigError("no file is named", field="out", hint="-o report.md")
    for path in targets:
        if path.suffix not in FORMATS:
            kinds = ", ".join(FORMATS)
            raise ConfigError(
                f"{path} ends in none of {kinds}", field="out", hint=f"-o {path.stem or path}.md"
            )
        if not path.absolute().parent.is_dir():
            raise InputError(f"there is no folder {path.parent}", hint=f"mkdir -p {path.parent}")
    if readme is not None and find_place(_read(readme)) is None:
        raise InputError(
            f"{readme} has no place for the results",
            hint=f"put the lines {BEGIN} and {END} into it, in this order",
        )


def _read(path: Path) -> str:
    try:
        return path.read_bytes().decode()
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise InputError(f"cannot read {path}: {why}", hint="--readme README.md") from error


def _save(made: ReportMade, targets: list[Path], readme: Path | None) -> None:
    from tissu_cli.render.evaluate.report.files import FORMATS, refresh
    from tissu_cli.render.evaluate.report.findings import summary
    from tissu_cli.render.pictures import save_file
    from tissu_cli.render.tables import facts_table

    data().print(facts_table([*summary(made)]))
    for path in targets:
        content = FORMATS[path.suffix](made)
        text = content if isinstance(content, str) else dumps(content, indent=2) + "\n"
        save_file(path, text)
    if readme is not None:
        written = refresh(_read(readme), made)
        if written is None:
            say(f"{readme} has lost its markers: nothing is written into it", "yellow")
        else:
            save_file(readme, written)
