"""Every key of the screen: an id, what it does, and how it can be bound to another key."""

from collections.abc import Iterable, Mapping
from typing import Literal

from textual.binding import Binding, BindingType

from tissu_core.errors import ConfigError, nearest

Preset = Literal["default", "enter-newline", "vim"]

PROMPT = (
    Binding("enter", "send", "Send", id="send"),
    Binding("ctrl+j,shift+enter", "newline", "New line", id="newline", show=False),
    Binding("ctrl+g", "editor", "Editor", id="editor", show=False),
    Binding("ctrl+r", "history", "Search prompts", id="history", show=False),
    Binding("up", "up", "Earlier prompt", id="prompt-up", show=False),
    Binding("down", "down", "Later prompt", id="prompt-down", show=False),
    Binding("tab", "complete", "Complete", id="complete", show=False),
    Binding("pageup", "scroll(-1)", "Scroll up", id="page-up", show=False),
    Binding("pagedown", "scroll(1)", "Scroll down", id="page-down", show=False),
)
TURN = (
    Binding("up", "move(-1)", "Turn before", id="turn-up", show=False),
    Binding("down", "move(1)", "Turn after", id="turn-down", show=False),
    Binding("y", "copy", "Copy", id="copy"),
    Binding("c", "copy_code", "Copy code", id="copy-code"),
    Binding("r", "retry", "Retry", id="retry"),
    Binding("e", "edit", "Edit", id="edit"),
    Binding("o", "go_on", "Continue", id="continue"),
    Binding("left", "sibling(-1)", "Version before", id="previous", show=False),
    Binding("right", "sibling(1)", "Version after", id="next", show=False),
    Binding("plus,equals_sign", "rate(1)", "Good", id="good", key_display="+"),
    Binding("minus", "rate(-1)", "Bad", id="bad", key_display="-"),
    Binding("t", "lens", "Tokens", id="tokens"),
    Binding("home", "first", "First turn", id="turn-first", show=False),
    Binding("end", "last", "Last turn", id="turn-last", show=False),
)
SCREEN = (
    Binding("escape", "stop", "Stop", id="stop"),
    Binding("ctrl+c", "interrupt", "Copy, stop, quit", id="interrupt", show=False, priority=True),
    Binding("f1", "help", "Help", id="help"),
    Binding("f2", "settings", "Settings", id="settings"),
    Binding("f3", "lens", "Tokens", id="lens"),
    Binding("alt+up", "turns(-1)", "Turns", id="turns"),
    Binding("alt+down", "turns(1)", "Turns", id="turns-down", show=False),
    Binding("ctrl+n", "new", "New conversation", id="new", show=False),
    Binding("ctrl+s", "sessions", "Conversations", id="sessions"),
    Binding("ctrl+p", "palette", "Palette", id="palette", priority=True),
    Binding("ctrl+end", "bottom", "To the end", id="bottom", show=False),
    Binding("ctrl+home", "top", "To the beginning", id="top", show=False),
    Binding("ctrl+q", "leave", "Quit", id="quit", show=False, priority=True),
)
LENS = (
    Binding("left", "move(-1)", "Token before", id="lens-left"),
    Binding("right", "move(1)", "Token after", id="lens-right"),
    Binding("home", "move(-1000000)", "First token", id="lens-first", show=False),
    Binding("end", "move(1000000)", "Last token", id="lens-last", show=False),
    Binding("n", "unsure", "Next unsure", id="lens-unsure"),
    Binding("up", "choose(-1)", "Likelier token", id="lens-up", show=False),
    Binding("down", "choose(1)", "Less likely token", id="lens-down", show=False),
    Binding("enter", "take", "Go on from here", id="lens-take"),
    Binding("escape,t", "leave", "Back", id="lens-back"),
)
PICKER = (
    Binding("escape", "leave", "Back", id="picker-back"),
    Binding("down", "move(1)", "Down", id="picker-down", show=False, priority=True),
    Binding("up", "move(-1)", "Up", id="picker-up", show=False, priority=True),
    Binding("pagedown", "move(10)", "Ten down", id="picker-ten-down", show=False, priority=True),
    Binding("pageup", "move(-10)", "Ten up", id="picker-ten-up", show=False, priority=True),
    Binding("ctrl+t", "deed('rename')", "Rename", id="picker-rename"),
    Binding("ctrl+d", "deed('delete')", "Delete", id="picker-delete", priority=True),
    Binding("ctrl+e", "deed('export')", "Export", id="picker-export", priority=True),
)
PANEL = (
    Binding("escape,f2", "leave", "Back", id="panel-back"),
    Binding("ctrl+r", "reset", "Default", id="panel-reset"),
)
COMPARE = (
    Binding("escape", "leave", "Back", id="compare-back"),
    Binding("1,left", "like(1)", "Left is better", id="compare-left"),
    Binding("2,right", "like(2)", "Right is better", id="compare-right"),
)
READING = (Binding("escape,q,enter", "leave", "Back", id="reading-back"),)
ASKING = (Binding("escape", "leave", "Back", id="asking-back"),)
CONFIRMING = (
    Binding("y", "answer(True)", "Yes", id="yes"),
    Binding("n,escape", "answer(False)", "No", id="no"),
)
ALL = (
    *(*SCREEN, *PROMPT, *TURN),
    *(*LENS, *PICKER, *PANEL, *COMPARE),
    *(*READING, *ASKING, *CONFIRMING),
)

PRESETS: dict[Preset, dict[str, str]] = {
    "default": {},
    # For input methods whose Enter takes a candidate.
    "enter-newline": {"send": "ctrl+j,ctrl+enter,alt+enter", "newline": "enter,shift+enter"},
    "vim": {
        "turns": "alt+up,alt+k",
        "turns-down": "alt+down,alt+j",
        "turn-up": "up,k",
        "turn-down": "down,j",
        "previous": "left,h",
        "next": "right,l",
        "turn-first": "home,g",
        "turn-last": "end,G",
        "lens-left": "left,h",
        "lens-right": "right,l",
        "lens-up": "up,k",
        "lens-down": "down,j",
        "picker-down": "down,ctrl+n",
        "picker-up": "up,ctrl+p",
    },
}


def keymap(preset: Preset, changes: Iterable[str]) -> Mapping[str, str]:
    """Keys by the id of what they do, where they are not the usual ones.

    ``changes`` are ``ID=KEY,KEY``, as a file of settings has them.

    Raises:
        ConfigError: If there is no such id, or no key.
    """
    keys = dict(PRESETS[preset])
    known = [binding.id for binding in ALL if binding.id]
    for change in changes:
        id, _, given = change.partition("=")
        if id.strip() not in known:
            close = nearest(id.strip(), known)
            raise ConfigError(
                f"chat.keys names {id.strip()!r}, which is nothing that a key does",
                field="chat.keys",
                hint=f"did you mean {' or '.join(close)}?" if close else ", ".join(known),
            )
        if not given.strip():
            raise ConfigError(
                f"chat.keys gives {id.strip()!r} no key",
                field="chat.keys",
                hint=f"{id.strip()}=ctrl+x",
            )
        keys[id.strip()] = given.strip()
    return keys


def actions(bindings: Iterable[BindingType], keys: Mapping[str, str]) -> dict[str, str]:
    """The action of each key, as it is bound now."""
    return {
        key.strip(): binding.action
        for binding in Binding.make_bindings(bindings)
        for key in keys.get(str(binding.id), binding.key).split(",")
    }


def described(keys: Mapping[str, str]) -> list[tuple[str, str]]:
    """Each key as it is bound now, what it does, and the name by which it can be bound anew."""
    return [
        (
            keys.get(str(binding.id), binding.key).replace(",", "  "),
            f"{binding.description}  ({binding.id})",
        )
        for binding in ALL
    ]
