"""Harder forms of a suite's items, and what they cost. Imports no torch."""

import random
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

import numpy as np

from tissu_core.evals.paired import intervals_to_first
from tissu_core.evals.suites.suite import Item, Suite
from tissu_core.events.suites import HardKindScored, ItemScored

TYPOS, DISTRACTOR = "typos", "distractor"
GENERATED = (TYPOS, DISTRACTOR)
"""The kinds of harder forms that are made of any item; others are written in a suite's file."""
_OFTEN = 0.3
"""The share of longer words that get a typing error."""
_WORD = re.compile(r"[^\W\d_]{4,}")
_BESIDE = (
    'Somebody has written "{}" on the wall.',
    'The last word of the letter was "{}".',
    'A child at the window says "{}" again and again.',
    'On the radio they talk about "{}".',
)
_UNRELATED = ("seven swans", "a red umbrella", "the number 1000", "an old song")


def harden(suite: Suite, kinds: Sequence[str], seed: int) -> Suite:
    """The suite with its plain items and their harder forms of these kinds, or of all.

    Forms that its file lacks are made where ``GENERATED`` has them; the same for the same seed.
    Items that are no form and have none are left out.
    """
    plain = [item for item in suite.items if not item.of]
    forms = [item for item in suite.items if item.of and (not kinds or item.kind in kinds)]
    for kind in GENERATED:
        if (not kinds or kind in kinds) and suite.metric != "code":
            forms += (_form(item, kind, seed) for item in plain)
    wanted = {form.of for form in forms}
    kept = [replace(item, kind="") for item in plain if item.id in wanted]
    return replace(suite, items=(*kept, *forms))


def _form(item: Item, kind: str, seed: int) -> Item:
    drawn = random.Random(f"{seed} {kind} {item.id}")
    make = misspell if kind == TYPOS else distract
    prompt = make(item, drawn)
    return replace(item, id=f"{item.id}+{kind}", kind=kind, of=item.id, prompt=prompt)


def misspell(item: Item, drawn: random.Random) -> str:
    """The prompt with a typing error in about a third of its longer words, in one at the least."""
    words = [match.span() for match in _WORD.finditer(item.prompt)]
    chosen = [span for span in words if drawn.random() < _OFTEN]
    if words and not chosen:
        chosen = [drawn.choice(words)]
    text = item.prompt
    for begin, end in reversed(chosen):
        text = text[:begin] + _mistype(text[begin:end], drawn) + text[end:]
    return text


def _mistype(word: str, drawn: random.Random) -> str:
    """Two letters change places, one is missing, or one comes twice; the first stays."""
    at = drawn.randrange(1, len(word) - 1)
    match drawn.randrange(3):
        case 0:
            return word[:at] + word[at + 1] + word[at] + word[at + 2 :]
        case 1:
            return word[:at] + word[at + 1 :]
        case _:
            return word[:at] + word[at] + word[at:]


def distract(item: Item, drawn: random.Random) -> str:
    """The prompt behind a sentence that says a wrong choice and has nothing to do with it."""
    wrong = [choice for choice in item.choices if choice not in item.answers] or _UNRELATED
    return drawn.choice(_BESIDE).format(drawn.choice(wrong).strip(" .")) + " " + item.prompt


def compare_forms(
    suite: Suite, scored: Mapping[str, ItemScored], seed: int
) -> Iterator[HardKindScored]:
    """What each kind costs: harder forms beside the plain items that they are forms of.

    An item that was not answered is left out, with its forms.
    """
    pairs: dict[str, list[tuple[ItemScored, ItemScored]]] = defaultdict(list)
    for item in suite.items:
        if item.of and item.id in scored and item.of in scored:
            pairs[item.kind].append((scored[item.of], scored[item.id]))
    for kind, both in pairs.items():
        plain, hard = (np.array([each.value for each in half]) for half in zip(*both, strict=True))
        interval = intervals_to_first(np.ones(len(both)), [hard, plain], seed)[1]
        broken = [harder for easier, harder in both if easier.value > harder.value]
        yield HardKindScored(
            kind=kind,
            num_pairs=len(both),
            plain=float(plain.mean()),
            hard=float(hard.mean()),
            gap=float((plain - hard).mean()),
            low=interval.low,
            high=interval.high,
            is_beyond_chance=interval.is_beyond_chance,
            num_broken=len(broken),
            num_mended=int((plain < hard).sum()),
            example=broken[0] if broken else None,
        )
