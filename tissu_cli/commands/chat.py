"""``tissu chat``: a conversation, line by line."""

import sys
from contextlib import suppress
from typing import TYPE_CHECKING, Annotated

import typer

from tissu_cli.commands.prompts import clean_argument, read_prompt
from tissu_cli.commands.signals import Signals
from tissu_cli.flags import Given, Model, resolve_settings, with_settings
from tissu_cli.render.console import say
from tissu_cli.settings import EXIT_INTERRUPTED, EXIT_TERMINATED, is_person_at_stdin
from tissu_core.config.decoding import DecodingConfig
from tissu_core.config.runs import UseRun
from tissu_core.errors import TissuError

if TYPE_CHECKING:
    from tissu_core.runs.session import ChatSession, Message

_HELP = "/new forgets the conversation · /prompt shows what the model reads · /quit leaves"


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
    *,
    given: Given,
) -> None:
    run = resolve_settings(UseRun, given)
    is_conversation = prompt is None and is_person_at_stdin()
    text = "" if is_conversation else read_prompt(prompt, "tissu chat")
    from tissu_core.runs.session import open_chat

    with Signals() as signals:
        session = open_chat(model, run.machine)
        _introduce(session, model)
        if signals.stop.is_set():
            raise typer.Exit(signals.exit_code)
        if not is_conversation:
            _answer(session, _opening(session, clean_argument(system), text), run.decoding, signals)
            raise typer.Exit(signals.exit_code)
    raise typer.Exit(Conversation(session, clean_argument(system), run.decoding).run())


def _introduce(session: "ChatSession", model: str | None) -> None:
    if model is None:
        say(f"model: {session.path}", "dim")
    for notice in session.notices:
        say(notice.text, "dim")
    if not session.has_template:
        say("this is a base model: it continues your text rather than answering it", "dim")


def _opening(session: "ChatSession", system: str, text: str) -> list["Message"]:
    return [*session.system_messages(system), session.user_message(text)]


def _answer(
    session: "ChatSession", messages: list["Message"], settings: DecodingConfig, signals: Signals
) -> str:
    from tissu_cli.render.stream import stream_reply

    return stream_reply(session.reply(messages, settings, signals.stop)).text


class Conversation:
    """Reads lines, keeps the history, prints replies. Ctrl-C stops a reply, not the program."""

    def __init__(self, session: "ChatSession", system: str, settings: DecodingConfig) -> None:
        self._session, self._system, self._settings = session, system, settings
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
                say(self._session.render_prompt(self._messages) if self._messages else "(empty)")
            case ["/help", *_]:
                say(_HELP)
            case [word, *_] if word.startswith("/") and word[1:].isalpha():
                say(f"there is no {word}; {_HELP}")
            case _:
                self._say(line)

    def _say(self, line: str) -> None:
        messages = [*self._messages, self._session.user_message(line)]
        with Signals() as signals:
            reply = _answer(self._session, messages, self._settings, signals)
        self._messages = [*messages, self._session.assistant_message(reply)]
        if signals.exit_code == EXIT_TERMINATED:
            raise typer.Exit(EXIT_TERMINATED)

    def _use_line_editing(self) -> None:
        with suppress(ImportError):
            import readline  # noqa: F401, PLC0415  arrow keys and history in input()
