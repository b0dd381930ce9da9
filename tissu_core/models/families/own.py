"""Shapes that only tissu computes: the configuration as it is."""

from dataclasses import MISSING, asdict, fields
from typing import Any

from tissu_core.config.model import ModelConfig
from tissu_core.config.rope import RopeScaling
from tissu_core.models.families.family import Family, Table, UnreadableConfigError


def _from_table(table: Table) -> ModelConfig:
    given: dict[str, Any] = {}
    for spec in fields(ModelConfig):
        if spec.name in table:
            given[spec.name] = _frozen(table[spec.name])
        elif spec.default is MISSING:
            raise UnreadableConfigError(f"lacks {spec.name}")
    return ModelConfig(**given)


def _frozen(value: Any) -> Any:
    if isinstance(value, dict):  # the only one there is
        return RopeScaling(**{name: _frozen(part) for name, part in value.items()})
    return tuple(value) if isinstance(value, list) else value


def _to_table(config: ModelConfig) -> dict[str, Any]:
    return asdict(config)


TISSU = Family(
    model_type="tissu",
    architecture="TissuForCausalLM",
    to_table=_to_table,
    from_table=_from_table,
)
