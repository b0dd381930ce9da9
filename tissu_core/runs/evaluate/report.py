"""The verb eval report: all that was asked for of a model, in one."""

import os
import platform
import shlex
from collections.abc import Generator, Iterator, Sequence
from dataclasses import asdict, replace
from datetime import UTC, datetime
from typing import get_args

import torch

from tissu_core import __version__
from tissu_core.checkpoint.leases import lease
from tissu_core.config.data import DataConfig
from tissu_core.config.machine import DeviceConfig
from tissu_core.config.report import ReportConfig
from tissu_core.errors import ConfigError, TissuError
from tissu_core.events.report import Finding, ReportEvent, ReportMade, SectionMade
from tissu_core.events.shared import FileSkipped, Noticed, StageAdvanced
from tissu_core.runs.catalog import find_model
from tissu_core.runs.enough_memory import enough_memory
from tissu_core.runs.evaluate.report_sections import Asked, Section, sections
from tissu_core.runs.loading import read_model_config
from tissu_core.runs.models.show import show_model
from tissu_core.runs.models.store import name_of
from tissu_core.runtime.device import default_threads, describe_device, resolve_device

Progress = StageAdvanced | Noticed | FileSkipped


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
        asked = Asked(model=str(path), reading=reading, machine=machine, config=config)
        made = []
        for section in sections(asked):
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
    for field, value, needs in (
        ("num_worst", config.num_worst, "--errors finds passages of --data"),
        ("num_documents", config.num_documents, "--documents are those of --data"),
        ("others", " ".join(config.others[:1]), "--compare reads --data"),
    ):
        if value and not config.data:
            option = needs.split()[0]
            raise ConfigError(
                f"{needs}, and none is named",
                field=field,
                hint=shlex.join([option, str(value)]) + " --data DATA",
            )
    if config.price_per_hour is not None and not config.is_timed:
        raise ConfigError(
            "--price-per-hour tells what --speed costs, and that is not asked for",
            field="price_per_hour",
            hint=f"--speed --price-per-hour {config.price_per_hour}",
        )
    if config.include is not None and not config.tasks:
        raise ConfigError(
            "--include holds what --tasks names, and none is named",
            field="include",
            hint=shlex.join(["--tasks", "NAME", "--include", config.include]),
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


def _measure(section: Section) -> Generator[Progress, None, SectionMade]:
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
        return replace(made, error=error.message, hint=error.hint or "", code=error.code)
    return replace(made, findings=tuple(findings))


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
