"""Command-line options made from the configuration's fields, so that each is written once."""

import functools
import inspect
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import Field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar, get_origin

import typer

from tissu_core.config.fields import Setting, Settings, default_of, describe, iter_settings
from tissu_core.config.layers import (
    Entry,
    Layer,
    assignments_layer,
    build,
    environment_layer,
    file_layer,
    find_project_file,
    is_there,
    layer_from,
    only_known_to,
    stack,
    to_settings,
)
from tissu_core.config.load import cast_value
from tissu_core.runs.home import user_config_file, user_home
from tissu_core.sanitize import sanitize_line

if TYPE_CHECKING:
    from tissu_core.config.runs import MeasureRun

Config = TypeVar("Config")
Given = dict[str, Any]
"""Settings that were typed: dotted path to text, list of texts, or a boolean."""

Model = Annotated[
    str | None,
    typer.Argument(
        metavar="MODEL",
        help="A directory, a run, RUN:STEP, a name in the store or of `tissu models scan`; the "
        "newest if left out.",
        show_default=False,
    ),
]
OneLayer = Annotated[
    int | None,
    typer.Option("--layer", metavar="N", help="This block alone, from 0.", show_default=False),
]
ModelOption = Annotated[
    str | None,
    typer.Option("-m", "--model", help="A directory, a run, a stored name; else the newest."),
]
NewModel = Annotated[
    str,
    typer.Option(
        "-o",
        "--out",
        metavar="NAME|DIR",
        help="A name among the stored models, or a directory such as ./small; made from MODEL's "
        "name if left out.",
        show_default=False,
    ),
]
ConfigFile = Annotated[
    Path | None, typer.Option("--config", metavar="FILE", help="Settings from a TOML file.")
]
Assignments = Annotated[
    list[str] | None, typer.Option("--set", metavar="A.B=C", help="One setting by its name.")
]
Corpus = Annotated[
    list[str] | None,
    typer.Option(
        "--corpus",
        metavar="DIR",
        help="Look in these files and folders instead. May be repeated.",
        show_default=False,
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]


def with_settings(*kinds: tuple[str, type]) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Give a command the options of configuration classes.

    Each kind is (prefix, class). The command's parameter ``given`` receives what was typed.
    """
    options = {
        _parameter_name(prefix + path): (prefix + path, spec, hint)
        for prefix, kind in kinds
        for path, spec, hint in iter_settings(kind)
        if describe(spec).flag
    }

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        @functools.wraps(command)
        def call(**values: Any) -> None:
            typed = {path: values.pop(name) for name, (path, _, _) in options.items()}
            given = {path: value for path, value in typed.items() if value not in (None, [])}
            command(given=given, **values)

        own = [p for p in inspect.signature(command).parameters.values() if p.name != "given"]
        made = [_make_option(name, spec, hint) for name, (_, spec, hint) in options.items()]
        call.__signature__ = inspect.Signature([*own, *made])  # type: ignore[attr-defined]
        call.__annotations__ = {p.name: p.annotation for p in [*own, *made]} | {"return": None}
        return call

    return decorate


def _parameter_name(path: str) -> str:
    return "set_" + path.replace(".", "_")


def _make_option(name: str, spec: "Field[Any]", hint: Any) -> inspect.Parameter:
    facts = describe(spec)
    details: dict[str, Any] = {"help": _help(facts, spec), "rich_help_panel": facts.panel or None}
    kind: Any = str | None
    flag = facts.flag
    if hint is bool:  # left out is None, so that --no-x overrides what a file says
        kind, flag = bool | None, f"{flag}/--no-{flag.removeprefix('--')}"
    else:
        kind = list[str] | None if get_origin(hint) is tuple else kind
        details["metavar"] = facts.metavar or "|".join(facts.choices) or _metavar(hint)
    return inspect.Parameter(
        name,
        inspect.Parameter.KEYWORD_ONLY,
        default=None,
        annotation=Annotated[kind, typer.Option(flag, show_default=False, **details)],
    )


def _help(facts: Setting, spec: "Field[Any]") -> str:
    text = facts.help[0].upper() + facts.help[1:]
    if facts.unit and facts.unit not in text:
        text += f" ({facts.unit})"
    default = default_of(spec)
    is_plain = isinstance(default, str | int | float) and not isinstance(default, bool)
    return f"{text}. Default: {default}" if is_plain and default != "" else f"{text}."


def _metavar(hint: Any) -> str:
    return {int: "N", float: "X"}.get(hint, "TEXT")


def resolve_settings(
    kind: type[Config],
    given: Given,
    *,
    config_file: Path | None = None,
    assignments: list[str] | None = None,
    base: Mapping[str, Any] | None = None,
    stored: Config | None = None,
    is_told: bool = True,
) -> Config:
    """A configuration from, in rising precedence: ``base``, files and environment, ``--config``,
    ``--set``, options. Names on stderr the files and variables that took part, if ``is_told``.

    With ``stored``, the settings of a run, only what was typed comes before them.

    Raises:
        ConfigError: Naming the setting that is unknown, of the wrong type or out of range.
    """  # noqa: D205
    typed = {
        path: Entry(value=cast_value(flag, given[path], hint), origin=flag or "argument")
        for path, flag, hint in ((p, describe(spec).flag, h) for p, spec, h in iter_settings(kind))
        if path in given
    }
    ambient = ambient_layers() if issubclass(kind, Settings) and stored is None else []
    if stored is not None:
        base = to_settings(stored)
    shared = [layer_from(base or {}, "preset"), *ambient, *config_layer(config_file)]
    own = [only_known_to(kind, layer) for layer in shared]
    settings = stack([*own, assignments_layer(assignments or []), typed])
    if is_told:
        _name_origins(settings, ambient)
    return build(kind, settings)


def measure_settings(texts: Sequence[str], given: Given) -> "MeasureRun":
    """The text that a command reads, how, and where it computes.

    Of a project's settings of its data only those of reading count: the rest is of its corpus.
    """
    from tissu_core.config.data import DataConfig  # noqa: PLC0415
    from tissu_core.config.runs import MeasureRun  # noqa: PLC0415

    run = resolve_settings(MeasureRun, given)
    return replace(run, data=DataConfig(corpus=tuple(texts), reading=run.data.reading))


def ambient_layers() -> list[Layer]:
    """The settings of this place: the user's file, the project's file, the environment."""
    return [*(file_layer(path) for path in ambient_files()), environment_layer()]


def config_layer(path: Path | None) -> list[Layer]:
    """The settings of ``--config``, if it was given."""
    return [file_layer(path)] if path is not None else []


def ambient_files() -> list[Path]:
    """The settings files that are there, the user's before the project's."""
    files = [user_config_file(), find_project_file(Path.cwd(), user_home())]
    return [path for path in files if path is not None and is_there(path)]


def _name_origins(settings: Layer, ambient: list[Layer]) -> None:
    """Say which files and variables took part, so that none acts unseen."""
    names = {entry.origin for layer in ambient for entry in layer.values()}
    used = dict.fromkeys(e.origin for e in settings.values() if e.origin in names)
    if used:
        sys.stderr.write(sanitize_line(f"settings: {', '.join(used)}") + "\n")
