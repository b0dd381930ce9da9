"""The model that a run goes on from."""

import hashlib
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from tissu_core.checkpoint.model_directory import LoadedModel, in_full, load_model
from tissu_core.config.runs import TrainRun
from tissu_core.data.vocabulary import Vocabulary
from tissu_core.errors import ConfigError, IntegrityError
from tissu_core.runs.catalog import find_model
from tissu_core.runs.train.inherited_shape import inherit_shape
from tissu_core.storage import sha256_file

CONVERSATION_TOKENS = 1024
"""The longest conversation that is read where nothing else is said and the model reads as much."""


@dataclass(frozen=True, slots=True)
class Origin:
    """A model in memory, and what its weights are known by."""

    loaded: LoadedModel
    sha256: str

    @property
    def vocabulary(self) -> Vocabulary:
        """Its tokenizer, which a text is read with."""
        return Vocabulary(self.loaded.tokenizer.vocab_size, self.loaded.tokenizer)


def open_origin(run: TrainRun) -> Origin:
    """Load the model that a run goes on from.

    Raises:
        TissuError: If it cannot be read, or is another one than the run began with.
        ConfigError: If a longer context is asked for than its positions allow.
    """
    path = find_model(run.tuning.origin)
    loaded = in_full(load_model(path, torch.device("cpu")))
    found, expected = _hash_weights(path), run.tuning.origin_sha256
    if expected not in ("", found):
        raise IntegrityError(
            f"the weights in {path} are not those this run began with: SHA-256 is {found[:12]}, "
            f"the run says {expected[:12]}",
            hint="put them back as they were, or start a new run",
        )
    if run.model.context_tokens is not None:
        context = loaded.model.config.max_position_embeddings
        loaded.model.set_context(max(context, run.model.context_tokens))
    return Origin(loaded, found)


def settle(run: TrainRun, origin: Origin) -> TrainRun:
    """The run with its origin's shape, and with what it says of it fit for a resume from anywhere.

    Raises:
        ConfigError: If its tokenizer or shape is asked to be another.
    """
    config, data = origin.loaded.model.config, run.data
    _refuse_other_tokenizer(run)
    longest = run.model.context_tokens or min(config.max_position_embeddings, CONVERSATION_TOKENS)
    return replace(
        run,
        tuning=replace(
            run.tuning, origin=str(origin.loaded.path.resolve()), origin_sha256=origin.sha256
        ),
        data=replace(
            data,
            format=data.format or "auto",
            conversation_tokens=data.conversation_tokens or longest,
        ),
        model=inherit_shape(run.model, config),
    )


def _refuse_other_tokenizer(run: TrainRun) -> None:
    given = {"--tokenizer": run.data.tokenizer, "--vocab-size": run.model.vocab_size}
    for flag in (flag for flag, value in given.items() if value):
        raise ConfigError(
            f"{flag} is given, and the model to go on from has a tokenizer of its own",
            field=flag.strip("-").replace("-", "_"),
            hint=f"leave {flag} or --from out",
        )


def _hash_weights(path: Path) -> str:
    """Of one file its SHA-256; of several, that of all their hashes."""
    files = sorted(path.glob("model*.safetensors")) if path.is_dir() else [path]
    hashes = [sha256_file(file) for file in files]
    return hashes[0] if len(hashes) == 1 else hashlib.sha256("".join(hashes).encode()).hexdigest()
