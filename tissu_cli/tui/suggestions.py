"""What may follow what was typed behind a slash."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from textual.content import Content
from textual.widgets import OptionList
from textual.widgets.option_list import Option

from tissu_cli.sessions.chat_settings import FIELDS, described
from tissu_cli.sessions.export import KINDS
from tissu_cli.sessions.slash import fuzzy_span, matching
from tissu_core.sanitize import sanitize_line

if TYPE_CHECKING:
    from tissu_cli.tui.chat_layout import ChatLayout

_SHOWN = 8


@dataclass(frozen=True, slots=True)
class Suggestion:
    """A text that may take the place of what was typed."""

    text: str
    label: str
    help: str
    is_whole: bool
    """Whether nothing need follow it."""


Names = Callable[[], Sequence[str]]


def suggestions(typed: str, names: dict[str, Names]) -> list[Suggestion]:
    """What a line may become, the best first; ``names`` are the arguments of commands."""
    if not typed.startswith("/") or "\n" in typed:
        return []
    word, space, rest = typed.partition(" ")
    if not space:
        found = matching(word)
        return [Suggestion(f"/{c.name}", c.usage, c.help, not c.arguments) for c in found[:_SHOWN]]
    command = word.removeprefix("/")
    if command == "set" and "=" not in rest:
        fields = [name for name in FIELDS if fuzzy_span(rest, name) is not None]
        ranked = sorted(fields, key=lambda name: not name.startswith(rest))
        return [Suggestion(f"/set {n}=", n, described(n), is_whole=False) for n in ranked[:_SHOWN]]
    known = names[command]() if command in names else ()
    if rest in known:
        return []
    fitting = [name for name in known if fuzzy_span(rest.lower(), name.lower()) is not None]
    ranked = sorted(fitting, key=lambda name: not name.startswith(rest))
    return [Suggestion(f"{word} {n}", n, "", is_whole=True) for n in ranked[:_SHOWN]]


def argument_names(screen: "ChatLayout") -> dict[str, Names]:
    """What may follow a command on the screen."""
    return {
        "model": lambda: screen.model_names,
        "compare": lambda: screen.model_names,
        "theme": lambda: sorted(screen.app.available_themes),
        "export": lambda: KINDS,
        "copy": lambda: ["code", "all"],
        "resume": lambda: [each.title for each in screen.talk.history.list(50)],
    }


class SuggestionList(OptionList, can_focus=False):
    """Suggestions over the end of the conversation; nothing moves when they come."""

    def __init__(self) -> None:
        super().__init__(id="suggestions", markup=False, compact=True)
        self._found: Sequence[Suggestion] = ()
        self._typed = ""

    def suggest(self, typed: str) -> None:
        """Offer what a line may become."""
        names = argument_names(cast("ChatLayout", self.screen))
        self.offer(suggestions(typed, names), typed)

    def offer(self, found: Sequence[Suggestion], typed: str = "") -> None:
        """Show these for what was typed, or nothing."""
        self._found, self._typed = found, typed
        self.display = bool(found)
        self.clear_options()
        width = max((len(each.label) for each in found), default=0)
        self.add_options([Option(_drawn(each, width)) for each in found])
        self.highlighted = 0 if found else None

    @property
    def is_open(self) -> bool:
        """Whether there is something to choose."""
        return bool(self._found)

    def chosen_for(self, typed: str) -> Suggestion | None:
        """The one that is highlighted, if this is the text that they were offered for."""
        is_shown = self.highlighted is not None and typed == self._typed
        return self._found[self.highlighted or 0] if is_shown else None

    def move(self, step: int) -> None:
        """Highlight another one."""
        self.highlighted = ((self.highlighted or 0) + step) % len(self._found)


def _drawn(each: Suggestion, width: int) -> Content:
    label = sanitize_line(each.label).ljust(width)
    return Content.assemble((label, "bold"), "  ", (sanitize_line(each.help), "dim"))
