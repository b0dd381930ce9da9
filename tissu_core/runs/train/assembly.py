"""The parts of one training run, and what the loop calls of them."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import torch
from torch import Tensor

from tissu_core import __version__
from tissu_core.checkpoint.model_directory import load_model, write_model_files
from tissu_core.checkpoint.store import CheckpointStore
from tissu_core.checkpoint.training_state import (
    TrainState,
    read_raw_weights,
    read_training_state,
    write_raw_weights,
    write_training_state,
)
from tissu_core.config.decoding import DecodingConfig
from tissu_core.config.runs import TrainRun
from tissu_core.data.batches import Windows
from tissu_core.data.shards import TokenShards
from tissu_core.decoding.generate import generate
from tissu_core.errors import ResourceError
from tissu_core.evals.validation import iter_score, validation_windows
from tissu_core.events.replies import GenerationFinished
from tissu_core.events.shared import StageAdvanced
from tissu_core.events.training import CheckpointSaved, RunResumed, SampleGenerated
from tissu_core.models.count import checkpoint_bytes
from tissu_core.models.decoder import Decoder
from tissu_core.models.families import Family
from tissu_core.models.score import Score
from tissu_core.parallel.layouts import Layout
from tissu_core.parallel.ranks import ALONE
from tissu_core.runs.evaluate.suites import open_suites
from tissu_core.runs.train.data_order import data_order
from tissu_core.runs.train.room import with_way_out
from tissu_core.runs.train.sample_prompt import sample_prompt
from tissu_core.runs.train.scheduled_suites import ScheduledSuites
from tissu_core.runs.train.stored_run import DataSeam
from tissu_core.runs.train.utilization import mfu_of_token
from tissu_core.runtime.compiler import uncompiled
from tissu_core.runtime.seeds import derive_seed
from tissu_core.text.tokenizer import Tokenizer
from tissu_core.training.ema import WeightAverage
from tissu_core.training.loop_parts import Asked, LoopParts, LoopSettings
from tissu_core.training.objectives.next_token import next_token
from tissu_core.training.optim import Optimizer
from tissu_core.training.prefetch import Prefetch
from tissu_core.training.schedules import build_schedule
from tissu_core.training.trainer import Trainer

_UNREPORTED = ("unreported_loss", "unreported_steps", "unreported_skips", "unreported_overflows")
_SAMPLE_TOKENS = 60


@dataclass(slots=True, kw_only=True)
class Assembly:
    """The parts of one run, put together once; its methods are what the loop calls."""

    run: TrainRun
    steps: int
    model: Decoder
    tokenizer: Tokenizer
    optimizer: Optimizer
    shards: TokenShards
    store: CheckpointStore
    state: TrainState
    device: torch.device
    average: WeightAverage | None = None
    """Of the weights, where that is what is measured and kept."""
    seam: DataSeam = field(default_factory=DataSeam)
    end_ids: frozenset[int] = frozenset()
    """Tokens that end a reply."""
    layout: Layout
    """How the model lies on the processes that train it."""
    family: Family | None = None
    """Whose layout the model is saved in; None is the first that expresses it."""

    @property
    def context(self) -> int:
        """Tokens of a window; a model that was trained before may read more at once."""
        return self.run.model.context_tokens or self.model.config.max_position_embeddings

    @property
    def checkpoint_bytes(self) -> float:
        """Disk space that one takes."""
        return checkpoint_bytes(self.model.config, is_averaged=self.average is not None)

    def trainer(
        self,
        clock: Callable[[], float],
        requests: Asked = tuple,
        should_stop: Callable[[], bool] = bool,
    ) -> Trainer:
        """The loop over these parts; what is asked of the model ends when it ``should_stop``."""
        training = self.run.training
        assert training.batch_tokens and training.micro_batch and training.log_every
        assert training.eval_every and training.save_every
        settings = LoopSettings(
            steps=self.steps,
            seconds=(training.minutes or 0.0) * 60,
            micro_batch=training.micro_batch,
            clip_value=self.run.optimizer.clip_value,
            clip_norm=self.run.optimizer.clip_norm,
            log_every=training.log_every,
            eval_every=training.eval_every,
            save_every=training.save_every,
            patience=training.patience,
            seed=training.seed,
            precision=self.run.machine.precision,
            mfu_of_token=mfu_of_token(
                self.run, self.model.config, self.context, self.device, self.layout.ranks.world_size
            ),
            is_scored_first=bool(self.run.tuning.origin),
        )
        order = data_order(self.run, self.shards, self.seam, self.context, self.state.step)
        parts = LoopParts(
            objective=partial(
                next_token,
                is_masked=self.shards.targets is not None,
                label_smoothing=self.run.objective.label_smoothing,
                z_loss=self.run.objective.z_loss,
            ),
            batch=Prefetch(lambda number: self._windows(order.batch(number))),
            sources=lambda number: self.shards.paths_of(order.documents(number)),
            schedule=build_schedule(self.run.optimizer, self.steps),
            evaluate=self.evaluate,
            save=self.save,
            restore=self.restore,
            mark_best=self.mark_best,
            sample=self.sample,
            suites=ScheduledSuites(self, open_suites(training.eval_suites), should_stop).ask,
            clock=clock,
            requests=requests,
            **({"after_step": self.average.update} if self.average else {}),
        )
        return Trainer(self.model, self.optimizer, settings, parts, self.state, self.layout)

    def _windows(self, ids: Windows) -> torch.Tensor:
        windows = torch.from_numpy(ids)
        return windows.pin_memory() if self.device.type == "cuda" else windows

    def evaluate(self) -> Iterator[StageAdvanced | Score]:
        """Score the validation text: progress, then the score."""
        training = self.run.training
        assert training.eval_tokens and training.micro_batch
        _, spans = self.shards.split(self.run.data.validation_fraction)
        batches = validation_windows(
            self.shards,
            spans,
            context=self.context,
            max_tokens=training.eval_tokens,
            batch_sequences=self.state.micro_batch or training.micro_batch,
        )
        with self.as_measured() as model:
            yield from iter_score(
                model,
                self.tokenizer,
                batches,
                num_tokens=min(training.eval_tokens, spans.num_tokens),
                precision=self.run.machine.precision,
                ranks=self.layout.ranks if self.layout.is_whole else ALONE,
            )

    @contextmanager
    def as_measured(self) -> Iterator[Decoder]:
        """The whole model as it would be saved, for scoring."""
        with self._as_written(), self._averaged(), self.layout.whole() as model:
            yield model

    def _as_written(self) -> AbstractContextManager[object]:
        """Compiled layers are for steps: text is scored and sampled in other shapes."""
        return uncompiled() if self.run.machine.compile else nullcontext()

    def _averaged(self) -> AbstractContextManager[object]:
        """The model has the average for its weights, where there is one."""
        return self.average.applied() if self.average else nullcontext()

    def save(self, state: TrainState) -> CheckpointSaved:
        """Write a verified checkpoint: one ordinary directory, on however many ranks it lies.

        Raises:
            ResourceError: If the disk does not take it.
        """
        with self._averaged():
            weights = self.layout.weights()
        raw = self.layout.weights() if self.average is not None else None
        moments = self.layout.gathered(self.optimizer.state_tensors())
        return self.layout.ranks.from_main(lambda: self._write(state, weights, raw, moments))

    def _write(
        self,
        state: TrainState,
        weights: dict[str, Tensor] | None,
        raw: dict[str, Tensor] | None,
        moments: dict[str, Tensor],
    ) -> CheckpointSaved:
        def write(directory: Path) -> None:
            with self._averaged():
                write_model_files(
                    directory,
                    self.model,
                    self.tokenizer,
                    family=self.family,
                    end_ids=self.end_ids,
                    weights=weights,
                )
            if self.average is not None:
                is_tied = self.model.config.tie_word_embeddings
                write_raw_weights(directory, raw or self.model.state_dict(), is_tied=is_tied)
            write_training_state(directory, state, moments)

        facts = {**self.facts(), "kind": "checkpoint", "step": state.step}
        try:
            saved = self.store.save(state.step, write, facts)
        except ResourceError as error:
            directory = self.store.directory.parent
            raise with_way_out(error, directory, self.checkpoint_bytes) from error
        return CheckpointSaved(
            step=state.step,
            path=str(saved.path),
            num_bytes=saved.num_bytes,
            seconds=saved.seconds,
        )

    def restore(self, state: TrainState) -> RunResumed | None:
        """Bring weights, moments and ``state`` back to the newest checkpoint, if there is one.

        What is known of the best checkpoint stays, and so do the sizes that fit this machine.
        """
        if not self.store.steps():
            return None
        checkpoint = self.store.newest_verified(is_fallback_allowed=False)
        saved, moments = read_training_state(checkpoint)
        on_cpu = load_model(checkpoint, torch.device("cpu"))  # the device may have no room for two
        weights = on_cpu.model.state_dict()
        with self._averaged():
            self.layout.load_weights(weights)
        self.layout.load_weights(read_raw_weights(checkpoint) or weights)
        self.optimizer.load_state_tensors(self.layout.scattered(moments))
        for name in ("step", "tokens", "loss", *_UNREPORTED):
            setattr(state, name, getattr(saved, name))
        directory = self.store.directory.parent
        return RunResumed(name=directory.name, directory=str(directory), from_step=state.step)

    def facts(self) -> dict[str, object]:
        """What a checkpoint says of where it comes from."""
        return {
            "tissu": __version__,
            "torch": torch.__version__,
            "run": self.store.directory.parent.name,
            "corpus": list(self.run.data.corpus),
            "tokens": self.shards.directory.name,
            "text_bytes": self.shards.facts["text_bytes"],
            **self._lineage(),
        }

    def _lineage(self) -> dict[str, object]:
        tuning = self.run.tuning
        source = {"path": tuning.origin, "sha256": tuning.origin_sha256}
        return {"method": "tuning", "lineage": [source]} if tuning.origin else {}

    def mark_best(self, step: int) -> None:
        """Let ``best`` name a step; where the disk does not take it, the state still knows."""
        if not self.layout.ranks.is_main:
            return
        with suppress(ResourceError):
            self.store.point("best", step, self.state.best_bits_per_byte)

    def sample(self, step: int) -> SampleGenerated:
        """A short text of the model as it is now."""
        with self._averaged(), self.layout.whole() as model:
            if self.layout.is_whole:
                return self.layout.ranks.from_main(lambda: self._sample(step, model))
            return self._sample(step, model)

    def _sample(self, step: int, model: Decoder) -> SampleGenerated:
        training = self.run.training
        _, spans = self.shards.split(self.run.data.validation_fraction)
        prompt, ids = sample_prompt(
            self.tokenizer, self.shards, spans, training.sample_prompt, self.context // 2
        )
        config = DecodingConfig(
            max_tokens=_SAMPLE_TOKENS, seed=derive_seed(training.seed, "sample", step)
        )
        text = ""
        is_text = self.shards.targets is None
        with self._as_written():
            for event in generate(
                model,
                self.tokenizer,
                ids,
                config,
                end_ids=self.end_ids,
                is_healed=is_text,
            ):
                if isinstance(event, GenerationFinished):
                    text = event.text
        return SampleGenerated(step=step, prompt=prompt, text=text)
