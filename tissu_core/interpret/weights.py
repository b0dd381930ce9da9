"""Tensors of a model by forgiving names, read one at a time."""

import difflib
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open

from tissu_core.errors import ConfigError, InputError
from tissu_core.events import TensorSummarized

# What people say for what files say.
_ALIASES = {
    "layer": "layers",
    "block": "layers",
    "blocks": "layers",
    "h": "layers",
    "attn": "self_attn",
    "attention": "self_attn",
    "ffn": "mlp",
    "feed_forward": "mlp",
    "embed": "embed_tokens",
    "embedding": "embed_tokens",
    "embeddings": "embed_tokens",
    "wte": "embed_tokens",
    "head": "lm_head",
    "q": "q_proj",
    "k": "k_proj",
    "v": "v_proj",
    "o": "o_proj",
    "gate": "gate_proj",
    "up": "up_proj",
    "down": "down_proj",
}
HISTOGRAM_BINS = 48


def match_names(query: str, names: Sequence[str]) -> list[str]:
    """Names whose parts contain the query's parts in order: ``layer.0.attn``.

    A part matches itself, its alias, or the beginning of a name's part. The whole query must match
    consecutive parts, so that ``layer.0`` is not ``layers.10``.

    Raises:
        ConfigError: If none does; names the nearest.
    """
    wanted = [part for part in re.split(r"[./]", query.strip()) if part]
    found = [name for name in names if _matches(wanted, name.split("."))]
    if found:
        return sorted(found, key=_natural)
    raise ConfigError(
        f"no tensor matches {query!r}",
        field="path",
        hint="did you mean " + " or ".join(_nearest_paths(wanted, names)) + "?",
    )


def _matches(wanted: list[str], parts: list[str]) -> bool:
    spans = range(len(parts) - len(wanted) + 1)
    return bool(wanted) and any(all(map(_part_matches, wanted, parts[begin:])) for begin in spans)


def _part_matches(wanted: str, part: str) -> bool:
    if wanted.isdigit() or part.isdigit():
        return wanted == part
    return part.startswith(wanted) or part == _ALIASES.get(wanted)


def _nearest_paths(wanted: list[str], names: Sequence[str]) -> list[str]:
    """Existing paths closest to what was typed, as short as they can be typed."""
    paths = {
        ".".join(parts[1:end] if parts[0] == "model" else parts[:end])
        for parts in (name.split(".") for name in names)
        for end in range(1 + (parts[0] == "model"), len(parts) + 1)
    }
    said = ".".join(_ALIASES.get(part, part) for part in wanted)
    close = difflib.get_close_matches(said, sorted(paths, key=_natural), n=3, cutoff=0.3)
    return close or sorted(paths, key=_natural)[:3]


def _natural(name: str) -> list[tuple[int, str]]:
    return [(int(part), "") if part.isdigit() else (-1, part) for part in name.split(".")]


def summarize(path: Path, query: str) -> Iterator[TensorSummarized]:
    """Statistics of every matching tensor of a model directory; only those are read.

    Raises:
        InputError: If there are no safetensors.
        ConfigError: If nothing matches.
    """
    files = sorted(path.glob("*.safetensors"))
    places = {name: file for file in files for name in _names_in(file)}
    places = {name: file for name, file in places.items() if "/" not in name}  # not moments
    if not places:
        raise InputError(f"{path} has no model.safetensors", hint="tissu models list")
    for name in match_names(query, list(places)):
        with safe_open(places[name], framework="pt") as file:
            yield _summarize(name, file.get_tensor(name))


def _names_in(file: Path) -> list[str]:
    try:
        with safe_open(file, framework="pt") as opened:
            return list(opened.keys())
    except SafetensorError as error:
        raise InputError(
            f"{file} is no whole safetensors file: {error}", hint="use another copy of the model"
        ) from error


def _summarize(name: str, tensor: torch.Tensor) -> TensorSummarized:
    values = tensor.detach().double().flatten()
    is_empty = values.numel() == 0
    return TensorSummarized(
        name=name,
        shape=tuple(tensor.shape),
        dtype=str(tensor.dtype).removeprefix("torch."),
        mean=0.0 if is_empty else float(values.mean()),
        std=0.0 if is_empty else float(values.std(correction=0)),
        min=0.0 if is_empty else float(values.min()),
        max=0.0 if is_empty else float(values.max()),
        zeros=int((values == 0).sum()),
        norm=float(values.norm()),
        histogram=_histogram(values[values.isfinite()]),
    )


def _histogram(values: torch.Tensor) -> tuple[int, ...]:
    """Counts of finite values in equal bins; one bin where all are equal, none for none."""
    if values.numel() == 0:
        return ()
    low, high = float(values.min()), float(values.max())
    if not low < high:
        return (values.numel(),)
    return tuple(int(count) for count in values.histc(HISTOGRAM_BINS, low, high))
