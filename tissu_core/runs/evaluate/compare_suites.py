"""Suites put to several models, item by item against the first."""

from collections.abc import Generator, Mapping, Sequence
from statistics import fmean

import numpy as np

from tissu_core.config.machine import DeviceConfig
from tissu_core.config.suites import SuitesConfig
from tissu_core.errors import InputError
from tissu_core.events.compared import SuiteCompared, SuiteOfModel
from tissu_core.events.shared import Noticed, StageAdvanced
from tissu_core.events.suites import ItemScored, SuiteScored
from tissu_core.runs.evaluate.suites import measure_suites, open_suites


def require_suites(asked: SuitesConfig) -> None:
    """Refuse before a model is read what could not be scored here.

    Raises:
        TissuError: As ``open_suites``.
    """
    if asked.names:
        open_suites(asked.names, is_code_allowed=asked.is_code_allowed)


def compare_suites(
    asked: SuitesConfig, models: Sequence[str], machine: DeviceConfig, seed: int
) -> Generator[StageAdvanced | Noticed, None, tuple[SuiteCompared, ...]]:
    """Ask each model, one after the other.

    Raises:
        TissuError: As ``measure_suites``.
    """
    if not asked.names:
        return ()
    values: list[dict[str, dict[str, float]]] = []
    scores: dict[str, SuiteScored] = {}
    for model in models:
        values.append({})
        for event in measure_suites(
            asked.names,
            model,
            machine,
            is_chat=asked.is_chat,
            limit=asked.limit,
            seed=seed,
            is_code_allowed=asked.is_code_allowed,
        ):
            match event:
                case ItemScored():
                    values[-1].setdefault(event.suite, {})[event.id] = event.value
                case SuiteScored():
                    scores[event.suite] = event
                case _:
                    yield event
    return tuple(_held(scores[name], [own[name] for own in values], seed) for name in scores)


def _held(score: SuiteScored, values: Sequence[Mapping[str, float]], seed: int) -> SuiteCompared:
    """Of the items that every model's context holds."""
    from tissu_core.evals.paired import intervals_to_first

    shared = [id for id in values[0] if all(id in own for own in values)]
    if not shared:
        raise InputError(
            f"no item of {score.suite} fits the context of every model",
            hint="name models with longer contexts, or another suite",
        )
    columns = [np.array([own[id] for id in shared]) for own in values]
    means = [fmean(column.tolist()) for column in columns]
    intervals = intervals_to_first(np.ones(len(shared)), columns, seed)
    return SuiteCompared(
        suite=score.suite,
        metric=score.metric,
        sha256=score.sha256,
        num_items=len(shared),
        chance=score.chance,
        models=tuple(
            SuiteOfModel(
                value=mean,
                difference=mean - means[0],
                low=interval.low,
                high=interval.high,
                is_beyond_chance=interval.is_beyond_chance,
            )
            for mean, interval in zip(means, intervals, strict=True)
        ),
    )
