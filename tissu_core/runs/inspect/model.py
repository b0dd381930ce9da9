"""The verb inspect model: what a model is made of. No weights are read."""

from collections import Counter
from dataclasses import dataclass

from tissu_core.config.model import ModelConfig
from tissu_core.events.measures import ModuleCounted
from tissu_core.events.shared import Noticed
from tissu_core.models.count import kv_bytes_per_token, kv_cache_bytes, train_flops_per_token
from tissu_core.runs.catalog import find_model


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelReport:
    """What a model is made of, and what a token of it costs. Operations are at a full context."""

    path: str
    config: ModelConfig
    num_parameters: int
    num_bytes: int
    """Of all tensors in its files."""
    bytes_by_dtype: dict[str, int]
    forward_flops_per_token: float
    train_flops_per_token: float
    kv_bytes_per_token: int
    kv_bytes: int
    """The cache of a full context, of which a window keeps a part, in fp32."""
    modules: tuple[ModuleCounted, ...]
    """The whole model first, then its parts."""
    notices: tuple[Noticed, ...]


def inspect_model(model: str | None) -> ModelReport:
    """A model from its configuration and the headers of its files; no weights are read.

    Raises:
        InputError: If there is no such model, or it is of a kind tissu does not read.
    """
    path = find_model(model)
    from tissu_core.checkpoint.model_directory import from_hugging_face, open_model
    from tissu_core.interpret.modules import count_modules
    from tissu_core.models.build import build_empty

    stored_model = open_model(path)
    config = from_hugging_face(stored_model.table, path)
    bytes_by_dtype: Counter[str] = Counter()
    for stored in stored_model.tensors.values():
        bytes_by_dtype[stored.dtype] += stored.num_bytes
    modules = count_modules(build_empty(config))
    train_flops = train_flops_per_token(config)
    return ModelReport(
        path=str(path),
        config=config,
        num_parameters=modules[0].num_parameters,
        num_bytes=bytes_by_dtype.total(),
        bytes_by_dtype=dict(bytes_by_dtype),
        forward_flops_per_token=train_flops / 3,  # backward costs two products for each one
        train_flops_per_token=train_flops,
        kv_bytes_per_token=kv_bytes_per_token(config),
        kv_bytes=kv_cache_bytes(config),
        modules=tuple(modules),
        notices=stored_model.notices(),
    )
