"""How many sequences are computed at once."""

import math
from typing import TYPE_CHECKING

from tissu_core.config.model import ModelConfig
from tissu_core.config.training import TrainingConfig
from tissu_core.errors import ConfigError

if TYPE_CHECKING:
    from tissu_core.runs.train.sizes import Machine

_MICROS_OF_STAGE = 4
"""So many for each stage of a pipeline: of S stages with M micro-batches each waits for S - 1 of
M + S - 1 turns, here for less than a fifth."""


def choose_micro_batch(
    training: TrainingConfig, machine: "Machine", model: ModelConfig, sequences: int
) -> int:
    """Sequences of a step that are computed at once, of those of one process.

    Raises:
        ConfigError: If a step has fewer than it is to be cut into.
    """
    if training.grad_accum is None:
        return training.micro_batch or _fit_micro_batch(model, machine, sequences)
    if training.grad_accum > sequences:
        raise ConfigError(
            f"--grad-accum is {training.grad_accum}, and a step has {sequences} sequences of "
            f"{model.max_position_embeddings} tokens",
            field="grad_accum",
            hint=f"--grad-accum {sequences}, or a larger --batch-tokens",
        )
    return math.ceil(sequences / training.grad_accum)


def _fit_micro_batch(model: ModelConfig, machine: "Machine", sequences: int) -> int:
    """The most sequences that fit; on a CPU no more than 8,192 tokens, beyond which caches lose."""
    micro = sequences
    if machine.num_stages > 1:
        micro = math.ceil(sequences / (_MICROS_OF_STAGE * machine.num_stages))
    if machine.device == "cpu":
        micro = min(micro, max(1, 8192 // model.max_position_embeddings))
    while micro > 1 and machine.train_bytes(model, micro) > 0.6 * machine.free_bytes:
        micro = math.ceil(micro / 2)
    return micro
