"""``tissu generate``: a model continues a text."""

from typing import Annotated

import typer

from tissu_cli.commands.prompts import read_prompt
from tissu_cli.commands.signals import Signals
from tissu_cli.flags import Given, Json, Model, resolve_settings, with_settings
from tissu_cli.render.console import print_json
from tissu_cli.render.status import StatusLine, counted
from tissu_cli.settings import is_terminal_stdout
from tissu_core.config.runs import UseRun
from tissu_core.events import GenerationFinished, to_record


def register(app: typer.Typer) -> None:
    """Add the command to the tree."""
    app.command(rich_help_panel="Use a model", help="Continue a text.")(generate)


@with_settings(("", UseRun))
def generate(
    model: Model = None,
    prompt: Annotated[
        str | None, typer.Option("-p", "--prompt", help="The text to continue; else stdin.")
    ] = None,
    json: Json = False,
    *,
    given: Given,
) -> None:
    run = resolve_settings(UseRun, given)
    text = read_prompt(prompt, "tissu generate")
    from tissu_core.runs.session import open_chat

    with Signals() as signals:
        session = open_chat(model, run.machine)
        events = session.complete(text, run.decoding, signals.stop)
        with StatusLine() as status:
            if json or not is_terminal_stdout():
                events = counted(events, status, run.decoding.max_tokens)
            if json:
                end = next(event for event in events if isinstance(event, GenerationFinished))
                print_json({"model": str(session.path), "prompt": text, **to_record(end)})
            else:
                from tissu_cli.render.stream import stream_reply

                stream_reply(events)
        if signals.exit_code:
            raise typer.Exit(signals.exit_code)
