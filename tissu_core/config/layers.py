"""Where settings come from, and which one wins.

In rising precedence: a preset of the command such as ``--demo``, the user's file, the project's
file, the environment, ``--config``, ``--set``, options. Each is a layer: dotted path to what was
given and where. The same files and variables serve every command, so one of them may set what a
command does not have; what no command has is refused.
"""

import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import Field, dataclass
from operator import attrgetter
from pathlib import Path
from typing import Any, TypeAlias, TypeVar

from tissu_core.config.fields import Settings, describe, iter_settings
from tissu_core.config.load import (
    build_config,
    parse_assignment,
    parse_value,
    place,
    read_toml,
    unknown_setting,
)
from tissu_core.errors import ConfigError

Config = TypeVar("Config")
PROJECT_FILE = "tissu.toml"
VARIABLE = "TISSU_"
NO_SETTINGS = ("TISSU_HOME", "TISSU_NATIVE", "TISSU_DEBUG", "TISSU_QUIET")
"""Variables of other meaning."""
STORED_FACTS = ("planned_steps", "tokens_key", "data_seam")
"""What a run's config.toml holds beside settings; read as a settings file, it is passed over."""
_LENGTHS = {"training.steps", "training.tokens", "training.epochs", "training.minutes"}
_HEADS = {"model.num_attention_heads", "model.num_key_value_heads"}
_SHAPE = {"model.num_hidden_layers", "model.hidden_size", *_HEADS}
_TOKENIZER = {"data.tokenizer", "data.tokenizer_sha256"}
_REPLACES: dict[str, set[str]] = {
    **dict.fromkeys(_LENGTHS, _LENGTHS),
    "model.depth": _SHAPE,
    "model.preset": {"model.depth", *_SHAPE},
    "model.hidden_size": _HEADS,
    "model.vocab_size": _TOKENIZER,
    "data.tokenizer": {"data.tokenizer_sha256", "model.vocab_size"},
    "tuning.origin": {"tuning.origin_sha256"},
    "optimizer.name": {"optimizer.learning_rate", "optimizer.weight_decay"},
    "machine.gpus": {"machine.tp", "machine.pp"},
    "machine.procs": {"machine.tp", "machine.pp"},
    "machine.pp": {"training.micro_batch"},
    "training.grad_accum": {"training.micro_batch"},
    "training.micro_batch": {"training.grad_accum"},
}
"""What a setting makes void in the layers below: what was said before in other words, and what was
chosen for the value it replaces."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A setting as it was given: a value, not yet cast, and an option, variable or file."""

    value: Any
    origin: str
    line: int = 0
    """In a file; 0 where that is unknown."""

    @property
    def where(self) -> str:
        """The origin and its line."""
        return f"{self.origin}:{self.line}" if self.line else self.origin


Layer: TypeAlias = Mapping[str, Entry]


def known_settings() -> dict[str, "Field[Any]"]:
    """Every setting of every command by its dotted path."""
    return {path: spec for kind in _all_runs() for path, spec, _ in iter_settings(kind)}


def _all_runs() -> Sequence[type[Settings]]:
    from tissu_core.config.runs import RUNS  # noqa: PLC0415  25 ms that a chat need not wait for

    return RUNS


def project_files(folder: Path, home: Path) -> Iterator[Path]:
    """Where a project's settings are looked for: in ``folder``, then upwards.

    Up to the root of a repository or to the person's home, both included. A folder in neither, such
    as one under /tmp, is looked at alone: what lies above it may be somebody else's.
    """
    above = [folder, *folder.parents]
    ends = [parent for parent in above if parent == home or is_there(parent / ".git")]
    for parent in above[: above.index(ends[0]) + 1] if ends else [folder]:
        yield parent / PROJECT_FILE


def find_project_file(folder: Path, home: Path) -> Path | None:
    """The nearest project file; None if there is none."""
    return next((path for path in project_files(folder, home) if is_there(path)), None)


def is_there(path: Path) -> bool:
    """Whether a file or folder exists; one in a folder that may not be searched does not."""
    try:
        return path.exists()
    except OSError:
        return False


def layer_from(settings: Mapping[str, Any], origin: str) -> Layer:
    """Settings that come from one place."""
    return {path: Entry(value=value, origin=origin) for path, value in settings.items()}


def to_settings(config: Any) -> dict[str, Any]:
    """Every setting of a configuration by its dotted path, but those that are None."""
    values = {path: attrgetter(path)(config) for path, _, _ in iter_settings(type(config))}
    return {path: value for path, value in values.items() if value is not None}


def file_layer(path: Path) -> Layer:
    """The settings of a TOML file; the paths in it are relative to the file.

    Raises:
        InputError: If the file cannot be read.
        ConfigError: If it is not TOML, or a table or key is unknown; names the line.
    """
    table, known = read_toml(path), known_settings()
    for fact in STORED_FACTS:
        table.pop(fact, None)
    lines = _lines_of_keys(path)
    layer = {}
    try:
        for name, value in _flatten(table, known):
            is_path = describe(known[name]).is_path
            layer[name] = Entry(
                value=_relative_to(path.parent, value) if is_path else value,
                origin=str(path),
                line=lines.get(name, 0),
            )
    except ConfigError as error:
        where = Entry(value=None, origin=str(path), line=lines.get(error.field, 0)).where
        raise _located(error, where) from error
    return layer


def environment_layer(environment: Mapping[str, str] = os.environ) -> Layer:
    """The settings of variables such as ``TISSU_TRAINING__STEPS``; an empty one sets nothing.

    Raises:
        ConfigError: If a variable that begins with ``TISSU_`` names no setting.
    """
    given = {
        name: text
        for name, text in environment.items()
        if name.startswith(VARIABLE) and name not in NO_SETTINGS and text
    }
    names = {_variable(path): path for path in known_settings()} if given else {}
    layer = {}
    for name, text in given.items():
        if name not in names:
            raise unknown_setting(name, [*names, *NO_SETTINGS])
        layer[names[name]] = Entry(value=parse_value(text), origin=name)
    return layer


def assignments_layer(assignments: Iterable[str]) -> Layer:
    """The settings of ``--set a.b=c``."""
    return layer_from(dict(map(parse_assignment, assignments)), "--set")


def stack(layers: Iterable[Layer]) -> Layer:
    """The settings that hold, from layers in rising precedence."""
    held: dict[str, Entry] = {}
    for layer in layers:
        for path in layer:
            for void in _REPLACES.get(path, ()):
                held.pop(void, None)
        held.update(layer)
    return held


def build(kind: type[Config], settings: Layer) -> Config:
    """A configuration from the settings that hold.

    Raises:
        ConfigError: Naming the setting that is unknown, of the wrong type or out of range, and
            the file or variable it came from.
    """
    table: dict[str, Any] = {}
    for path, entry in settings.items():
        place(table, path, entry.value)
    try:
        return build_config(kind, table)
    except ConfigError as error:
        for path, entry in settings.items():
            is_meant = path == error.field or path.endswith(f".{error.field}")
            if is_meant and not entry.origin.startswith("--"):  # an option is in the message
                raise _located(error, entry.where) from error
        raise


def resolve_all(settings: Layer) -> dict[str, Any]:
    """The value of every setting of every command, by dotted path; None is left open.

    Raises:
        ConfigError: As ``build`` does, for any command.
    """
    known = known_settings()
    for path in settings:
        if path not in known:
            raise unknown_setting(path, [*known])
    built: list[Any] = [build(kind, only_known_to(kind, settings)) for kind in _all_runs()]
    return {
        path: attrgetter(path)(config)
        for config in built
        for path, _, _ in iter_settings(type(config))
    }


def only_known_to(kind: type, layer: Layer) -> Layer:
    """What of a layer a command has a use for."""
    paths = {path for path, _, _ in iter_settings(kind)}
    return {path: entry for path, entry in layer.items() if path in paths}


def _located(error: ConfigError, where: str) -> ConfigError:
    return ConfigError(f"{where}: {error.message}", field=error.field, hint=error.hint)


def _variable(path: str) -> str:
    return VARIABLE + path.replace(".", "__").upper()


def _flatten(
    table: Mapping[str, Any], known: Iterable[str], where: str = ""
) -> Iterator[tuple[str, Any]]:
    here = {path[len(where) :].partition(".")[0] for path in known if path.startswith(where)}
    for name, value in table.items():
        path = where + name
        if name not in here:
            raise unknown_setting(path, [where + other for other in sorted(here)])
        if path in known:
            yield path, value
        elif isinstance(value, Mapping):
            yield from _flatten(value, known, f"{path}.")
        else:
            raise ConfigError(
                f"{path} is {value!r}, and it is a table", field=path, hint=f"[{path}]"
            )


def _relative_to(folder: Path, value: Any) -> Any:
    if isinstance(value, list):
        return [_relative_to(folder, item) for item in value]
    is_path = isinstance(value, str) and value
    return str(folder / Path(value).expanduser()) if is_path else value


def _lines_of_keys(path: Path) -> dict[str, int]:
    """Line numbers of tables and plain keys, for messages: the parser does not keep them."""
    lines: dict[str, int] = {}
    table = ""
    for number, line in enumerate(path.read_text("utf-8", errors="replace").splitlines(), 1):
        if header := re.match(r"\s*\[\s*([\w.-]+)\s*\]", line):
            table = header[1] + "."
            lines.setdefault(header[1], number)
        elif key := re.match(r"\s*([\w.-]+)\s*=", line):
            lines.setdefault(table + key[1], number)
    return lines
