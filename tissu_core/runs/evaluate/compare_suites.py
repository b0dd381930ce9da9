"""Suites put to several models, item by item against the first."""

from collections.abc import Generator, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from tissu_core.config.machine import DeviceConfig
from tissu_core.config.suites import SuitesConfig
from tissu_core.errors import InputError
from tissu_core.events.compared import SuiteCompared, SuiteOfModel
from tissu_core.events.shared import Noticed, StageAdvanced
from tissu_core.events.suites import ItemScored, SuiteScored
from tissu_core.runs.evaluate.suites import ask_suites

if TYPE_CHECKING:
    from tissu_core.evals.paired import Numbers
    from tissu_core.evals.suites.suite import Suite

Answers = Mapping[str, ItemScored]
"""What one model answered to a suite, by the id of the item."""


def compare_suites(
    suites: "Sequence[Suite]",
    asked: SuitesConfig,
    models: Sequence[str],
    machine: DeviceConfig,
    seed: int,
) -> Generator[StageAdvanced | Noticed, None, tuple[SuiteCompared, ...]]:
    """Ask each model, one after the other.

    Raises:
        TissuError: As ``ask_suites``.
    """
    answers: dict[str, list[dict[str, ItemScored]]] = {
        suite.name: [{} for _ in models] for suite in suites
    }
    scores: dict[str, SuiteScored] = {}
    for number, model in enumerate(models):
        for event in ask_suites(
            suites,
            model,
            machine,
            is_chat=asked.is_chat,
            limit=asked.limit,
            seed=seed,
            is_code_allowed=asked.is_code_allowed,
        ):
            match event:
                case ItemScored():
                    answers[event.suite][number][event.id] = event
                case SuiteScored():
                    scores[event.suite] = event
                case _:
                    yield event
    return tuple(_held(suite, scores[suite.name], answers[suite.name], seed) for suite in suites)


def _held(
    suite: "Suite", score: SuiteScored, answers: Sequence[Answers], seed: int
) -> SuiteCompared:
    """Of the items that every model's context holds."""
    from tissu_core.evals.paired import differences_to_first, ratio
    from tissu_core.evals.suites.metrics import bleu

    shared = [id for id in answers[0] if all(id in own for own in answers)]
    if not shared:
        raise InputError(
            f"no item of {suite.name} fits the context of every model",
            hint="name models with longer contexts, or another suite",
        )
    tables = [_figures(suite, [own[id] for id in shared]) for own in answers]
    total = bleu if suite.metric == "bleu" else ratio
    values = [float(total(table.sum(axis=1, keepdims=True))[0]) for table in tables]
    intervals = differences_to_first(tables, total, seed)
    return SuiteCompared(
        suite=suite.name,
        metric=suite.metric,
        sha256=score.sha256,
        num_items=len(shared),
        chance=score.chance,
        models=tuple(
            SuiteOfModel(
                value=value,
                difference=value - values[0],
                low=interval.low,
                high=interval.high,
                is_beyond_chance=interval.is_beyond_chance,
            )
            for value, interval in zip(values, intervals, strict=True)
        ),
    )


def _figures(suite: "Suite", answered: Sequence[ItemScored]) -> "Numbers":
    """What is summed over items to score a suite; shape (R, U)."""
    if suite.metric != "bleu":
        return np.array([[1.0, each.value] for each in answered]).T
    from tissu_core.evals.suites.metrics import bleu_counts

    references = {item.id: item.answers for item in suite.items}
    return bleu_counts([each.given for each in answered], [references[a.id] for a in answered])
