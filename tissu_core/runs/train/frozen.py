"""What of a model a run leaves as it is."""

from collections.abc import Iterator

from tissu_core.config.model import ModelConfig
from tissu_core.errors import ConfigError
from tissu_core.events.shared import Noticed
from tissu_core.interpret.tensors.names import match_names
from tissu_core.models.build import build_empty
from tissu_core.models.decoder import Decoder
from tissu_core.training.freezing import freeze


def freeze_matching(model: Decoder, patterns: str) -> None:
    """Freeze the tensors that any of the patterns names; commas stand between them.

    Raises:
        ConfigError: If one matches none, naming the nearest, or all of the model is frozen.
    """
    names = [name for name, _ in model.named_parameters(remove_duplicate=False)]
    for pattern in filter(None, (part.strip() for part in patterns.split(","))):
        freeze(model, match_names(pattern, names))
    if not any(parameter.requires_grad for parameter in model.parameters()):
        raise ConfigError(
            f"--freeze {patterns} leaves nothing to learn",
            field="freeze",
            hint="--freeze with less, such as embed,layers.0",
        )


def num_learning(config: ModelConfig, patterns: str) -> int | None:
    """How many parameters the patterns leave to learn; None without any.

    Raises:
        ConfigError: As ``freeze_matching`` does.
    """
    if not patterns:
        return None
    model = _empty(config, patterns)
    return sum(each.numel() for each in model.parameters() if each.requires_grad)


def frozen_notices(config: ModelConfig, patterns: str) -> Iterator[Noticed]:
    """Say how much stays as it is.

    Raises:
        ConfigError: As ``freeze_matching`` does.
    """
    if not patterns:
        return
    model = _empty(config, patterns)
    sizes = [(each.numel(), each.requires_grad) for each in model.parameters()]
    frozen = [size for size, is_learning in sizes if not is_learning]
    text = (
        f"frozen: {len(frozen)} of {len(sizes)} tensors, {sum(frozen):,} of "
        f"{sum(size for size, _ in sizes):,} parameters"
    )
    if config.tie_word_embeddings and not model.lm_head.weight.requires_grad:
        text += "; embedding and head are one matrix, and frozen together"
    yield Noticed(level="info", text=text)


def _empty(config: ModelConfig, patterns: str) -> Decoder:
    model = build_empty(config)
    freeze_matching(model, patterns)
    return model
