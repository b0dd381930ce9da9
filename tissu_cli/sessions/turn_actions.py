"""What commands do with the turns of a conversation."""

from typing import Literal

from tissu_cli.sessions.conversation import Turn
from tissu_cli.sessions.front import Front
from tissu_core.errors import ConfigError, InputError

_MOST_RETRIES = 8


def retry(front: Front, rest: str) -> None:
    """Another reply in place of the last, or several."""
    count = number_in(rest or "1", 1, _MOST_RETRIES, "/retry 3")
    front.stop()
    for _ in range(count):
        if not front.start(front.talk.answer()):
            break


def go_on(front: Front, rest: str) -> None:
    """Go on with the last reply."""
    reply = last_reply(front)
    if reply.state == "writing":
        raise InputError("the last reply is still being written", hint="Esc stops it")
    if not reply.can_continue:
        raise InputError("the last reply ended by itself", hint="/retry for another one")
    front.start(front.talk.go_on(reply))


def edit(front: Front, rest: str) -> None:
    """Another text in place of a message."""
    word, _, text = rest.partition(" ")
    asked = [turn for turn in front.talk.conversation.path() if turn.role == "user"]
    if not asked:
        raise InputError("there is no message to edit yet", hint="type one")
    number = len(asked)
    if word.isdecimal():
        number = number_in(word, 1, len(asked), "/edit 1")
    else:
        text = rest
    turn = asked[number - 1]
    if text.strip():
        replace_turn(front, turn, text.strip())
    else:
        front.compose(turn)


def replace_turn(front: Front, turn: Turn, text: str) -> None:
    """Put another text in a turn's place; to a message of the person, the model answers."""
    front.stop()
    edited = front.talk.edit(turn, text)
    front.redraw()
    if edited.role == "user":
        front.start(front.talk.answer())
    else:
        front.talk.keep_turns()


def undo(front: Front, rest: str) -> None:
    """Take back the last message."""
    conversation = front.talk.conversation
    path = conversation.path()
    last = next((turn for turn in reversed(path) if turn.role == "user"), None)
    if last is None:
        raise InputError("there is nothing to take back", hint="type a message")
    front.stop()
    conversation.leaf = last.parent
    front.talk.keep()
    front.redraw()
    front.propose(last.text)


def show_sibling(front: Front, turn: Turn, step: Literal[-1, 1]) -> None:
    """Show the version of a turn before or after this one.

    Raises:
        InputError: If there is none.
    """
    siblings = front.talk.conversation.siblings(turn)
    index = siblings.index(turn) + step
    if not 0 <= index < len(siblings):
        which = "older" if step < 0 else "newer"
        raise InputError(f"there is no {which} version", hint="/retry or /edit makes one")
    front.talk.conversation.show(siblings[index])
    front.talk.keep()
    front.redraw()


def preceding(front: Front, rest: str) -> None:
    """The version of a turn before."""
    show_sibling(front, _turn(front, rest), -1)


def following(front: Front, rest: str) -> None:
    """The version of a turn after."""
    show_sibling(front, _turn(front, rest), 1)


def _turn(front: Front, rest: str) -> Turn:
    path = front.talk.conversation.path()
    if not path:
        raise InputError("there is no turn yet", hint="type a message")
    return path[number_in(rest, 1, len(path), "/previous 2") - 1] if rest else path[-1]


def compare(front: Front, rest: str) -> None:
    """Another model's answer beside the last reply."""
    require(rest, "a model", "/compare MODEL")
    last_reply(front)
    front.compare(rest)


def rate(front: Front, reply: Turn, rating: Literal[-1, 1]) -> None:
    """Rate a reply; the same rating again takes it back."""
    reply.rating = 0 if reply.rating == rating else rating
    front.talk.history.rate(front.talk.conversation, reply)
    front.redraw()
    front.say({1: "rated as good", -1: "rated as bad", 0: "not rated"}[reply.rating])


def good(front: Front, rest: str) -> None:
    """The last reply is a good one."""
    rate(front, last_reply(front), 1)


def bad(front: Front, rest: str) -> None:
    """The last reply is a bad one."""
    rate(front, last_reply(front), -1)


def last_reply(front: Front) -> Turn:
    """The reply that the path ends with.

    Raises:
        InputError: If it does not end with one.
    """
    reply = front.talk.last_reply
    if reply is None:
        raise InputError("there is no reply yet", hint="type a message")
    return reply


def require(rest: str, what: str, hint: str) -> None:
    """Refuse a command that lacks what it is about."""
    if not rest:
        raise ConfigError(f"{what} is missing", field=what, hint=hint)


def number_in(text: str, lowest: int, highest: int, hint: str) -> int:
    """A number that was typed, within bounds."""
    if not text.isdecimal() or not lowest <= int(text) <= highest:
        raise ConfigError(f"{text!r} is no number from {lowest} to {highest}", field="N", hint=hint)
    return int(text)
