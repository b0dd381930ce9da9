"""The shape of a model that a run goes on from, in the words in which a shape is asked for."""

from dataclasses import fields, replace
from typing import Any

from tissu_core.config.fields import describe
from tissu_core.config.model import ModelConfig
from tissu_core.config.shape import ModelShape, asked_size
from tissu_core.errors import ConfigError

_ASKED = {spec.name: spec for spec in fields(ModelShape)}
_SHARED = [spec.name for spec in fields(ModelConfig) if spec.name in _ASKED.keys() - {"vocab_size"}]


def inherit_shape(asked: ModelShape, model: ModelConfig) -> ModelShape:
    """The shape of ``model``, as far as there are words for it; what else was asked for stays.

    Raises:
        ConfigError: If another shape is asked for.
    """
    wanted = {name: value for name, (value, _) in compare_shape(asked, model).items()}
    wanted = {name: value for name, value in wanted.items() if value != _ASKED[name].default}
    size = asked_size(asked) or ()
    wanted |= dict(zip(("num_hidden_layers", "hidden_size"), size, strict=False))
    for name, value in wanted.items():
        found, flag = getattr(model, name), describe(_ASKED[name]).flag
        if value != found:
            raise ConfigError(
                f"{flag} is {value}, and the model to go on from has {found}",
                field=name,
                hint=f"leave it out, or --from: a new model may have {flag} {value}",
            )
    found = {name: value for name, (_, value) in compare_shape(asked, model).items()}
    return replace(asked, **found)


def compare_shape(asked: ModelShape, model: ModelConfig) -> dict[str, tuple[Any, Any]]:
    """What is asked for and what ``model`` has, of all that there are words for."""
    pairs = {name: (getattr(asked, name), getattr(model, name)) for name in _SHARED}
    return {
        name: pair
        for name, pair in pairs.items()
        if not (choices := describe(_ASKED[name]).choices) or pair[1] in choices
    }
