"""Which files of a folder are a model: weights that cannot run code, and what is read with them."""

import json
from collections.abc import Iterable
from fnmatch import fnmatch
from pathlib import Path, PurePosixPath

MODEL_FILES = (
    "model*.safetensors",
    "*.json",
    "*.jinja",
    "*.model",
    "*.tiktoken",
    "merges.txt",
    "vocab.txt",
    "LICENSE*",
)
"""Never pickles and never programs; ``consolidated*`` holds the same weights once more."""

ONE_FILE = (".gguf", ".npz")
"""Kinds of files that hold all weights of a model."""


def model_files(names: Iterable[str]) -> list[str]:
    """Those of a folder's names that a model is read from."""
    return [
        name
        for name in names
        if len(PurePosixPath(name).parts) == 1 and any(fnmatch(name, p) for p in MODEL_FILES)
    ]


def model_in(place: Path) -> Path | None:
    """What MODEL means for a file or a folder: the file, the folder, or the one file in it.

    A model in parts is named by its first.
    """
    if place.is_file():
        return place if place.suffix in ONE_FILE else None
    found = min((file for file in place.glob("*") if file.suffix in ONE_FILE), default=None)
    if found is not None and not any(place.glob("*.safetensors")):
        return found
    return place if (place / "config.json").is_file() else None


def is_whole(folder: Path) -> bool:
    """Whether a folder holds a model with all the weights that its index names."""
    index = folder / "model.safetensors.index.json"
    if index.is_file():
        try:
            parts = set(json.loads(index.read_text("utf-8"))["weight_map"].values())
            return all((folder / str(part)).is_file() for part in parts)
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return False
    found = model_in(folder)
    if found is None or found.is_file():
        return found is not None
    return any(file.is_file() for file in folder.glob("*.safetensors"))
