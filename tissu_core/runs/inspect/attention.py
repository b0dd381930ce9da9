"""The verb inspect attention: what the heads of a model read of a prompt."""

import random
from collections.abc import Iterator
from typing import TYPE_CHECKING

from tissu_core.config.inspection import HeadConfig
from tissu_core.config.machine import DeviceConfig
from tissu_core.errors import ResourceError
from tissu_core.events.shared import Noticed
from tissu_core.events.views import AttentionEvent, AttentionSeen
from tissu_core.runs.catalog import find_model
from tissu_core.runs.inspect.layers import require_layer
from tissu_core.runs.inspect.prompt import ReadPrompt, find_span, out_of_range, read_prompt
from tissu_core.runs.tokenize.figures import written_id

if TYPE_CHECKING:
    import torch

    from tissu_core.checkpoint.model_directory import LoadedModel
    from tissu_core.config.model import ModelConfig
    from tissu_core.interpret.attention import Head

MOST_SHARES = 2_000_000
"""Of all heads that are shown together: a page of 5 MB."""
_RANDOM, _TIMES = 25, 4
"""Tokens, and how often they come, by which induction heads are found where there is no prompt.
Source: Olsson et al. 2022, arXiv:2209.11895."""
_COPIES = 4
"""Of a layer's shares, that are held while they are made and looked at."""


def inspect_attention(
    model: str | None,
    prompt: str | None,
    view: HeadConfig,
    machine: DeviceConfig,
    *,
    shows_all: bool = False,
) -> Iterator[AttentionEvent]:
    """The scores of all heads, or of one layer's, and the shares of those asked for.

    Without a prompt it is random tokens that come again and again. With ``shows_all`` the shares
    of every scored head are given, where no layer is named too.

    Raises:
        InputError: If the model or the prompt cannot be used, or a weight is no number.
        ConfigError: If there is no such layer, head or token, or the prompt is too long.
        ResourceError: If one layer's shares do not fit into memory.
    """
    find_model(model)
    import torch

    from tissu_core.interpret.attention import see_heads
    from tissu_core.runs.loading import load_for_use

    loaded, device = load_for_use(model, machine)
    yield from loaded.notices
    config = loaded.model.config
    heads = _heads(config, view)
    read = _random_prompt(loaded) if prompt is None else read_prompt(loaded, prompt)
    if prompt is None:
        yield Noticed(
            level="info",
            text=f"no --prompt: {len(read.ids) // _TIMES} random tokens, {_TIMES} times over",
        )
    _require_room(config, len(read.ids), device)
    first, last = find_span(view, len(read.ids))
    shown = heads if shows_all or view.layer is not None else []
    fitting = _fitting(len(shown))
    if last - first >= fitting:
        first = last + 1 - fitting
        text = f"of {len(shown)} heads the tokens from {first} on are shown: fewer heads show more"
        yield Noticed(level="info", text=text)
    ids = torch.tensor([read.ids], device=device)
    scored, parts = see_heads(loaded.model, ids, heads, shown, range(first, last + 1))
    if all(head.induction is None for head in scored):
        yield Noticed(level="info", text="no token comes again: induction is not measured")
    yield AttentionSeen(
        model=str(loaded.path),
        tokens=read.tokens,
        num_layers=config.num_hidden_layers,
        num_heads=config.num_attention_heads,
        first=first,
        last=last,
        heads=tuple(scored),
        shown=tuple(parts),
    )


def _heads(config: "ModelConfig", view: HeadConfig) -> "list[Head]":
    """All heads, those of a layer, or one."""
    layers, heads = config.num_hidden_layers, config.num_attention_heads
    require_layer(view.layer, layers, "the model")
    if view.head is not None and view.head >= heads:
        there_are = f"each layer has heads 0 to {heads - 1}"
        raise out_of_range("--head", view.head, there_are, heads - 1)
    return [
        (layer, head)
        for layer in (range(layers) if view.layer is None else [view.layer])
        for head in (range(heads) if view.head is None else [view.head])
    ]


def _random_prompt(loaded: "LoadedModel") -> ReadPrompt:
    """The same for the same model; no control token is drawn."""
    tokenizer, context = loaded.tokenizer, loaded.model.config.max_position_embeddings
    plain = [id for id, piece in enumerate(tokenizer.pieces) if piece]
    drawn = random.Random(0).choices(plain, k=max(1, min(_RANDOM, (context - 1) // _TIMES)))
    ids = [tokenizer.start_id, *drawn * _TIMES][:context]
    return ReadPrompt(ids, tuple(written_id(tokenizer, id) for id in ids))


def _require_room(config: "ModelConfig", num_tokens: int, device: "torch.device") -> None:
    from tissu_core.runtime.memory import free_bytes

    needed = _COPIES * 4 * config.num_attention_heads * num_tokens**2
    if needed > free_bytes(device):
        raise ResourceError(
            f"what the heads of one layer read of {num_tokens:,} tokens takes "
            f"{needed / 1e9:.1f} GB, and {free_bytes(device) / 1e9:.1f} GB are free",
            hint="a shorter prompt",
        )


def _fitting(num_heads: int) -> int:
    """How many tokens may be shown, for all heads to have no more than ``MOST_SHARES``."""
    return max(1, int((2 * MOST_SHARES / max(1, num_heads)) ** 0.5))
