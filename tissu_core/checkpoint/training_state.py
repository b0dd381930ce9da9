"""What a run needs beside the weights to go on as if it had never stopped."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from torch import Tensor

from tissu_core.checkpoint.weights import load_tensors, save_tensors
from tissu_core.errors import IntegrityError
from tissu_core.storage import read_json, write_json

STATE_FILE = "training_state.json"
OPTIMIZER_FILE = "optimizer.safetensors"
RAW_FILE = "raw_weights.safetensors"
"""The weights that go on moving, where the checkpoint's model is their moving average."""
_TIED = {"lm_head.weight": "model.embed_tokens.weight"}


@dataclass(slots=True, kw_only=True)
class TrainState:
    """Where a run stands. Batches and random numbers are functions of the step: nothing to save."""

    step: int = 0
    tokens: int = 0
    elapsed_seconds: float = 0.0
    loss: float = float("nan")
    """Nats per token of the newest report."""
    unreported_loss: float = 0.0
    unreported_steps: int = 0
    unreported_skips: int = 0
    """How many of those steps were left out because their loss or gradient was no number."""
    unreported_overflows: int = 0
    """How many of those in turn a smaller scale of the loss would have saved."""
    skips_in_row: int = 0
    batch_offset: int = 0
    """By how many batches the order of the text is ahead of the step: those a rollback passed."""
    loss_scale: float = 0.0
    """What the loss is multiplied by in fp16; 0 before the first step, and elsewhere."""
    loss_scale_good_steps: int = 0
    """Steps since it last changed."""
    micro_batch: int = 0
    """Sequences computed at once, where memory has been tried; 0 is what the plan chose."""
    best_bits_per_byte: float = float("inf")
    best_step: int = 0
    evals_since_best: int = 0


def write_training_state(directory: Path, state: TrainState, optimizer: dict[str, Tensor]) -> None:
    """Write both parts beside the model's files."""
    write_json(directory / STATE_FILE, asdict(state))
    save_tensors(directory / OPTIMIZER_FILE, optimizer)


def read_training_state(directory: Path) -> tuple[TrainState, dict[str, Tensor]]:
    """Read both parts.

    Raises:
        IntegrityError: If the state does not have this version's fields.
    """
    table = read_json(directory / STATE_FILE)
    try:
        state = TrainState(**table)
    except TypeError as error:
        raise IntegrityError(
            f"{directory / STATE_FILE}: {error}", hint="use another checkpoint"
        ) from error
    return state, load_tensors(directory / OPTIMIZER_FILE)


def write_raw_weights(directory: Path, weights: Mapping[str, Tensor], *, is_tied: bool) -> None:
    """Write the weights that go on moving beside the model of their average."""
    left_out = _TIED if is_tied else {}
    save_tensors(directory / RAW_FILE, {n: t for n, t in weights.items() if n not in left_out})


def read_raw_weights(directory: Path) -> dict[str, Tensor]:
    """Those weights; none where the checkpoint's model is what goes on."""
    if not (directory / RAW_FILE).is_file():
        return {}
    weights = load_tensors(directory / RAW_FILE)
    return {name: weights[of] for name, of in _TIED.items()} | weights
