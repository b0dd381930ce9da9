"""The verb init: a folder with settings and text that trains as it is."""

from importlib.resources import files
from pathlib import Path
from typing import Any

from tissu_core.config.layers import PROJECT_FILE
from tissu_core.config.project import project_toml
from tissu_core.errors import ConfigError

CORPUS = "corpus"
_CHOSEN: dict[str, Any] = {
    "data.corpus": [CORPUS],
    "training.minutes": 1.0,
    "training.sample_prompt": "The ",
}
_IGNORED = "# What training makes, if you keep it here with --out.\n/runs/\n/models/\n"


def make_project(directory: Path) -> list[Path]:
    """Write a settings file, ``.gitignore`` and a small corpus; returns the files.

    A ``corpus`` folder that has something in it is taken as it is.

    Raises:
        ConfigError: If one of the files is there already; nothing is written then.
    """
    chosen = {"name_stem": directory.resolve().name, **_CHOSEN}
    contents = {PROJECT_FILE: project_toml(chosen), ".gitignore": _IGNORED}
    corpus = directory / CORPUS
    if not (corpus.is_dir() and any(corpus.iterdir())):
        starter = files("tissu_core") / "runs" / "starter"
        for page in sorted(starter.iterdir(), key=lambda page: page.name):
            contents[f"{CORPUS}/{page.name}"] = page.read_text("utf-8")
    for name in contents:
        if (directory / name).exists():
            raise ConfigError(
                f"{directory / name} is there already",
                field="directory",
                hint="tissu init another-folder, or move the file away",
            )
    corpus.mkdir(parents=True, exist_ok=True)
    for name, text in contents.items():
        with (directory / name).open("x", encoding="utf-8", newline="\n") as file:
            file.write(text)
    return [directory / name for name in contents]
