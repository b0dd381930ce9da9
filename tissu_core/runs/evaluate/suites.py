"""The verb eval suite: a model asked the items of suites."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from tissu_core.config.machine import DeviceConfig
from tissu_core.errors import ConfigError, TissuError
from tissu_core.events.shared import Noticed, StageAdvanced
from tissu_core.events.suites import SuiteEvent, SuiteListed
from tissu_core.runs.catalog import find_model
from tissu_core.runs.home import suites_directory

if TYPE_CHECKING:
    from tissu_core.evals.suites.suite import Suite


def list_suites() -> list[SuiteListed]:
    """Every suite that a name can mean; one whose file is wrong says so."""
    from tissu_core.evals.suites.files import BUNDLED, read_suite, suite_paths

    found = []
    for name, path in suite_paths(suites_directory()).items():
        listed = SuiteListed(
            name=name,
            about="",
            metric="",
            num_items=0,
            path=str(path),
            is_bundled=path.parent == BUNDLED,
        )
        try:
            suite = read_suite(path)
        except TissuError as error:
            found.append(replace(listed, problem=error.message))
            continue
        about, number = suite.about, len(suite.items)
        found.append(replace(listed, about=about, metric=suite.metric, num_items=number))
    return found


def open_suites(names: Sequence[str], *, is_code_allowed: bool = False) -> "list[Suite]":
    """Suites by name or file, each once, which this machine can score.

    Raises:
        TissuError: If one is not there, is wrong, lacks its package or cannot be contained.
        ConfigError: If two files have one name, under which their scores would be one.
    """
    if not names:
        return []
    from tissu_core.evals.suites.files import load_suite
    from tissu_core.evals.suites.scoring import require_suite

    found: dict[str, Suite] = {}
    for name in dict.fromkeys(names):
        suite = load_suite(name, suites_directory())
        other = found.setdefault(suite.name, suite)
        if Path(other.path).resolve() != Path(suite.path).resolve():
            raise ConfigError(
                f"{other.path} and {suite.path} are both called {suite.name}",
                field="suites",
                hint='name = "..." in one of them',
            )
    for suite in found.values():
        require_suite(suite, is_code_allowed=is_code_allowed)
    return [*found.values()]


def settle_suites(names: Sequence[str]) -> tuple[str, ...]:
    """These names, files by their whole path, once all of them can be asked and scored here.

    Raises:
        TissuError: As ``open_suites``.
    """
    if not names:
        return ()
    from tissu_core.evals.suites.files import suite_paths

    open_suites(names)
    known = suite_paths(suites_directory())
    whole = (name if name in known else Path(name).expanduser().resolve() for name in names)
    return tuple(dict.fromkeys(map(str, whole)))


def measure_suites(
    names: Sequence[str],
    model: str | None,
    machine: DeviceConfig,
    *,
    is_chat: bool | None = None,
    limit: int | None = None,
    seed: int = 0,
    batch_size: int = 8,
    is_code_allowed: bool = False,
) -> Iterator[SuiteEvent]:
    """Ask a model all items, or ``limit`` of each suite, and score each suite.

    ``is_chat`` puts them through the model's chat template; None does so where something is to be
    written and there is one.

    Raises:
        TissuError: As ``open_suites``; or if the model cannot be read, or has no template.
    """
    find_model(model)
    yield StageAdvanced(stage="reading suites", done=0, total=0, unit="")
    suites = open_suites(names, is_code_allowed=is_code_allowed)
    yield from ask_suites(
        suites,
        model,
        machine,
        is_chat=is_chat,
        limit=limit,
        seed=seed,
        batch_size=batch_size,
        is_code_allowed=is_code_allowed,
    )


def ask_suites(
    suites: "Sequence[Suite]",
    model: str | None,
    machine: DeviceConfig,
    *,
    is_chat: bool | None = None,
    limit: int | None = None,
    seed: int = 0,
    batch_size: int = 8,
    is_code_allowed: bool = False,
) -> Iterator[SuiteEvent]:
    """``measure_suites`` of suites that are open.

    Raises:
        TissuError: If the model cannot be read, or has no template.
    """
    from tissu_core.compress.finite import require_finite
    from tissu_core.evals.suites.model import ModelSubject
    from tissu_core.evals.suites.scoring import ask_suite
    from tissu_core.runs.loading import load_to_decode

    # Choices are weighed in the same form: of packed weights the plain one reads as slowly as it
    # unpacks them, minutes for what is seconds so.
    loaded = load_to_decode(model, machine)
    require_finite(loaded.model, "spoils all that it answers")
    yield from loaded.notices
    has_template = loaded.tokenizer.chat_template is not None
    if is_chat and not has_template:
        raise ConfigError(
            "--chat needs a chat template, and this model has none", field="chat", hint="--no-chat"
        )
    if is_chat is None:
        yield from _say_how(suites, has_template=has_template)
    subject = ModelSubject(
        model=loaded.model,
        tokenizer=loaded.tokenizer,
        end_ids=loaded.end_ids,
        batch_size=batch_size,
    )
    for suite in suites:
        yield from ask_suite(
            suite,
            subject,
            model=str(loaded.path),
            is_chat=(has_template and suite.metric != "choice") if is_chat is None else is_chat,
            limit=limit,
            seed=seed,
            is_code_allowed=is_code_allowed,
        )


def _say_how(suites: "Sequence[Suite]", *, has_template: bool) -> Iterator[Noticed]:
    """What was chosen for a person who did not."""
    names = ", ".join(suite.name for suite in suites if suite.metric != "choice")
    if names and has_template:
        text = f"{names}: asked through the model's chat template; --no-chat asks as plain text"
        yield Noticed(level="info", text=text)
    elif names:
        text = f"{names}: asked as plain text, for the model has no chat template"
        yield Noticed(level="info", text=text)
