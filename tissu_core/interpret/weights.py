"""Tensors of a model by forgiving names, read one at a time."""

import difflib
import math
import re
from collections.abc import Iterator, Sequence
from fnmatch import fnmatchcase

import torch

from tissu_core.checkpoint.stored_model import StoredModel
from tissu_core.errors import ConfigError
from tissu_core.events.measures import TensorSummarized

# Words for the same part: what people say, and what files of Llama, GPT-2, MPT and Mixtral say.
_FUSED = ("qkv", "c_attn", "Wqkv")
_SYNONYMS = (
    ("model", "transformer"),
    ("layers", "layer", "block", "blocks", "h"),
    ("self_attn", "attn", "attention"),
    ("mlp", "ffn", "feed_forward", "block_sparse_moe"),
    ("embed_tokens", "embed", "embedding", "embeddings", "wte"),
    ("embed_positions", "positions", "wpe"),
    ("lm_head", "head"),
    ("q_proj", "q", *_FUSED),
    ("k_proj", "k", *_FUSED),
    ("v_proj", "v", *_FUSED),
    ("o_proj", "o", "out_proj", "c_proj"),
    ("gate_proj", "gate", "w1"),
    ("up_proj", "up", "c_fc", "w3"),
    ("down_proj", "down", "c_proj", "w2"),
    ("input_layernorm", "ln_1", "norm_1"),
    ("post_attention_layernorm", "ln_2", "norm_2"),
    ("norm", "ln_f", "norm_f"),
)
_PART = 1 << 22
"""Values worked on at once."""


def match_names(query: str, names: Sequence[str]) -> list[str]:
    """Names whose parts contain the query's parts in order: ``layer.0.attn``.

    A part matches itself, a synonym, or the beginning of a name's part. The whole query must match
    consecutive parts, so that ``layer.0`` is not ``layers.10``. ``*`` and ``?`` stand for letters
    of a part, ``**`` for any parts, and ``[0-11]`` or ``0-11`` for the numbers in a range.

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
    return bool(wanted) and any(_leads(wanted, parts[begin:]) for begin in range(len(parts)))


def _leads(wanted: list[str], parts: list[str]) -> bool:
    """Whether the first parts match all of what is wanted."""
    if not wanted:
        return True
    if wanted[0] == "**":
        return any(_leads(wanted[1:], parts[skipped:]) for skipped in range(len(parts) + 1))
    return bool(parts) and _part_matches(wanted[0], parts[0]) and _leads(wanted[1:], parts[1:])


def _part_matches(wanted: str, part: str) -> bool:
    bounds = re.fullmatch(r"\[?(\d+)-(\d+)\]?", wanted)
    if bounds:
        return part.isdecimal() and int(bounds[1]) <= int(part) <= int(bounds[2])
    if wanted.isdecimal() or part.isdecimal():
        return fnmatchcase(part, wanted)
    return fnmatchcase(part, f"{wanted}*") or any({wanted, part} <= {*row} for row in _SYNONYMS)


def _nearest_paths(wanted: list[str], names: Sequence[str]) -> list[str]:
    """Existing paths closest to what was typed, as short as they can be typed."""
    paths = {
        ".".join(parts[1:end] if parts[0] == "model" else parts[:end])
        for parts in (name.split(".") for name in names)
        for end in range(1 + (parts[0] == "model"), len(parts) + 1)
    }
    known = {_in_one_tongue(path): path for path in sorted(paths, key=_natural)}
    said = _in_one_tongue(".".join(wanted))
    close = difflib.get_close_matches(said, known, n=3, cutoff=0.3) or [*known][:3]
    return [known[path] for path in close]


def _in_one_tongue(path: str) -> str:
    """The path with the first synonym of each part."""
    words = (next((row[0] for row in _SYNONYMS if part in row), part) for part in path.split("."))
    return ".".join(words)


def _natural(name: str) -> list[tuple[int, str]]:
    return [(int(part), "") if part.isdigit() else (-1, part) for part in name.split(".")]


def summarize(model: StoredModel, query: str, bins: int) -> Iterator[TensorSummarized]:
    """Statistics of every matching tensor of a model; one is in memory at a time.

    Of a matrix stored as int8 they are those of the values that its whole numbers stand for.

    Raises:
        InputError: If there are no safetensors.
        ConfigError: If nothing matches.
    """
    for name in match_names(query, list(model.tensors)):
        tensor, stored = model.read(name), model.tensors[name]
        scale = model.read(name + "_scale") if name + "_scale" in model.tensors else None
        is_packed = stored.num_bytes != tensor.nbytes  # and was unpacked as it was read
        dtype = stored.dtype if is_packed else str(tensor.dtype).removeprefix("torch.")
        yield _summarize(name, dtype, tensor if scale is None else tensor * scale[:, None], bins)


def _summarize(name: str, dtype: str, tensor: torch.Tensor, bins: int) -> TensorSummarized:
    count = zeros = nans = 0
    low, high, total, squares = math.inf, -math.inf, 0.0, 0.0
    for part in _parts(tensor):
        nans += int(part.isnan().sum())
        values = part[part.isfinite()]
        if values.numel():
            count += values.numel()
            zeros += int((values == 0).sum())
            low, high = min(low, float(values.min())), max(high, float(values.max()))
            total += float(values.sum())
            squares += float(values.square().sum())
    if not count:
        low = high = 0.0
    mean = total / max(1, count)
    deviations, histogram = _spread(tensor, mean, bins if low < high else 1, low, high)
    histogram = histogram if count else ()
    return TensorSummarized(
        name=name,
        shape=tuple(tensor.shape),
        dtype=dtype,
        mean=mean,
        std=math.sqrt(deviations / max(1, count)),
        min=low,
        max=high,
        zeros=zeros,
        nans=nans,
        infs=tensor.numel() - count - nans,
        norm=math.sqrt(squares),
        histogram=histogram,
        edges=_edges(low, high, len(histogram)),
    )


def _parts(tensor: torch.Tensor) -> Iterator[torch.Tensor]:
    """The values in fp64, some at a time: all of an embedding's would take its size twice more."""
    return (part.double() for part in torch.split(tensor.flatten(), _PART))


def _spread(
    tensor: torch.Tensor, mean: float, bins: int, low: float, high: float
) -> tuple[float, tuple[int, ...]]:
    """The sum of squared deviations of finite values, and how many are in each bin."""
    deviations, counts = 0.0, torch.zeros(bins, dtype=torch.double)
    for part in _parts(tensor):
        values = part[part.isfinite()]
        deviations += float((values - mean).square().sum())
        # Where all are equal, histc would widen the range on its own.
        counts += values.histc(bins, low, high) if low < high else values.numel()
    return deviations, tuple(int(count) for count in counts)


def _edges(low: float, high: float, bins: int) -> tuple[float, ...]:
    """The bounds of equal bins, one more than there are bins; none for none."""
    if not bins:
        return ()
    return (*(low + (high - low) * i / bins for i in range(bins)), high)
