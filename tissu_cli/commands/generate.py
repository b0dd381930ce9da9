"""``tissu generate``: a model continues a text, or each of many."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tissu_cli.commands.prompts import read_prompt
from tissu_cli.commands.signals import Signals
from tissu_cli.flags import Given, Json, Model, resolve_settings, with_settings
from tissu_cli.render import numbers
from tissu_cli.render.console import print_json, say, say_notice
from tissu_cli.render.status import StatusLine, counted
from tissu_cli.settings import is_terminal_stdout
from tissu_core.config.use import GenerateRun
from tissu_core.errors import ConfigError
from tissu_core.events.records import to_record
from tissu_core.events.replies import GenerationFinished
from tissu_core.events.shared import Noticed, StageAdvanced
from tissu_core.runs.chat.recommended import recommended_settings

if TYPE_CHECKING:
    from tissu_core.runs.chat.completions import CompletionsAdvanced

_MANY = "Many prompts"


def register(app: typer.Typer) -> None:
    """Add the command to the tree."""
    app.command(
        rich_help_panel="Use a model", help="Continue a text, or each of a file of prompts."
    )(generate)


@with_settings(("", GenerateRun))
def generate(
    model: Model = None,
    prompt: Annotated[
        str | None, typer.Option("-p", "--prompt", help="The text to continue; else stdin.")
    ] = None,
    json: Json = False,
    prompts_file: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Continue every prompt of a file, one a line, or .jsonl with a prompt, or with "
            "messages to answer; other keys are passed on, blank lines passed over. Prints JSON "
            "lines in order.",
            rich_help_panel=_MANY,
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            "-o", "--out", metavar="FILE", help="Write the lines here.", rich_help_panel=_MANY
        ),
    ] = None,
    resume: Annotated[
        bool,
        typer.Option(
            "--resume", help="Go on behind the finished lines of --out.", rich_help_panel=_MANY
        ),
    ] = False,
    *,
    given: Given,
) -> None:
    run = resolve_settings(GenerateRun, given, base=recommended_settings(model))
    if prompts_file is None:
        if out is not None or resume:
            _refuse("--out and --resume are for --prompts-file", "out")
        _complete_one(model, prompt, run, is_json=json)
        return
    if prompt is not None:
        _refuse("--prompt and --prompts-file are two ways to say what is continued", "prompt")
    if resume and out is None:
        _refuse("--resume goes on with a file, and --out names none", "resume")
    _complete_many(model, prompts_file.expanduser(), out, run, is_resumed=resume)


def _refuse(message: str, field: str) -> None:
    raise ConfigError(message, field=field, hint="tissu generate --help")


def _complete_one(
    model: str | None, prompt: str | None, run: GenerateRun, *, is_json: bool
) -> None:
    text = read_prompt(prompt, "tissu generate")
    from tissu_core.runs.chat.session import open_chat

    with Signals() as signals:
        session = open_chat(model, run.machine)
        for notice in session.notices:
            say_notice(notice)
        events = session.complete(text, run.decoding, signals.stop)
        with StatusLine() as status:
            if is_json or not is_terminal_stdout():
                events = counted(events, status, run.decoding.max_tokens)
            if is_json:
                end = next(event for event in events if isinstance(event, GenerationFinished))
                print_json({"model": str(session.path), "prompt": text, **to_record(end)})
            else:
                from tissu_cli.render.stream import stream_reply

                stream_reply(events)
        if signals.exit_code:
            raise typer.Exit(signals.exit_code)


def _complete_many(
    model: str | None, path: Path, out: Path | None, run: GenerateRun, *, is_resumed: bool
) -> None:
    out = out.expanduser() if out is not None else None
    from tissu_core.runs.chat.completions import (
        CompletionsAdvanced,
        PromptCompleted,
        complete_prompts,
    )

    with Signals() as signals, StatusLine() as status:
        for event in complete_prompts(path, out, model, run, signals.stop, is_resumed=is_resumed):
            match event:
                case PromptCompleted():
                    if out is None:
                        status.clear()
                        print_json(event.record)
                case CompletionsAdvanced():
                    latest = event
                    status.show(_stage(event))
                case Noticed():
                    status.clear()
                    say_notice(event)
        status.clear()
        say(f"{latest.done:,} of {latest.total:,} {_stage(latest).unit}", "dim")
        if signals.exit_code:
            raise typer.Exit(signals.exit_code)


def _stage(event: "CompletionsAdvanced") -> StageAdvanced:
    pace = numbers.count(event.new_tokens / max(event.seconds, 1e-9))
    unit = f"prompts, {pace} tokens/s"
    return StageAdvanced(stage="generating", done=event.done, total=event.total, unit=unit)
