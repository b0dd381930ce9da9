"""The first model, for somebody who has none."""

import sys

import typer

from tissu_cli.commands.signals import resumable
from tissu_cli.render.console import say
from tissu_cli.render.numbers import size
from tissu_cli.render.status import StatusLine, narrated
from tissu_cli.settings import is_person_at_stdin
from tissu_core.runs.catalog import list_models
from tissu_core.runs.models.known import FIRST_LICENSE, FIRST_MODEL, FIRST_NUM_BYTES


def offer_first_model() -> None:
    """On a machine without a model, ask whether one may be downloaded; with a yes, do it.

    Where nobody could answer, nothing is asked, and what follows says that there is no model.
    """
    if not is_person_at_stdin() or not sys.stderr.isatty() or list_models():
        return
    facts = f"{size(FIRST_NUM_BYTES)}, {FIRST_LICENSE}"
    say(f"no model here yet. Download {FIRST_MODEL.name} ({facts}) and talk to it? [Y/n]")
    try:
        if typer.getchar() not in ("y", "Y", "\r", "\n"):
            return
    except EOFError:
        return
    from tissu_core.runs.models.pull import pull

    with resumable(), StatusLine() as status:
        for _ in narrated(pull(FIRST_MODEL.sources[-1], FIRST_MODEL.name), status):
            pass  # the conversation begins with its name
