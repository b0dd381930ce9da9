"""Whether a model can be cut over the ranks as asked for. Imports no torch."""

from math import gcd

from tissu_core.config.machine import MachineConfig, check_copies
from tissu_core.config.model import ModelConfig, largest_divisor
from tissu_core.errors import ConfigError


def check_parts(config: ModelConfig, machine: MachineConfig, num_ranks: int) -> None:
    """Refuse what does not come out even.

    Raises:
        ConfigError: Says what would.
    """
    check_copies(machine, num_ranks)
    if machine.tp > 1:
        _check_tensor(config, machine.tp)
    if machine.pp > config.num_hidden_layers:
        fitting = largest_divisor(machine.pp, config.num_hidden_layers)
        raise ConfigError(
            f"--pp is {machine.pp}, and the model has {config.num_hidden_layers} layers",
            field="pp",
            hint=f"--pp {fitting}, or more --layers" if fitting > 1 else "more --layers, or --tp",
        )


def explain_parts(machine: MachineConfig, num_ranks: int) -> str:
    """How a model lies on the processes, where it does not lie whole on each."""
    if num_ranks == 1 or machine.num_parts == 1:
        return ""
    parts = [f"{machine.pp} stages of layers"] * (machine.pp > 1)
    if machine.tp > 1:
        parts.append(f"{machine.tp} parts of each layer, which Muon cannot move")
    copies = num_ranks // machine.num_parts
    return f"{copies} {'copies' if copies > 1 else 'copy'} of the model in {' and '.join(parts)}"


def _check_tensor(config: ModelConfig, tp: int) -> None:
    if config.num_local_experts:
        raise ConfigError(
            f"--tp is {tp}, and this model is a mixture of experts, which are not cut by width",
            field="tp",
            hint="--pp, or --shard full",
        )
    cut = {
        "key/value heads": config.num_key_value_heads,
        "heads": config.num_attention_heads,
        "channels between the matrices of a feed-forward": config.intermediate_size,
    }
    for what, number in cut.items():
        if number % tp:
            fitting = largest_divisor(gcd(*cut.values()), tp)
            raise ConfigError(
                f"--tp is {tp}, which does not divide the {number} {what}",
                field="tp",
                hint=f"--tp {fitting}"
                if fitting > 1
                else "another --heads, --kv-heads or --width, or --pp",
            )
