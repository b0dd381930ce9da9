"""A conversation in memory: a tree of turns, of which one path is shown.

Nothing is ever overwritten: an edited message and a reply that is asked for again are siblings of
what was there, and ``leaf`` says which path counts.
"""

import os
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from tissu_core.events.replies import GenerationFinished, TokenGenerated
    from tissu_core.runs.chat.model import Message

Role = Literal["user", "assistant"]
State = Literal["done", "writing", "stopped", "cut", "failed"]
"""``cut`` ended at its length or the context; ``writing`` in a file means that tissu was killed."""


def new_id() -> str:
    """An id that no other conversation or turn has."""
    return os.urandom(8).hex()  # as secrets has it, whose hashes take 4 ms to import


@dataclass(slots=True, kw_only=True)
class Turn:
    """What one side said once."""

    id: str = field(default_factory=new_id)
    parent: str | None
    """The turn that it follows."""
    role: Role
    text: str = ""
    state: State = "done"
    created: float = field(default_factory=time.time)
    """Unix time."""
    model: str = ""
    """Who wrote a reply."""
    rating: Literal[-1, 0, 1] = 0
    tokens: "list[TokenGenerated]" = field(default_factory=list)
    """Of a reply, as far as they are known; their texts joined are its text, but for its end."""
    settings: dict[str, Any] = field(default_factory=dict)
    """How a reply was decoded: the fields of ``DecodingConfig`` that are not their defaults."""
    end: "GenerationFinished | None" = None
    """How a reply ended."""

    @property
    def can_continue(self) -> bool:
        """Whether a reply ended before the model would have ended it."""
        return self.role == "assistant" and self.state in ("stopped", "cut", "failed")


@dataclass(slots=True, kw_only=True)
class Conversation:
    """Turns by id, and the settings that belong to this conversation."""

    id: str = field(default_factory=new_id)
    title: str = ""
    model: str = ""
    """MODEL as it was asked for; "" is the newest."""
    system: str = ""
    settings: dict[str, Any] = field(default_factory=dict)
    """Fields of ``DecodingConfig`` that a person set here."""
    draft: str = ""
    leaf: str | None = None
    """The last turn of the path that is shown; None is an empty conversation."""
    created: float = field(default_factory=time.time)
    updated: float = field(default_factory=time.time)
    turns: dict[str, Turn] = field(default_factory=dict)
    """In the order in which they were added."""

    def path(self, leaf: str | None = None) -> list[Turn]:
        """The turns from the first one to ``leaf``, or to the one that is shown."""
        return [*self._upwards(self.leaf if leaf is None else leaf)][::-1]

    def _upwards(self, id: str | None) -> Iterator[Turn]:
        while id is not None:
            turn = self.turns[id]
            yield turn
            id = turn.parent

    def siblings(self, turn: Turn) -> list[Turn]:
        """All turns in this one's place, itself included, the oldest first."""
        return [
            other
            for other in self.turns.values()
            if other.parent == turn.parent and other.role == turn.role
        ]

    def messages(self, leaf: str | None) -> "list[Message]":
        """What a model reads: the system prompt, and the turns up to ``leaf``; None is no turn."""
        # Templates come with the model, behind the first picture.
        from tissu_core.runs.chat.model import Message  # noqa: PLC0415

        opening = [Message(role="system", content=self.system)] if self.system else []
        turns = [] if leaf is None else self.path(leaf)
        return [*opening, *(Message(role=turn.role, content=turn.text) for turn in turns)]

    def add(self, turn: Turn) -> Turn:
        """Put a turn behind its parent, and show the path that ends with it."""
        self.turns[turn.id] = turn
        self.leaf = turn.id
        self.updated = turn.created
        if not self.title and turn.role == "user":
            self.title = _title_of(turn.text)
        return turn

    def remove(self, turn: Turn) -> bool:
        """Take a turn out, if there is another in its place and none behind it; whether it was."""
        others = [each for each in self.siblings(turn) if each is not turn]
        if not others or any(each.parent == turn.id for each in self.turns.values()):
            return False
        del self.turns[turn.id]
        if self.leaf == turn.id:
            self.show(others[-1])
        return True

    def copy(self, path: Sequence[Turn]) -> "Conversation":
        """Another conversation with the turns of a path, under ids of their own."""
        copied = Conversation(
            title=self.title, model=self.model, system=self.system, settings=dict(self.settings)
        )
        for turn in path:
            copied.add(replace(turn, id=new_id(), parent=copied.leaf, tokens=[*turn.tokens]))
        copied.updated = time.time()
        return copied

    def show(self, turn: Turn) -> None:
        """Show the path through a turn, on to the newest turn behind it."""
        leaf = turn
        while children := [other for other in self.turns.values() if other.parent == leaf.id]:
            leaf = children[-1]
        self.leaf = leaf.id


_TITLE_CHARACTERS = 60


def _title_of(text: str) -> str:
    line = " ".join(text.split()[:20])
    return line if len(line) <= _TITLE_CHARACTERS else line[: _TITLE_CHARACTERS - 1] + "…"
