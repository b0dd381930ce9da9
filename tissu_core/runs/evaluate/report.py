"""The verb eval report: all that was asked for of a model, in one."""

import os
import platform
import shlex
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from typing import Any, get_args

import torch

from tissu_core import __version__
from tissu_core.checkpoint.leases import lease
from tissu_core.config.data import DataConfig
from tissu_core.config.machine import DeviceConfig
from tissu_core.config.report import ReportConfig
from tissu_core.config.speed import SpeedConfig
from tissu_core.errors import ConfigError, TissuError
from tissu_core.events.report import Finding, ReportEvent, ReportMade, SectionMade
from tissu_core.events.shared import FileSkipped, Noticed, StageAdvanced
from tissu_core.runs.catalog import find_model
from tissu_core.runs.enough_memory import enough_memory
from tissu_core.runs.evaluate.adversarial import measure_adversarial
from tissu_core.runs.evaluate.errors import find_worst
from tissu_core.runs.evaluate.leaks import find_leaks
from tissu_core.runs.evaluate.perplexity import measure_perplexity
from tissu_core.runs.evaluate.speed import measure_speed
from tissu_core.runs.evaluate.suites import measure_suites
from tissu_core.runs.loading import read_model_config
from tissu_core.runs.models.show import show_model
from tissu_core.runs.models.store import name_of
from tissu_core.runtime.device import default_threads, describe_device, resolve_device

_PASSAGE_TOKENS, _NGRAM = 64, 13
Progress = StageAdvanced | Noticed | FileSkipped


@dataclass(frozen=True, slots=True)
class _Section:
    title: str
    command: str
    measure: Callable[[], Iterator[Any]]


def make_report(
    model: str | None, reading: DataConfig, machine: DeviceConfig, config: ReportConfig
) -> Iterator[ReportEvent]:
    """Measure each thing that ``config`` asks for; the last event is the report.

    What cannot be measured is a section that says why; the others are made all the same. Text is
    read as ``reading`` says.

    Raises:
        InputError: If there is no such model.
        ConfigError: If nothing is asked for, or what is asked for lacks its text.
    """
    _require(config)
    path = find_model(model)
    with lease(path):  # a run that goes on has another best or last one meanwhile
        facts, shape = show_model(str(path)), read_model_config(path)
        made = []
        for section in _sections(str(path), reading, machine, config):
            made.append((yield from _measure(section)))
    yield ReportMade(
        model=model or name_of(path),
        path=str(path),
        architecture=facts.architecture,
        num_parameters=facts.num_parameters,
        num_bytes=facts.num_bytes,
        weights=tuple(facts.bytes_by_dtype.items()),
        context_tokens=facts.context_tokens,
        settings=tuple((name, str(value)) for name, value in asdict(shape).items()),
        seed=config.seed,
        machine=tuple(_machine(machine)),
        made=datetime.now(UTC).isoformat(timespec="seconds"),
        sections=tuple(made),
    )


def _require(config: ReportConfig) -> None:
    """Refuse what would measure nothing.

    Raises:
        ConfigError: If nothing is asked for, or what is asked for lacks its text.
    """
    if config.num_worst and not config.data:
        raise ConfigError(
            "--errors finds passages of --data, and none is named",
            field="num_worst",
            hint=f"--errors {config.num_worst} --data DATA",
        )
    if config.corpus and not (config.suites or config.data):
        raise ConfigError(
            "--leaks looks for --suite and --data in a corpus, and neither is named",
            field="corpus",
            hint=shlex.join(["--leaks", config.corpus[0]]) + " --data DATA",
        )
    if config == ReportConfig(limit=config.limit, seed=config.seed):
        raise ConfigError(
            "nothing is asked for",
            field="data",
            hint="tissu eval report -o report.md --data DATA --suite cloze --speed",
        )


def _measure(section: _Section) -> Generator[Progress, None, SectionMade]:
    findings: list[Finding] = []
    made = SectionMade(title=section.title, command=section.command)
    try:
        with enough_memory("to measure it", hint="a smaller model, or a machine with more"):
            for event in section.measure():
                if isinstance(event, get_args(Finding)):
                    findings.append(event)
                elif isinstance(event, Progress):
                    yield event
    except TissuError as error:
        return replace(made, error=error.message, hint=error.hint or "")
    return replace(made, findings=tuple(findings))


def _sections(
    model: str, reading: DataConfig, machine: DeviceConfig, config: ReportConfig
) -> Iterator[_Section]:
    """What is asked for, in the order of the report."""
    data, own, seed = replace(reading, corpus=config.data), ["-m", model], f"--seed={config.seed}"
    if config.data:
        yield _Section(
            "Perplexity",
            _command("ppl", *config.data, *own),
            lambda: measure_perplexity(data, model, machine),
        )
    for suite in config.suites:
        limit = [f"--limit={config.limit}"] if config.limit else []
        yield _Section(
            f"Suite {suite}",
            _command("suite", suite, *own, seed, *limit),
            lambda suite=suite: measure_suites(  # type: ignore[misc]
                [suite], model, machine, limit=config.limit, seed=config.seed
            ),
        )
    if config.is_adversarial:
        yield _Section(
            "Harder forms",
            _command("adversarial", *own, seed),
            lambda: measure_adversarial((), model, machine, seed=config.seed),
        )
    if config.num_worst:
        yield _Section(
            "Worst passages",
            _command("errors", *config.data, *own, f"--top={config.num_worst}"),
            lambda: find_worst(
                data, model, machine, top=config.num_worst, passage_tokens=_PASSAGE_TOKENS
            ),
        )
    if config.corpus:
        names = (*config.suites, *config.data)
        yield _Section(
            "Leaks",
            _command("leaks", *names, *own, *(f"--corpus={each}" for each in config.corpus)),
            lambda: find_leaks(
                names,
                model,
                data=reading,
                corpus=replace(reading, corpus=config.corpus),
                machine=machine,
                ngram=_NGRAM,
                is_scored=True,
            ),
        )
    if config.is_timed:
        yield _Section(
            "Speed",
            _command("speed", model),
            lambda: measure_speed(model, machine, SpeedConfig()),
        )


def _command(*words: str) -> str:
    return shlex.join(["tissu", "eval", *words])


def _machine(machine: DeviceConfig) -> Sequence[tuple[str, str]]:
    device = resolve_device(machine.device)
    return [
        ("device", describe_device(device)),
        ("processor", platform.processor() or platform.machine()),
        ("cores", str(os.cpu_count())),
        ("threads", str(machine.threads or default_threads())),
        ("system", platform.platform()),
        ("python", platform.python_version()),
        ("torch", torch.__version__),
        ("tissu", __version__),
    ]
