"""The sections of a report: each is a verb of eval, asked as its command would ask it."""

import shlex
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

from tissu_core.config.data import DataConfig
from tissu_core.config.harness import HarnessConfig
from tissu_core.config.machine import DeviceConfig
from tissu_core.config.report import ReportConfig
from tissu_core.config.speed import OperationsConfig, SpeedConfig
from tissu_core.config.suites import SuitesConfig
from tissu_core.runs.evaluate.adversarial import measure_adversarial
from tissu_core.runs.evaluate.compare import compare_models
from tissu_core.runs.evaluate.errors import find_worst
from tissu_core.runs.evaluate.harness import run_harness
from tissu_core.runs.evaluate.leaks import find_leaks
from tissu_core.runs.evaluate.operations import time_operations
from tissu_core.runs.evaluate.perplexity import measure_perplexity
from tissu_core.runs.evaluate.speed import measure_speed
from tissu_core.runs.evaluate.suites import measure_suites

_PASSAGE_TOKENS, _NGRAM = 64, 13


@dataclass(frozen=True, slots=True)
class Section:
    """One thing to measure."""

    title: str
    command: str
    """What measures the same by itself."""
    measure: Callable[[], Iterator[Any]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A model, and all that is to be measured of it."""

    model: str
    reading: DataConfig
    """How text is read."""
    machine: DeviceConfig
    config: ReportConfig

    @property
    def data(self) -> DataConfig:
        """The text that the model is measured on."""
        return replace(self.reading, corpus=self.config.data)

    @property
    def seed(self) -> str:
        """As an option."""
        return f"--seed={self.config.seed}"

    @property
    def limit(self) -> list[str]:
        """As an option, if there is one."""
        return [] if self.config.limit is None else [f"--limit={self.config.limit}"]


def sections(asked: Asked) -> Iterator[Section]:
    """What is asked for, in the order of the report."""
    config = asked.config
    if config.data:
        yield _perplexity(asked)
    if config.others:
        yield _comparison(asked)
    for suite in config.suites:
        yield _suite(asked, suite)
    if config.tasks:
        yield _harness(asked)
    if config.is_adversarial:
        yield _harder(asked)
    if config.num_worst:
        yield _worst(asked)
    if config.corpus:
        yield _leaks(asked)
    if config.is_timed:
        yield _speed(asked)
    if config.operations:
        yield _operations(asked)


def _perplexity(asked: Asked) -> Section:
    number = asked.config.num_documents
    options = [f"--documents={number}"] if number else []
    return Section(
        "Perplexity",
        _command("ppl", *asked.config.data, "-m", asked.model, *options),
        lambda: measure_perplexity(asked.data, asked.model, asked.machine, documents=number),
    )


def _comparison(asked: Asked) -> Section:
    config, models = asked.config, (asked.model, *asked.config.others)
    options = [f"--data={text}" for text in config.data]
    options += [*(f"--suite={suite}" for suite in config.suites), asked.seed, *asked.limit]
    return Section(
        "Comparison",
        _command("compare", *models, *options),
        lambda: compare_models(
            models,
            asked.data,
            asked.machine,
            seed=config.seed,
            suites=SuitesConfig(names=config.suites, limit=config.limit),
        ),
    )


def _suite(asked: Asked, suite: str) -> Section:
    config = asked.config
    return Section(
        f"Suite {suite}",
        _command("suite", suite, "-m", asked.model, asked.seed, *asked.limit),
        lambda: measure_suites(
            [suite], asked.model, asked.machine, limit=config.limit, seed=config.seed
        ),
    )


def _harness(asked: Asked) -> Section:
    config = asked.config
    include = [] if config.include is None else [f"--include={config.include}"]
    tasks = [f"--tasks={task}" for task in config.tasks]
    return Section(
        "Harness",
        _command("harness", "-m", asked.model, *tasks, *include, asked.seed, *asked.limit),
        lambda: run_harness(
            asked.model,
            config.tasks,
            asked.machine,
            HarnessConfig(include=config.include, limit=config.limit, seed=config.seed),
        ),
    )


def _harder(asked: Asked) -> Section:
    return Section(
        "Harder forms",
        _command("adversarial", "-m", asked.model, asked.seed),
        lambda: measure_adversarial((), asked.model, asked.machine, seed=asked.config.seed),
    )


def _worst(asked: Asked) -> Section:
    top = asked.config.num_worst
    return Section(
        "Worst passages",
        _command("errors", *asked.config.data, "-m", asked.model, f"--top={top}"),
        lambda: find_worst(
            asked.data, asked.model, asked.machine, top=top, passage_tokens=_PASSAGE_TOKENS
        ),
    )


def _leaks(asked: Asked) -> Section:
    config = asked.config
    names = (*config.suites, *config.data)
    corpus = [f"--corpus={each}" for each in config.corpus]
    return Section(
        "Leaks",
        _command("leaks", *names, "-m", asked.model, *corpus),
        lambda: find_leaks(
            names,
            asked.model,
            data=asked.reading,
            corpus=replace(asked.reading, corpus=config.corpus),
            machine=asked.machine,
            ngram=_NGRAM,
            is_scored=True,
        ),
    )


def _speed(asked: Asked) -> Section:
    price = asked.config.price_per_hour
    options = [] if price is None else [f"--price-per-hour={price}"]
    return Section(
        "Speed",
        _command("speed", asked.model, *options),
        lambda: measure_speed(asked.model, asked.machine, SpeedConfig(price_per_hour=price)),
    )


def _operations(asked: Asked) -> Section:
    config = asked.config
    options = [f"--ops={name}" for name in config.operations]
    options += [f"--data={text}" for text in config.data]
    return Section(
        "Operations",
        _command("speed", asked.model, *options),
        lambda: time_operations(
            asked.model, asked.machine, OperationsConfig(names=config.operations), asked.data
        ),
    )


def _command(*words: str) -> str:
    return shlex.join(["tissu", "eval", *words])
