"""The verb show: what is known of a model without reading its weights."""

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tissu_core.checkpoint.tokenizer import load_tokenizer
from tissu_core.errors import TissuError
from tissu_core.models.count import num_parameters
from tissu_core.runs.catalog import locate_model
from tissu_core.runs.models.store import Source, files_of, follow, promised_hashes, source_of


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelFile:
    """A file of a model; ``sha256`` is empty where nobody promised one."""

    name: str
    num_bytes: int
    sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelFacts:
    """A model as its files describe it; ``None`` and empty where they do not."""

    name: str
    path: str
    source: str
    revision: str
    license: str
    architecture: str = ""
    num_parameters: int | None = None
    bytes_by_dtype: dict[str, int] = field(default_factory=dict)
    """Of all tensors, as the files spell their formats: BF16, Q4_1."""
    context_tokens: int | None = None
    has_template: bool | None = None
    problem: str = ""
    """Why it cannot be used, if it cannot."""
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
    return ModelFacts(
        **_described(path),
        name=given or located.name,
        path=str(path),
        source=source.asked,
        revision=source.revision,
        license=source.license,
        files=tuple(
            ModelFile(name=f.name, num_bytes=f.stat().st_size, sha256=hashes.get(f, ""))
            for f in files_of(located)
            if f.is_file()
        ),
    )


def _described(path: Path) -> dict[str, Any]:
    """What the headers of its files tell, as far as they can be read."""
    from tissu_core.checkpoint.model_directory import from_hugging_face, open_model
    from tissu_core.models.families import family_of

    known: dict[str, Any] = {}
    try:
        stored = open_model(path)
        config = from_hugging_face(stored.table, path)
        known["architecture"] = family_of(stored.table).model_type
        known["num_parameters"] = num_parameters(config)
        known["context_tokens"] = config.max_position_embeddings
        sizes: Counter[str] = Counter()
        for tensor in stored.tensors.values():
            sizes[tensor.dtype] += tensor.num_bytes
        known["bytes_by_dtype"] = dict(sizes.most_common())
        known["has_template"] = load_tokenizer(path).chat_template is not None
    except TissuError as error:
        known["problem"] = error.message
    return known
