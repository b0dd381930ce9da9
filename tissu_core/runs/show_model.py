"""The verb show: what is known of a model without reading its weights."""

import json
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tissu_core.runs.catalog import locate_model
from tissu_core.runs.model_store import Source, files_of, follow, promised_hashes, source_of


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelFile:
    """A file of a model; ``sha256`` is empty where nobody promised one."""

    name: str
    num_bytes: int
    sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelFacts:
    """A model as its files describe it; ``None`` and "" where they do not."""

    name: str
    path: str
    source: str
    revision: str
    license: str
    architecture: str
    context_tokens: int | None
    has_template: bool | None
    files: tuple[ModelFile, ...]

    @property
    def num_bytes(self) -> int:
        """Of all files."""
        return sum(file.num_bytes for file in self.files)


def show_model(given: str | None) -> ModelFacts:
    """The facts of what MODEL names.

    Raises:
        InputError: If there is no such model, or its files are gone.
        IntegrityError: If its manifest is damaged.
    """
    located = locate_model(given)
    path = follow(located)
    source = (source_of(located) if located.is_dir() else None) or Source(kind="", asked="")
    hashes = promised_hashes(located)
    config = _read(path / "config.json")
    context = config.get("max_position_embeddings") or config.get("n_positions")
    return ModelFacts(
        name=given or located.name,
        path=str(path),
        source=source.asked,
        revision=source.revision,
        license=source.license,
        architecture=_first_text(config.get("architectures")),
        context_tokens=context if isinstance(context, int) else None,
        has_template=_has_template(path) if path.is_dir() else None,
        files=tuple(
            ModelFile(name=f.name, num_bytes=f.stat().st_size, sha256=hashes.get(f, ""))
            for f in files_of(located)
            if f.is_file()
        ),
    )


def _has_template(path: Path) -> bool:
    is_file = (path / "chat_template.jinja").is_file()
    return is_file or bool(_read(path / "tokenizer_config.json").get("chat_template"))


def _first_text(value: Any) -> str:
    return value[0] if isinstance(value, list) and value and isinstance(value[0], str) else ""


def _read(file: Path) -> dict[str, Any]:
    """The object in a JSON file; empty where there is none."""
    with suppress(OSError, ValueError):
        value = json.loads(file.read_text("utf-8"))
        return value if isinstance(value, dict) else {}
    return {}
