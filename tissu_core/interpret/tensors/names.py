"""Tensors of a model by forgiving names."""

import difflib
import re
from collections.abc import Iterable, Sequence
from fnmatch import fnmatchcase

from tissu_core.errors import ConfigError

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

_ORDER = (
    *("model", "embed_tokens", "embed_positions", "layers", "input_layernorm", "self_attn"),
    *("q_proj", "k_proj", "v_proj", "q_norm", "k_norm", "o_proj", "post_attention_layernorm"),
    *("mlp", "gate_proj", "up_proj", "down_proj", "norm", "lm_head"),
)
"""Parts as a model computes them."""


def in_order(names: Iterable[str]) -> list[str]:
    """As the model computes: the embedding, its layers by number, what follows them."""
    return sorted(names, key=_place)


def _place(name: str) -> list[tuple[int, int, str]]:
    return [
        (_ORDER.index(word) if word in _ORDER else len(_ORDER), number, part)
        for part in name.split(".")
        for word, number in ((_word(part), int(part) if part.isdecimal() else -1),)
    ]


def _word(part: str) -> str:
    """The first synonym of a part."""
    return next((row[0] for row in _SYNONYMS if part in row), part)


_LAYER = re.compile(r"(?:^|\.)(layers|layer|blocks?|h)\.(\d+)\.")
_KINDS = {f"{kind}_proj": kind for kind in ("q", "k", "v", "o", "gate", "up", "down")}
WHOLE = "all"
"""What a layer and the model are called as a whole."""


def layer_of(name: str) -> str:
    """The layer that a tensor is of, or what it is outside of them: layers.3, embed_tokens."""
    found = _LAYER.search(name)
    return f"layers.{found[2]}" if found else kind_of(name)


def kind_of(name: str) -> str:
    """What a tensor is in its layer, by the usual words: q, gate, norm; qkv of what is fused."""
    parts = name.removesuffix(".weight").removesuffix(".bias").split(".")
    last, parent = parts[-1], _word(parts[-2]) if len(parts) > 1 else ""
    if last in _FUSED:
        return "qkv"
    if last == "c_proj" and parent == "mlp":
        return "down"
    if last == "gate":  # of experts; that of a gated layer is a gate_proj
        return "router"
    word = _word(last)
    if "norm" in word and _LAYER.search(name):
        return "norm"
    return _KINDS.get(word, word)


def match_names(query: str, names: Sequence[str]) -> list[str]:
    """Names whose parts contain the query's parts in order: ``layer.0.attn``.

    A part matches itself, a synonym, or the beginning of a name's part. The whole query must match
    consecutive parts, so that ``layer.0`` is not ``layers.10``. ``*`` and ``?`` stand for letters
    of a part, ``**`` for any parts, ``{q,k}_proj`` for either, and ``[0-11]`` or ``0-11`` for the
    numbers in a range. They come as the model computes.

    Raises:
        ConfigError: If none does; names the nearest.
    """
    ways = [[part for part in re.split(r"[./]", way) if part] for way in _ways(query.strip())]
    found = [name for name in names if any(_matches(way, name.split(".")) for way in ways)]
    if found:
        return in_order(found)
    raise ConfigError(
        f"no tensor matches {query!r}",
        field="path",
        hint="did you mean " + " or ".join(_nearest_paths(ways[0], names)) + "?",
    )


def _ways(query: str) -> list[str]:
    """The queries that braces stand for.

    >>> _ways("attn.{q,k}_proj")
    ['attn.q_proj', 'attn.k_proj']
    """
    braces = re.search(r"\{([^{}]*)\}", query)
    if braces is None:
        return [query]
    before, after = query[: braces.start()], query[braces.end() :]
    return [way for word in braces[1].split(",") for way in _ways(before + word + after)]


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
    return ".".join(map(_word, path.split(".")))


def _natural(name: str) -> list[tuple[int, str]]:
    return [(int(part), "") if part.isdigit() else (-1, part) for part in name.split(".")]
