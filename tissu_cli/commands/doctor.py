"""``tissu doctor``: is this machine ready."""

import shutil
import sys
from collections.abc import Iterator
from dataclasses import asdict
from itertools import chain
from typing import Annotated

import typer

from tissu_cli.flags import Json
from tissu_cli.render.console import data, narration, print_json
from tissu_cli.settings import is_live
from tissu_core.errors import ConfigError, ResourceError
from tissu_core.events.measures import CheckFinished
from tissu_core.sanitize import sanitize_line

_STYLES = {"ok": "green", "note": "yellow", "problem": "bold red"}


Gpus = Annotated[
    int | None,
    typer.Option(
        "--gpus",
        metavar="N",
        min=2,
        help="Also try out N GPUs together: adding up, copies, the disk.",
        show_default=False,
    ),
]
Procs = Annotated[
    int | None,
    typer.Option(
        "--procs",
        metavar="N",
        min=2,
        max=64,
        help="Also try out N processes on the processor.",
        show_default=False,
    ),
]


def register(app: typer.Typer) -> None:
    """Add the command to the tree."""
    app.command(
        rich_help_panel="Set up",
        help="Look at machine, packages and terminal. Exit 4 if one of them is a problem.",
    )(doctor)


def doctor(gpus: Gpus = None, procs: Procs = None, json: Json = False) -> None:
    from tissu_core.runs.doctor import examine
    from tissu_core.runs.doctor_ranks import examine_gpus, examine_ranks

    if gpus and procs:
        raise ConfigError(
            "--gpus and --procs each try out processes of their own",
            field="procs",
            hint=f"tissu doctor --gpus {gpus}",
        )
    together = examine_gpus(gpus) if gpus else examine_ranks(procs) if procs else ()
    checks = []
    for check in chain(_terminal(), examine(), together):
        checks.append(check)
        if not json:
            _show(check)
    if json:
        print_json({"checks": [asdict(check) for check in checks]})
    if any(check.status == "problem" for check in checks):
        raise typer.Exit(ResourceError.code)


def _show(check: CheckFinished) -> None:
    from rich.text import Text

    line = Text(f"{check.status:<8}", style=_STYLES[check.status])
    line.append(f"{check.name:<13}{sanitize_line(check.value)}", style="default")
    if check.hint:
        line.append(f"\n{'':21}try: {sanitize_line(check.hint)}", style="default")
    data().print(line)


def _terminal() -> Iterator[CheckFinished]:
    """What is known of it on this side: the core knows no terminal."""
    columns, rows = shutil.get_terminal_size()
    encoding = (sys.stderr.encoding or "unknown").lower()
    facts = [f"{columns} x {rows}", encoding, f"colour: {narration().color_system or 'none'}"]
    facts.append("redrawn in place" if is_live() else "plain lines")
    is_unicode = encoding.startswith("utf")
    yield CheckFinished(
        name="terminal",
        status="ok" if is_unicode else "note",
        value=", ".join(facts) + ("" if is_unicode else "; drawn in ASCII"),
        hint="" if is_unicode else "PYTHONUTF8=1 tissu ...",
    )
