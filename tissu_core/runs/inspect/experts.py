"""The verb inspect experts: which experts of a mixture are asked, and by what."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from tissu_core.config.data import DataConfig
from tissu_core.config.machine import DeviceConfig
from tissu_core.errors import InputError
from tissu_core.events.experts import (
    ExpertsEvent,
    ExpertsObserved,
    ExpertUsed,
    LayerRouted,
    PairChosen,
    TokenRouted,
)
from tissu_core.events.shared import StageAdvanced
from tissu_core.runs.catalog import find_model
from tissu_core.runs.inspect.layers import require_layer
from tissu_core.runs.inspect.prompt import read_rows, require_text
from tissu_core.runs.tokenize.figures import written_id

if TYPE_CHECKING:
    from tissu_core.interpret.experts import Routes
    from tissu_core.text.tokenizer import Tokenizer

_WINDOWS = 128
"""Read of a text: 32,768 tokens tell 8 experts' shares to 0.2 %."""
_TOKENS, _PAIRS = 8, 6
"""The most that are told of each expert, and of each layer."""


def inspect_experts(
    model: str | None,
    *,
    prompt: str | None,
    layer: int | None,
    data: DataConfig,
    machine: DeviceConfig,
) -> Iterator[ExpertsEvent]:
    """Where the routers send the tokens of a prompt or a corpus; the last event is the result.

    With ``layer``, that one's alone.

    Raises:
        InputError: If the model has no experts, or it or the text cannot be read.
        ConfigError: If there is no text, or a prompt and a corpus, or no such layer.
    """
    require_text(prompt, data)
    require_layer(layer, _layers_with_experts(find_model(model)), "the model")
    from tissu_core.interpret.experts import iter_routes, joined
    from tissu_core.models.finite import find_not_finite
    from tissu_core.runs.loading import load_for_use

    loaded, _ = load_for_use(model, machine)
    yield from loaded.notices
    rows = yield from read_rows(loaded, prompt, data, _WINDOWS)
    found: list[Routes] = []
    for each in iter_routes(loaded.model, rows):
        found.append(each)
        yield StageAdvanced(stage="reading", done=len(found), total=len(rows), unit="windows")
        if not each.weights.isfinite().all():
            broken = find_not_finite(loaded.model) or "what a router computes overflows"
            raise InputError(
                f"{broken}: no expert is chosen by that",
                hint='tissu inspect weights "**" shows where; use another checkpoint',
            )
    routes = joined(found)
    yield ExpertsObserved(
        model=str(loaded.path),
        num_tokens=len(routes.ids),
        num_experts=routes.num_experts,
        experts_per_token=routes.experts.shape[-1],
        layers=tuple(
            _layer(routes, number, loaded.tokenizer)
            for number in (range(len(routes.experts)) if layer is None else [layer])
        ),
    )


def _layers_with_experts(path: Path) -> int:
    """How many there are; a model without experts is refused before its weights are read."""
    from tissu_core.runs.loading import read_model_config

    config = read_model_config(path)
    if not config.num_local_experts:
        raise InputError(
            f"{path} has no experts: each layer has one feed-forward, which every token asks",
            hint="a mixture of experts, such as Mixtral; tissu inspect model shows its layers",
        )
    return config.num_hidden_layers


def _layer(routes: "Routes", layer: int, tokenizer: "Tokenizer") -> LayerRouted:
    from tissu_core.interpret.experts import balance, favourites, pairs

    counts, weights = routes.counts(layer), routes.mean_weights(layer).tolist()
    shares = (counts.double() / counts.sum()).tolist()
    liked = favourites(routes, layer, _TOKENS)
    return LayerRouted(
        layer=layer,
        experts=tuple(
            ExpertUsed(
                expert=expert,
                count=int(counts[expert]),
                share=shares[expert],
                mean_weight=weights[expert],
                tokens=tuple(
                    TokenRouted(
                        text=written_id(tokenizer, token.id),
                        count=token.count,
                        times_read=token.times_read,
                        times_chance=token.times_chance,
                    )
                    for token in liked[expert]
                ),
            )
            for expert in range(routes.num_experts)
        ),
        balance=balance(counts),
        max_share=max(shares),
        dead=tuple(expert for expert, share in enumerate(shares) if not share),
        pairs=tuple(
            PairChosen(first=first, second=second, count=count, times_chance=times)
            for first, second, count, times in pairs(routes, layer)[:_PAIRS]
        ),
    )
