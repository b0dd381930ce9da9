"""The verb inspect lens: what a model would say after each of its layers."""

from collections.abc import Iterator
from functools import partial

from tissu_core.config.inspection import LensConfig
from tissu_core.config.machine import DeviceConfig
from tissu_core.events.shared import Noticed
from tissu_core.events.views import LensEvent, LensSeen
from tissu_core.runs.catalog import find_model
from tissu_core.runs.inspect.prompt import find_span, out_of_range, read_prompt
from tissu_core.runs.tokenize.figures import written_id

_TOP = 5
"""Tokens of each layer, where one position is looked at."""


def inspect_lens(
    model: str | None, prompt: str, view: LensConfig, machine: DeviceConfig, *, fitting: int | None
) -> Iterator[LensEvent]:
    """What is read of each layer's stream, at the last ``fitting`` of the tokens asked for, or all.

    Raises:
        InputError: If the model or the prompt cannot be used, or a weight is no number.
        ConfigError: If there is no such token, or the prompt is too long.
    """
    find_model(model)
    import torch

    from tissu_core.interpret.lens import read_lens
    from tissu_core.runs.loading import load_for_use

    loaded, device = load_for_use(model, machine)
    yield from loaded.notices
    read = read_prompt(loaded, prompt)
    first, last = find_span(view, len(read.ids))
    is_one = view.position is not None or view.top is not None
    if is_one:
        first = last = _position(view.position, last)
    if fitting is not None and last - first >= fitting:
        first = last + 1 - fitting
        text = f"the tokens from {first} on are shown; --from and --to show others"
        yield Noticed(level="info", text=text)

    ids, span = torch.tensor([read.ids], device=device), range(first, last + 1)
    spell = partial(written_id, loaded.tokenizer)
    top = view.top or (_TOP if is_one else 1)
    layers, answers = read_lens(loaded.model, ids, span, top, spell)
    yield LensSeen(
        model=str(loaded.path),
        tokens=read.tokens,
        first=first,
        last=last,
        layers=tuple(layers),
        answers=tuple(answers),
    )


def _position(asked: int | None, last: int) -> int:
    if asked is not None and asked > last:
        raise out_of_range("--position", asked, f"the prompt has tokens 0 to {last}", last)
    return last if asked is None else asked
