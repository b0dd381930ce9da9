"""Shapes that only tissu computes: the configuration as it is."""

from dataclasses import asdict, fields
from typing import Any

from tissu_core.config.model import ModelConfig
from tissu_core.models.families.family import Family, Table, UnreadableConfigError


def _from_table(table: Table) -> ModelConfig:
    names = [spec.name for spec in fields(ModelConfig)]
    missing = next((name for name in names if name not in table), None)
    if missing is not None:
        raise UnreadableConfigError(f"lacks {missing}")
    return ModelConfig(**{name: table[name] for name in names})


def _to_table(config: ModelConfig) -> dict[str, Any]:
    return asdict(config)


TISSU = Family(
    model_type="tissu",
    architecture="TissuForCausalLM",
    expresses=lambda config: True,
    to_table=_to_table,
    from_table=_from_table,
)
