"""``tissu chat``: a conversation, line by line."""

import sys
from contextlib import suppress
from typing import TYPE_CHECKING, Annotated

import typer

from tissu_cli.commands.offer import offer_first_model
from tissu_cli.commands.prompts import clean_argument, read_prompt
from tissu_cli.commands.signals import Signals
from tissu_cli.flags import Given, Model, resolve_settings, with_settings
from tissu_cli.render.console import data, narration, print_json, say, say_notice
from tissu_cli.settings import (
    EXIT_INTERRUPTED,
    EXIT_TERMINATED,
    is_person_at_stdin,
    is_terminal_stdout,
)
from tissu_core.config.decoding import DecodingConfig
from tissu_core.config.runs import UseRun
from tissu_core.errors import ConfigError, TissuError
from tissu_core.events import GenerationFinished, to_record
from tissu_core.runs.recommended import recommended_settings

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import Console

    from tissu_core.runs.session import ChatSession, Message, Piece

_HELP = "/new forgets all · /prompt shows what the model reads · /quit leaves"


def register(app: typer.Typer) -> None:
    """Add the command to the tree."""
    app.command(rich_help_panel="Use a model", help="Talk to a model.")(chat)


@with_settings(("", UseRun))
def chat(
    model: Model = None,
    prompt: Annotated[
        str | None,
        typer.Option("-p", "--prompt", help="Answer once, raw; as piping the prompt in does."),
    ] = None,
    system: Annotated[
        str, typer.Option(metavar="TEXT", help="What the model is told before the conversation.")
    ] = "",
    template: Annotated[
        str | None,
        typer.Option(
            metavar="NAME|FILE",
            help="Another chat template: one of the model's own by name, or a Jinja file.",
        ),
    ] = None,
    show_prompt: Annotated[
        bool,
        typer.Option(
            "--show-prompt",
            help="Show what the model reads, to the letter: with -p or a pipe instead of the "
            "reply, in a conversation before each reply.",
        ),
    ] = False,
    json: Annotated[
        bool, typer.Option("--json", help="With -p or a pipe: print one JSON object.")
    ] = False,
    *,
    given: Given,
) -> None:
    resolve_settings(UseRun, given)  # a wrong one is said before anything is fetched
    if model is None:
        offer_first_model()
    run = resolve_settings(UseRun, given, base=recommended_settings(model))
    is_conversation = prompt is None and is_person_at_stdin()
    if json and is_conversation:
        raise ConfigError("--json needs a prompt", field="json", hint='tissu chat --json -p "..."')
    text = "" if is_conversation else read_prompt(prompt, "tissu chat")
    from tissu_core.runs.session import open_chat

    with Signals() as signals:
        session = open_chat(model, run.machine)
        if template is not None:
            session.use_template(template)
        _introduce(session, model)
        if signals.stop.is_set():
            raise typer.Exit(signals.exit_code)
        if not is_conversation:
            opening = _opening(session, clean_argument(system), text)
            if show_prompt:
                _print_prompt(session, opening, run.decoding, is_json=json)
            elif json:
                events = session.reply(opening, run.decoding, signals.stop)
                end = next(event for event in events if isinstance(event, GenerationFinished))
                print_json({"model": str(session.path), "prompt": text, **to_record(end)})
            else:
                _answer(session, opening, run.decoding, signals)
            raise typer.Exit(signals.exit_code)
    talk = Conversation(session, clean_argument(system), run.decoding, is_prompt_shown=show_prompt)
    raise typer.Exit(talk.run())


def _introduce(session: "ChatSession", model: str | None) -> None:
    if model is None:
        say(f"model: {session.name}", "dim")
    for notice in session.notices:
        say_notice(notice)
    if not session.has_template:
        say("this is a base model: it continues your text rather than answering it", "dim")


def _opening(session: "ChatSession", system: str, text: str) -> list["Message"]:
    return [*session.system_messages(system), session.user_message(text)]


def _answer(
    session: "ChatSession", messages: list["Message"], settings: DecodingConfig, signals: Signals
) -> str:
    from tissu_cli.render.stream import stream_reply

    return stream_reply(session.reply(messages, settings, signals.stop)).text


def _print_prompt(
    session: "ChatSession", messages: list["Message"], settings: DecodingConfig, *, is_json: bool
) -> None:
    """The prompt on stdout: to the letter where it is data, safe to look at on a terminal."""
    kept = session.fit(messages, settings.max_tokens)
    pieces = session.prompt_pieces(kept)
    text = "".join(piece.text for piece in pieces)
    if is_json:
        table = {"model": str(session.path), "prompt": text, "ids": session.prompt_ids(kept)}
        shown = [{"text": piece.text, "is_control": piece.is_control} for piece in pieces]
        print_json({**table, "pieces": shown})
    elif is_terminal_stdout():
        _draw_prompt(data(), pieces)
    else:
        sys.stdout.write(text)


def _draw_prompt(console: "Console", pieces: "Sequence[Piece]") -> None:
    from tissu_cli.render.prompt import prompt_text

    console.print(prompt_text(pieces), soft_wrap=True)


class Conversation:
    """Reads lines, keeps the history, prints replies. Ctrl-C stops a reply, not the program."""

    def __init__(
        self,
        session: "ChatSession",
        system: str,
        settings: DecodingConfig,
        *,
        is_prompt_shown: bool,
    ) -> None:
        self._session, self._system, self._settings = session, system, settings
        self._is_prompt_shown = is_prompt_shown
        self._messages = session.system_messages(system)

    def run(self) -> int:
        """Talk until the person leaves; returns the exit code."""
        self._use_line_editing()
        say(_HELP, "dim")
        was_interrupted = False
        while True:
            try:
                line = input("> ")
                if line.strip() in ("/quit", "/exit"):
                    return 0
                was_interrupted = False
                self._take(clean_argument(line))
            except EOFError:
                sys.stdout.write("\n")
                return 0
            except KeyboardInterrupt:  # at the prompt; during a reply it only ends the reply
                sys.stdout.write("\n")
                if was_interrupted:
                    return EXIT_INTERRUPTED
                was_interrupted = True
                say("Ctrl-C again, or /quit, leaves", "dim")

    def _take(self, line: str) -> None:
        from tissu_cli.render.errors import show_error

        try:
            self._obey(line)
        except TissuError as error:
            show_error(error.message, error.safe, error.hint, code=error.code, is_json=False)

    def _obey(self, line: str) -> None:
        match line.strip().split(maxsplit=1):
            case []:
                return
            case ["/new", *_]:
                self._messages = self._session.system_messages(self._system)
            case ["/prompt", *_]:
                self._show_prompt(self._messages)
            case ["/help", *_]:
                say(_HELP)
            case [word, *_] if word.startswith("/") and word[1:].isalpha():
                say(f"there is no {word}; /help says what there is")
            case _:
                self._say(line)

    def _say(self, line: str) -> None:
        messages = [*self._messages, self._session.user_message(line)]
        if self._is_prompt_shown:
            self._show_prompt(self._session.fit(messages, self._settings.max_tokens))
        with Signals() as signals:
            reply = _answer(self._session, messages, self._settings, signals)
        self._messages = [*messages, self._session.assistant_message(reply)]
        if signals.exit_code == EXIT_TERMINATED:
            raise typer.Exit(EXIT_TERMINATED)

    def _show_prompt(self, messages: list["Message"]) -> None:
        if messages:
            _draw_prompt(narration(), self._session.prompt_pieces(messages))
        else:
            say("(empty)")

    def _use_line_editing(self) -> None:
        with suppress(ImportError):
            import readline  # noqa: PLC0415  arrow keys and history in input()

            readline.parse_and_bind("set enable-bracketed-paste on")  # pasted lines are one message
