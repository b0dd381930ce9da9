"""What each command of a conversation does."""

from collections.abc import Callable
from pathlib import Path

from tissu_cli.sessions import turn_actions
from tissu_cli.sessions.chat_settings import FIELDS, parse_setting
from tissu_cli.sessions.conversation import Conversation
from tissu_cli.sessions.export import export_text, write_export, write_preferences
from tissu_cli.sessions.front import Front
from tissu_cli.sessions.slash import help_lines, parse
from tissu_core.errors import ConfigError


def obey(line: str, front: Front) -> None:
    """Carry out a command.

    Raises:
        TissuError: If there is no such command, or it cannot be done.
    """
    command, rest = parse(line)
    _ACTIONS[command.name](front, rest)


def open_conversation(front: Front, given: str) -> None:
    """Go on with the conversation that an id or a title names.

    Raises:
        TissuError: If there is none, or it is open elsewhere.
    """
    found = _find(front, given, "/resume")
    if found.id == front.talk.conversation.id:
        front.say("that is this conversation")
    else:
        front.open(found)


def _find(front: Front, given: str, command: str) -> Conversation:
    others = f"{command} with a title or an ID of /sessions"
    return front.talk.history.find(given, way=command, others=others)


def _help(front: Front, rest: str) -> None:
    front.show_rows("commands", help_lines())


def _new(front: Front, rest: str) -> None:
    before = front.talk.conversation
    front.open(Conversation(model=before.model, system=before.system, settings=before.settings))


def _sessions(front: Front, rest: str) -> None:
    front.choose_conversation(rest)


def _resume(front: Front, rest: str) -> None:
    if rest:
        open_conversation(front, rest)
    else:
        front.choose_conversation("")


def _rename(front: Front, rest: str) -> None:
    turn_actions.require(rest, "a title", "/rename TITLE")
    front.talk.conversation.title = rest
    front.talk.keep()
    front.redraw()


def _delete(front: Front, rest: str) -> None:
    history, current = front.talk.history, front.talk.conversation
    target = _find(front, rest, "/delete") if rest else current
    if target.id == current.id:
        _new(front, "")
    if rest or current.turns:
        history.delete(target.id)
    front.say(f"deleted: {target.title or 'the conversation'}")


def _model(front: Front, rest: str) -> None:
    if rest:
        front.use_model(rest)
    else:
        front.choose_model()


def _system(front: Front, rest: str) -> None:
    conversation = front.talk.conversation
    if rest:
        conversation.system = "" if rest == "-" else rest
        front.talk.keep()
    front.say(
        f"system prompt: {conversation.system}" if conversation.system else "no system prompt"
    )
    front.redraw()


def _set(front: Front, rest: str) -> None:
    if not rest:
        settings = front.talk.settings
        front.show_rows("settings", [(name, str(getattr(settings, name))) for name in FIELDS])
        return
    name, value = parse_setting(rest)
    if value is not None or name in front.talk.conversation.settings:
        front.talk.override(name, value)
    front.say(f"{name} = {getattr(front.talk.settings, name)}")
    front.redraw()


def _seed(front: Front, rest: str) -> None:
    _set(front, f"seed={rest}")


def _fork(front: Front, rest: str) -> None:
    before = front.talk.conversation
    copied = before.copy(before.path())
    for turn in copied.path():
        front.talk.history.add(copied, turn)
    front.open(copied)
    front.say("this is a copy; the conversation before it stays as it was")


def _copy(front: Front, rest: str) -> None:
    match rest:
        case "":
            front.copy(turn_actions.last_reply(front).text)
        case "code":
            front.copy_code(turn_actions.last_reply(front))
        case "all":
            front.copy(export_text("md", front.talk.conversation))
        case _:
            raise ConfigError(f"there is no /copy {rest}", field="copy", hint="/copy code")


def _export(front: Front, rest: str) -> None:
    kind, _, path = rest.partition(" ")
    place = Path(path.strip()).expanduser() if path.strip() else None
    talk = front.talk
    if kind == "prefs":
        front.say(f"written: {write_preferences(talk.history.all(), place)}")
    else:
        export_conversation(front, talk.conversation, kind, place)


def export_conversation(
    front: Front, conversation: Conversation, kind: str, place: Path | None = None
) -> None:
    """Write a conversation to a file, and say where."""
    front.say(f"written: {write_export(conversation, kind, place)}")


def _prompt(front: Front, rest: str) -> None:
    front.show_prompt()


def _tokens(front: Front, rest: str) -> None:
    front.show_tokens(turn_actions.last_reply(front))


def _stats(front: Front, rest: str) -> None:
    front.show_stats()


def _raw(front: Front, rest: str) -> None:
    front.toggle_raw()


def _theme(front: Front, rest: str) -> None:
    front.use_theme(rest)


def _keys(front: Front, rest: str) -> None:
    front.show_keys()


def _log(front: Front, rest: str) -> None:
    front.show_log()


def _quit(front: Front, rest: str) -> None:
    front.leave()


_ACTIONS: dict[str, Callable[[Front, str], None]] = {
    "help": _help,
    "new": _new,
    "sessions": _sessions,
    "resume": _resume,
    "rename": _rename,
    "delete": _delete,
    "model": _model,
    "system": _system,
    "set": _set,
    "seed": _seed,
    "retry": turn_actions.retry,
    "continue": turn_actions.go_on,
    "edit": turn_actions.edit,
    "undo": turn_actions.undo,
    "fork": _fork,
    "previous": turn_actions.preceding,
    "next": turn_actions.following,
    "compare": turn_actions.compare,
    "good": turn_actions.good,
    "bad": turn_actions.bad,
    "copy": _copy,
    "export": _export,
    "prompt": _prompt,
    "tokens": _tokens,
    "stats": _stats,
    "raw": _raw,
    "theme": _theme,
    "keys": _keys,
    "log": _log,
    "quit": _quit,
}
