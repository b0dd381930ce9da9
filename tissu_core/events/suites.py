"""What is found by asking a model the items of a suite."""

from dataclasses import dataclass
from typing import TypeAlias

from tissu_core.events.shared import Noticed, StageAdvanced


@dataclass(frozen=True, slots=True, kw_only=True)
class SuiteListed:
    """A suite that can be asked by name; ``problem`` says what is wrong with its file."""

    name: str
    about: str
    metric: str
    num_items: int
    path: str
    is_bundled: bool
    problem: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ItemScored:
    """One item was asked. ``value`` is in [0, 1]: 1 is right.

    ``likelihoods`` are of the ``choices`` behind the prompt, in nats, without the tokens that all
    choices begin with; ``normalised`` are these divided by the UTF-8 bytes of the tokens that are
    left. The likeliest of ``normalised`` is the model's answer.
    """

    suite: str
    id: str
    kind: str
    prompt: str
    answer: str
    """The first that is right."""
    given: str
    """The model's own."""
    value: float
    note: str = ""
    """Of code: how it ended."""
    choices: tuple[str, ...] = ()
    likelihoods: tuple[float, ...] = ()
    normalised: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class KindScored:
    """The items of one kind; ``low`` to ``high`` is the 95 % interval, None of too few items."""

    kind: str
    num_items: int
    value: float
    low: float | None
    high: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class SuiteScored:
    """A suite was asked. ``value``, ``low`` and ``high`` (95 %) and ``chance`` are in [0, 1].

    Of "choice", "exact", "contains" and "code" the value is the share that is right and the
    interval Wilson's (1927); of "rouge" it is the mean ROUGE-L and of "bleu" the BLEU of all
    replies over 100, with an interval of resampled items (Efron 1979), None where they are too few.
    """

    suite: str
    metric: str
    model: str
    value: float
    standard_error: float | None
    low: float | None
    high: float | None
    chance: float
    """What guessing comes to; 0 where nothing is to choose from."""
    num_items: int
    num_skipped: int
    """Items that the model's context does not hold."""
    is_chat: bool
    """Whether they went through the model's chat template."""
    sha256: str
    """Of the suite's file: scores of other files are of other questions."""
    figures: tuple[tuple[str, float], ...] = ()
    """Further ones, by name: "unnormalised", "rouge1"."""
    kinds: tuple[KindScored, ...] = ()
    seconds: float = 0.0
    step: int | None = None
    """Of the run that asked; None of a model that does not learn."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HardKindScored:
    """Harder forms of one kind beside the plain items they are forms of, in [0, 1].

    ``gap`` is the plain items' mean over that of the forms, ``low`` to ``high`` its 95 % interval
    over resampled pairs, None where they are too few.
    """

    kind: str
    num_pairs: int
    plain: float
    hard: float
    gap: float
    low: float | None
    high: float | None
    is_beyond_chance: bool
    num_broken: int
    """Pairs of which the plain item alone is right."""
    num_mended: int
    """Pairs of which the form alone is right."""
    example: ItemScored | None
    """A form that was answered worse."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HardScored:
    """A model was asked items and harder forms of them."""

    suite: str
    model: str
    num_items: int
    num_forms: int
    kinds: tuple[HardKindScored, ...]


SuiteEvent: TypeAlias = ItemScored | SuiteScored | StageAdvanced | Noticed
HardEvent: TypeAlias = HardScored | StageAdvanced | Noticed
