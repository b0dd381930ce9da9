"""``tissu config``: which settings hold, and where they come from."""

from collections.abc import Iterable
from pathlib import Path
from typing import Annotated

import typer

from tissu_cli.flags import (
    Assignments,
    ConfigFile,
    Json,
    ambient_files,
    ambient_layers,
    config_layer,
)
from tissu_cli.render.console import print_json, print_line
from tissu_core.config.layers import (
    assignments_layer,
    file_layer,
    project_files,
    resolve_all,
    stack,
)
from tissu_core.config.load import to_line
from tissu_core.errors import ConfigError, nearest
from tissu_core.runs.home import user_config_file, user_home

app = typer.Typer(help="Show and check settings.", no_args_is_help=True)


def register(root: typer.Typer) -> None:
    """Add the commands to the tree."""
    root.add_typer(app, name="config", rich_help_panel="Set up")


@app.command(help="Every setting, as TOML; what is left open, tissu chooses.")
def show(
    prefix: Annotated[
        str, typer.Argument(metavar="FAMILY", help="Only these: training, model.depth.")
    ] = "",
    origin: Annotated[
        bool, typer.Option("--origin", help="Say which file, variable or option each is from.")
    ] = False,
    config: ConfigFile = None,
    assignments: Assignments = None,
    json: Json = False,
) -> None:
    settings = stack(
        [*ambient_layers(), *config_layer(config), assignments_layer(assignments or [])]
    )
    values = resolve_all(settings)
    origins = {path: settings[path].where if path in settings else "default" for path in values}
    chosen = {path: values[path] for path in _matching(prefix.strip("."), values)}
    if json:
        rows = [{"name": p, "value": v, "origin": origins[p]} for p, v in chosen.items()]
        print_json({"settings": rows})
        return
    for path, value in chosen.items():
        line = f"# {path}: open" if value is None else to_line(path, value)
        print_line(f"{line}  # {origins[path]}" if origin and value is not None else line)


@app.command(help="The files that settings are looked for in, and which are there.")
def path(json: Json = False) -> None:
    used = ambient_files()
    looked_at = [user_config_file(), *project_files(Path.cwd(), user_home())]
    rows = [{"path": str(file), "is_used": file in used} for file in looked_at]
    if json:
        print_json({"files": rows})
        return
    for row in rows:
        print_line(f"{row['path']}  {'used' if row['is_used'] else 'not used'}")


@app.command(help="Check files of settings; those in use, and the environment, if none is named.")
def validate(
    files: Annotated[list[Path] | None, typer.Argument(metavar="FILE")] = None,
) -> None:
    named = {str(file): file_layer(file) for file in files or ambient_files()}
    for layer in named.values():
        resolve_all(layer)
    if not files:
        resolve_all(stack(ambient_layers()))
    for name, layer in named.items():
        print_line(f"{name}: good, {len(layer)} settings")


def _matching(prefix: str, paths: Iterable[str]) -> list[str]:
    found = [path for path in paths if f"{path}.".startswith(f"{prefix}." if prefix else "")]
    if not found:
        close = nearest(prefix, {*paths, *(path.partition(".")[0] for path in paths)})
        hint = f"did you mean {' or '.join(close)}?" if close else "tissu config show"
        raise ConfigError(f"there is no setting {prefix!r}", field=prefix, hint=hint)
    return found
