"""``tissu chat``: a conversation on a screen, line by line, or one answer into a pipe.

What a conversation needs and its first picture does not is imported where it is used.
"""

import gc
import os
from functools import partial
from typing import TYPE_CHECKING, Annotated

import typer

from tissu_cli.commands.prompts import clean_argument, read_prompt
from tissu_cli.flags import Given, Model, resolve_settings, with_settings
from tissu_cli.render.console import say
from tissu_cli.settings import can_draw, is_person_at_stdin
from tissu_core.config.chat import ChatConfig
from tissu_core.config.use import ChatRun
from tissu_core.errors import ConfigError, InputError
from tissu_core.runs.home import home, seems_there

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Sequence

    from tissu_cli.sessions.conversation import Conversation
    from tissu_cli.sessions.history import History
    from tissu_core.config.decoding import DecodingConfig
    from tissu_core.runs.chat.model import ChatModel


_Prompt = Annotated[
    str | None,
    typer.Option("-p", "--prompt", help="Answer once, raw; as piping the prompt in does."),
]
_System = Annotated[
    str, typer.Option(metavar="TEXT", help="What the model is told before the conversation.")
]
_Template = Annotated[
    str | None,
    typer.Option(
        metavar="NAME|FILE",
        help="Another chat template: one of the model's own by name, or a Jinja file.",
    ),
]
_ShowPrompt = Annotated[
    bool,
    typer.Option(
        "--show-prompt",
        help="Show what the model reads, to the letter: with -p or a pipe instead of the "
        "reply, in a conversation before each reply.",
    ),
]
_Json = Annotated[bool, typer.Option("--json", help="With -p or a pipe: print one JSON object.")]
_Continue = Annotated[bool, typer.Option("--continue", help="Go on with the last conversation.")]
_Session = Annotated[
    str | None,
    typer.Option("--session", metavar="ID|TITLE", help="Go on with the conversation of this name."),
]
_Follow = Annotated[
    str | None,
    typer.Option(metavar="RUN", help="Talk to a run while it trains; takes each new checkpoint."),
]


def register(app: typer.Typer) -> None:
    """Add the command to the tree."""
    app.command(rich_help_panel="Use a model", help="Talk to a model.")(chat)


@with_settings(("", ChatRun))
def chat(
    model: Model = None,
    prompt: _Prompt = None,
    system: _System = "",
    template: _Template = None,
    show_prompt: _ShowPrompt = False,
    json: _Json = False,
    is_continued: _Continue = False,
    session: _Session = None,
    follow: _Follow = None,
    *,
    given: Given,
) -> None:
    run = resolve_settings(ChatRun, given)  # a wrong one is said before anything is fetched
    is_conversation = prompt is None and is_person_at_stdin()
    _refuse_contradictions(model, follow, is_json=json and is_conversation)
    is_old = is_continued or session is not None
    history = _open_history(run.chat, is_needed=is_conversation or is_old)
    conversation = _find_conversation(history, session, is_continued=is_continued)
    conversation.system = clean_argument(system) or conversation.system
    _name_model(conversation, _settled(model) or follow or "")
    is_drawn = is_conversation and not run.chat.plain and not show_prompt and can_draw()
    from tissu_cli.sessions.setup import Setup

    setup = Setup(
        chat=run.chat,
        history=history,
        conversation=conversation,
        open_model=_opener(run, template, follow, is_remote=is_drawn),
        settings_for=partial(_settings_for, given),
        find_model=_find_model,
        model_names=_model_names,
        newest=_newest_of(follow) if follow is not None else None,
    )
    if is_drawn:
        gc.disable()  # until the first picture is drawn: 5 % of the time to it
        from tissu_cli.tui.run import run_screen

        raise typer.Exit(run_screen(setup))
    history.hold(conversation.id)
    if is_conversation:
        from tissu_cli.commands.plain_chat import run_plain

        raise typer.Exit(run_plain(setup, is_prompt_shown=show_prompt))
    from tissu_cli.commands.chat_once import answer_once

    text = read_prompt(prompt, "tissu chat")
    raise typer.Exit(answer_once(setup, text, is_prompt_only=show_prompt, is_json=json))


def _refuse_contradictions(model: str | None, follow: str | None, *, is_json: bool) -> None:
    if follow is not None and model is not None:
        raise ConfigError(
            "--follow names the model", field="follow", hint=f"tissu chat --follow {follow}"
        )
    if is_json:
        raise ConfigError("--json needs a prompt", field="json", hint='tissu chat --json -p "..."')


def _settled(model: str | None) -> str | None:
    """MODEL as it is named from any other folder, if it is a path."""
    is_path = model is not None and model.startswith(("./", "../", ".\\", "..\\"))
    # A path that no system call would take is left to whoever reads it.
    return os.path.abspath(model) if model and is_path else model  # noqa: PTH100


def _name_model(conversation: "Conversation", given: str) -> None:
    """The model of a conversation: the one that was named, its own, or the newest.

    Raises:
        InputError: If there is none.
    """
    before, conversation.model = conversation.model, given or conversation.model
    if seems_there(conversation.model or None):
        return
    from tissu_cli.commands.offer import offer_first_model  # noqa: PLC0415
    from tissu_core.runs.catalog import find_model  # noqa: PLC0415

    try:
        if not conversation.model:
            offer_first_model()
        find_model(conversation.model or None)
    except InputError as error:
        if given or not before:
            raise
        say(f"{error.message}; this conversation goes on with the newest model", "yellow")
        conversation.model = ""
        find_model(None)


def _open_history(chat: ChatConfig, *, is_needed: bool) -> "History":
    from tissu_cli.sessions.history import History, NoHistory

    if not is_needed or not chat.history:
        return NoHistory()
    return History.open(home() / "chats.db")


def _find_conversation(
    history: "History", session: str | None, *, is_continued: bool
) -> "Conversation":
    from tissu_cli.sessions.conversation import Conversation

    found: Conversation | None = None
    if session is not None:
        found = history.find(clean_argument(session))
    elif is_continued:
        found = history.newest()
        if found is None:
            say("there is no conversation to go on with; this is a new one", "dim")
    if found is not None:
        history.hold(found.id)
    return found or Conversation()


def _opener(
    run: ChatRun, template: str | None, followed: str | None, *, is_remote: bool
) -> "Callable[[str], ChatModel]":
    """What opens a model: in this process, or where it cannot hold up a screen."""

    def open_model(name: str) -> "ChatModel":
        if name and name == followed:
            from tissu_core.runs.chat.followed_model import FollowedModel

            return FollowedModel(name, run.machine, template)
        if is_remote:
            from tissu_core.runs.chat.remote_model import RemoteModel

            return RemoteModel(name or None, run.machine, template)
        from tissu_core.runs.chat.session import ChatSession

        return ChatSession(name or None, run.machine, template)

    return open_model


def _settings_for(given: Given, name: str) -> "DecodingConfig":
    from tissu_core.runs.chat.recommended import recommended_settings  # noqa: PLC0415

    base = recommended_settings(name or None)
    return resolve_settings(ChatRun, given, base=base, is_told=False).decoding


def _find_model(name: str) -> object:
    from tissu_core.runs.catalog import find_model  # noqa: PLC0415

    return find_model(name or None)


def _model_names() -> "Sequence[str]":
    from tissu_core.runs.catalog import names_here  # noqa: PLC0415

    return names_here()


def _newest_of(run: str) -> "Callable[[], Hashable]":
    from tissu_core.runs.chat.follow_model import newest_checkpoint

    newest_checkpoint(run)  # what is not there is said before anything is drawn
    return partial(newest_checkpoint, run)
