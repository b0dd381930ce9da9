"""``tissu doctor``: is this machine ready."""

import shutil
import sys
from collections.abc import Iterator
from dataclasses import asdict
from itertools import chain

import typer

from tissu_cli.flags import Json
from tissu_cli.render.console import narration, print_json, print_line
from tissu_cli.settings import is_live
from tissu_core.errors import ResourceError
from tissu_core.events import CheckFinished
from tissu_core.runs.doctor import examine


def register(app: typer.Typer) -> None:
    """Add the command to the tree."""
    app.command(
        rich_help_panel="Set up",
        help="Look at machine, packages and terminal. Exit 4 if one of them is a problem.",
    )(doctor)


def doctor(json: Json = False) -> None:
    checks = []
    for check in chain(_terminal(), examine()):
        checks.append(check)
        if not json:
            _show(check)
    if json:
        print_json({"checks": [asdict(check) for check in checks]})
    if any(check.status == "problem" for check in checks):
        raise typer.Exit(ResourceError.code)


def _show(check: CheckFinished) -> None:
    print_line(f"{check.status:<8}{check.name:<13}{check.value}")
    if check.hint:
        print_line(f"{'':8}{'':13}try: {check.hint}")


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
