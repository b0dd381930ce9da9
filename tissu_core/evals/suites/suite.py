"""What an evaluation suite is: items, and the metric that scores them. Imports no torch."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias, get_args

Metric: TypeAlias = Literal["choice", "exact", "contains", "code", "bleu", "rouge"]
METRICS: Sequence[Metric] = get_args(Metric)
GAP = "___"
"""In the prompt of a choice: where the choices go, if not behind it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """One question of a suite."""

    id: str
    prompt: str
    answers: tuple[str, ...]
    """Any of them is right; of "code" one that passes its tests, if it is given."""
    choices: tuple[str, ...] = ()
    """One of which is the answer; for "choice" alone."""
    tests: str = ""
    """Python that fails where the answer is wrong; for "code" alone."""
    kind: str = ""
    """A class of items that is scored apart; "" is none."""
    of: str = ""
    """The id of the item that this is a harder form of; "" is none."""
    line: int = 0
    """Where it begins in its file."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shot:
    """An example before every item."""

    prompt: str
    answer: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Suite:
    """Items that are scored by one metric."""

    name: str
    about: str
    path: str
    metric: Metric
    instruction: str
    max_tokens: int
    """Of a reply."""
    stop: tuple[str, ...]
    """Texts that end a reply."""
    shots: tuple[Shot, ...]
    items: tuple[Item, ...]
