"""A suite put to a model, item by item, and what that comes to."""

import hashlib
import math
import random
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from statistics import fmean

import numpy as np

from tissu_core.errors import InputError
from tissu_core.evals.paired import Numbers, intervals, intervals_to_first, resampled
from tissu_core.evals.sandbox.sandbox import require_walls, run_code
from tissu_core.evals.suites.metrics import (
    bleu,
    bleu_counts,
    check_answer,
    program,
    require_packages,
    rouge,
    standard_error,
    wilson,
)
from tissu_core.evals.suites.model import Asked, Subject
from tissu_core.evals.suites.suite import Item, Suite
from tissu_core.events.shared import Noticed, StageAdvanced
from tissu_core.events.suites import ItemScored, KindScored, SuiteEvent, SuiteScored

_Figures = tuple[float, float | None, float | None, float | None]


def require_suite(suite: Suite, *, is_code_allowed: bool = False) -> None:
    """Refuse a suite that could not be scored here, before a model is asked.

    Raises:
        InputError: If a package of its metric is not there.
        ConfigError: If its code cannot be contained, and is not allowed.
    """
    require_packages(suite.metric)
    if suite.metric == "code":
        require_walls(is_allowed=is_code_allowed)


def choose_items(suite: Suite, limit: int | None, seed: int) -> list[Item]:
    """All items, or ``limit`` of them by ``seed``, in their order."""
    items = list(suite.items)
    if limit is None or limit >= len(items):
        return items
    return [items[n] for n in sorted(random.Random(seed).sample(range(len(items)), limit))]


def ask_suite(
    suite: Suite,
    subject: Subject,
    *,
    model: str,
    is_chat: bool,
    limit: int | None = None,
    seed: int = 0,
    is_code_allowed: bool = False,
) -> Iterator[SuiteEvent]:
    """Progress, each item as it was answered, and last the score of all.

    Raises:
        InputError: If the model's context holds none of the items.
    """
    began, items = time.monotonic(), choose_items(suite, limit, seed)
    ask = subject.weigh if suite.metric == "choice" else subject.write
    found: dict[str, Asked] = {}
    for asked in ask(suite, items, is_chat=is_chat):
        found[asked.item.id] = asked
        yield _progress(suite.name, len(found), len(items))
    answered = [found[item.id] for item in items if found[item.id].is_answered]
    yield from _notices(suite, answered, len(items))
    if not answered:
        raise InputError(
            f"no item of {suite.name} fits what the model reads at once",
            hint="a model with a longer context",
        )
    scored: list[ItemScored] = []
    for asked in answered:
        scored.append(_score(suite, asked, is_code_allowed=is_code_allowed))
        if suite.metric == "code":
            yield _progress(f"running the code of {suite.name}", len(scored), len(answered))
    yield from scored
    yield _total(
        suite,
        answered,
        scored,
        SuiteScored(
            suite=suite.name,
            metric=suite.metric,
            model=model,
            value=0.0,
            standard_error=None,
            low=None,
            high=None,
            chance=fmean(1 / max(1, len(each.item.choices)) for each in answered)
            if suite.metric == "choice"
            else 0.0,
            num_items=len(scored),
            num_skipped=len(items) - len(answered),
            is_chat=is_chat,
            sha256=hashlib.sha256(Path(suite.path).read_bytes()).hexdigest(),
            seconds=time.monotonic() - began,
        ),
        seed,
    )


def _progress(stage: str, done: int, total: int) -> StageAdvanced:
    return StageAdvanced(stage=stage, done=done, total=total, unit="items")


def _notices(suite: Suite, answered: Sequence[Asked], total: int) -> Iterator[Noticed]:
    """What was left out to fit the model's context."""
    fewer = sum(each.shots < len(suite.shots) for each in answered)
    if fewer:
        text = f"{fewer} of {total} items have fewer examples before them, to fit the context"
        yield Noticed(level="warning", text=f"{suite.name}: {text}")
    if answered and len(answered) < total:
        text = f"{total - len(answered)} of {total} items do not fit the context and are left out"
        yield Noticed(level="warning", text=f"{suite.name}: {text}")


def _score(suite: Suite, asked: Asked, *, is_code_allowed: bool) -> ItemScored:
    item = asked.item
    scored = ItemScored(
        suite=suite.name,
        id=item.id,
        kind=item.kind,
        prompt=item.prompt,
        answer=item.answers[0] if item.answers else "",
        given=asked.reply or "",
        value=0.0,
    )
    if suite.metric == "choice":
        return _score_choice(asked, scored)
    assert asked.reply is not None
    if suite.metric == "code":
        outcome = run_code(program(item, asked.reply), item.tests, is_allowed=is_code_allowed)
        note = "" if outcome.is_passed else f"{outcome.reason}: {outcome.text}"
        return replace(scored, value=float(outcome.is_passed), note=note)
    return replace(scored, value=check_answer(suite.metric, item, asked.reply))


def _score_choice(asked: Asked, scored: ItemScored) -> ItemScored:
    """Right is what alone is likeliest: one that finds all alike has chosen none."""
    item = asked.item
    pairs = zip(asked.likelihoods, asked.sizes, strict=True)
    normalised = [nats / size for nats, size in pairs]
    chosen = _likeliest(normalised)
    given = "" if chosen is None else item.choices[chosen]
    return replace(
        scored,
        given=given,
        value=float(given in item.answers),
        choices=item.choices,
        likelihoods=asked.likelihoods,
        normalised=tuple(normalised),
    )


def _likeliest(values: Sequence[float]) -> int | None:
    best = max(values)
    is_alone = math.isfinite(best) and sum(value == best for value in values) == 1
    return values.index(best) if is_alone else None


def _total(
    suite: Suite,
    answered: Sequence[Asked],
    scored: Sequence[ItemScored],
    empty: SuiteScored,
    seed: int,
) -> SuiteScored:
    value, error, low, high = _figures_of(suite, answered, scored, seed)
    of_kinds = defaultdict(list)
    for number, each in enumerate(scored):
        if each.kind:
            of_kinds[each.kind].append(number)
    kinds = []
    for kind, numbers in sorted(of_kinds.items()):
        own = _figures_of(suite, [answered[n] for n in numbers], [scored[n] for n in numbers], seed)
        kinds.append(
            KindScored(kind=kind, num_items=len(numbers), value=own[0], low=own[2], high=own[3])
        )
    return replace(
        empty,
        value=value,
        standard_error=error,
        low=low,
        high=high,
        figures=tuple(_further(suite, answered, scored)),
        kinds=tuple(kinds),
    )


def _figures_of(
    suite: Suite, answered: Sequence[Asked], scored: Sequence[ItemScored], seed: int
) -> _Figures:
    """Value, standard error and interval."""
    values = [each.value for each in scored]
    if suite.metric == "bleu":
        replies = [each.reply or "" for each in answered]
        return _bleu_of(bleu_counts(replies, [each.item.answers for each in answered]), seed)
    if suite.metric == "rouge":
        none, found = np.zeros(len(values)), np.array(values)
        interval = intervals_to_first(np.ones(len(values)), [none, found], seed)[1]
        return fmean(values), standard_error(values), *interval
    return fmean(values), standard_error(values), *wilson(sum(values), len(values))


def _bleu_of(counts: Numbers, seed: int) -> _Figures:
    drawn = resampled(counts, bleu, seed)
    (interval,) = intervals(drawn[None])
    error = float(drawn.std(ddof=1)) if drawn.size else None
    return float(bleu(counts.sum(axis=1, keepdims=True))[0]), error, *interval


def _further(
    suite: Suite, answered: Sequence[Asked], scored: Sequence[ItemScored]
) -> Iterator[tuple[str, float]]:
    """What else is usual to tell of a metric."""
    if suite.metric == "choice":
        plain = [_likeliest(each.likelihoods) for each in scored]
        pairs = zip(plain, scored, strict=True)
        yield "unnormalised", fmean(n is not None and s.choices[n] == s.answer for n, s in pairs)
        right = [s.normalised[s.choices.index(s.answer)] for s in scored]
        yield "bits per byte of the answers", -fmean(right) / math.log(2)
    elif suite.metric == "rouge":
        found = [rouge(each.reply or "", each.item.answers) for each in answered]
        for name in ("rouge1", "rouge2", "rougeL"):
            yield name, fmean(each[name] for each in found)
    elif suite.metric == "bleu":
        yield "mean of single replies", fmean(each.value for each in scored)
