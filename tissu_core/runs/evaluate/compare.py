"""The verb eval compare: models side by side on the same text."""

from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from tissu_core.config.data import DataConfig
from tissu_core.config.machine import DeviceConfig
from tissu_core.config.suites import SuitesConfig
from tissu_core.data.corpus import read_corpus
from tissu_core.data.fingerprint import TextFile
from tissu_core.errors import ConfigError
from tissu_core.events.compared import CompareEvent, ModelCompared, ModelsCompared
from tissu_core.events.shared import Noticed, StageAdvanced
from tissu_core.models.count import num_parameters
from tissu_core.runs.catalog import find_model
from tissu_core.runs.evaluate.scoring import score_files, set_windows
from tissu_core.runs.evaluate.settings import KnownSettings, differing, known_settings
from tissu_core.runs.evaluate.suites import open_suites
from tissu_core.runs.home import cache_directory

if TYPE_CHECKING:
    from tissu_core.evals.paired import Costs, Interval
    from tissu_core.evals.perplexity import ScoredText
    from tissu_core.models.score import Score
    from tissu_core.runs.models.show import ModelFacts

PIECE_BYTES = 512
"""Of a passage, where there are too few documents."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Measured:
    """What one model made of the text."""

    facts: "ModelFacts"
    settings: KnownSettings
    tokenizer: str
    vocab_size: int
    num_parameters: int
    context: int
    stride: int
    score: "Score"
    num_documents: int
    costs: "Costs"
    tokens_per_second: float


def compare_models(
    models: Sequence[str],
    data: DataConfig,
    machine: DeviceConfig,
    *,
    context: int | None = None,
    stride: int | None = None,
    seed: int = 0,
    suites: SuitesConfig | None = None,
) -> Iterator[CompareEvent]:
    """Score the same text with each model, one after the other; the last event is the result.

    Each reads its own context unless one is given. Differences are to the first model. Then the
    ``suites`` are put to each.

    Raises:
        InputError: If the text, a suite or a model cannot be read, or one predicts nothing.
        ConfigError: If there are fewer than two models, the stride is not in 1..context, a model
            has too few positions, or a suite's code cannot be contained.
    """
    if len(models) < 2:
        raise ConfigError(
            f"{len(models)} model is named, and a comparison needs two",
            field="models",
            hint="tissu eval compare MODEL MODEL --data FILE   (tissu models list has them all)",
        )
    paths = [find_model(model) for model in models]  # said before the text is read
    if len({*paths}) < len(paths):
        twice = next(
            model for model, path in zip(models, paths, strict=True) if paths.count(path) > 1
        )
        yield Noticed(level="info", text=f"{twice} is named more than once")
    suites = suites or SuitesConfig()
    opened = open_suites(suites.names, is_code_allowed=suites.is_code_allowed)
    files = yield from read_corpus(data, cache_directory())
    measured = []
    for model in models:
        measured.append((yield from _measure(model, files, machine, context, stride)))
    result = _compared(models, measured, seed)
    if opened:
        from tissu_core.runs.evaluate.compare_suites import compare_suites

        asked = yield from compare_suites(opened, suites, models, machine, seed)
        result = replace(result, suites=asked)
    yield result


def _measure(
    model: str,
    files: list[TextFile],
    machine: DeviceConfig,
    context: int | None,
    stride: int | None,
) -> Generator[StageAdvanced | Noticed, None, _Measured]:
    """Load a model, score the text and let it go."""
    from tissu_core.evals.paired import Costs
    from tissu_core.evals.passages import byte_costs
    from tissu_core.evals.perplexity import TextScorer
    from tissu_core.runs.loading import load_for_use
    from tissu_core.runs.models.show import show_model

    loaded, _ = load_for_use(model, machine)
    yield from loaded.notices
    facts = show_model(model)
    settings = known_settings(loaded, ", ".join(facts.bytes_by_dtype))
    context, stride = set_windows(loaded, context, stride)
    scorer, costs = TextScorer(loaded, stride), Costs()

    def take(scored: "ScoredText") -> None:
        costs.add(*byte_costs(scored, loaded.tokenizer, PIECE_BYTES))

    score, num_documents = yield from score_files(scorer, files, take, stage=f"scoring {model}")
    return _Measured(
        facts=facts,
        settings=settings,
        tokenizer=loaded.tokenizer.sha256,
        vocab_size=loaded.tokenizer.vocab_size,
        num_parameters=num_parameters(loaded.model.config),
        context=context,
        stride=stride,
        score=score,
        num_documents=num_documents,
        costs=costs,
        tokens_per_second=scorer.num_read / scorer.seconds,
    )


def _compared(models: Sequence[str], measured: Sequence[_Measured], seed: int) -> ModelsCompared:
    from tissu_core.evals.paired import CONFIDENCE, RESAMPLES, intervals_to_first

    first = measured[0]
    units = [each.costs.units() for each in measured]
    intervals = intervals_to_first(units[0][0], [bits for _, bits in units], seed)
    are_documents = first.costs.are_documents_enough
    return ModelsCompared(
        models=tuple(
            _model(model, each, first, interval)
            for model, each, interval in zip(models, measured, intervals, strict=True)
        ),
        num_bytes=first.score.num_bytes,
        num_documents=first.num_documents,
        unit="documents" if are_documents else "passages",
        num_units=len(units[0][0]),
        unit_bytes=None if are_documents else PIECE_BYTES,
        resamples=RESAMPLES,
        confidence=CONFIDENCE,
        seed=seed,
        have_one_tokenizer=len({each.tokenizer for each in measured}) == 1,
        settings=differing([each.settings for each in measured]),
    )


def _model(name: str, measured: _Measured, first: _Measured, interval: "Interval") -> ModelCompared:
    score = measured.score
    return ModelCompared(
        model=name,
        path=measured.facts.path,
        num_parameters=measured.num_parameters,
        num_bytes=measured.facts.num_bytes,
        weights=", ".join(measured.facts.bytes_by_dtype),
        vocab_size=measured.vocab_size,
        context_tokens=measured.context,
        stride=measured.stride,
        loss=score.loss,
        perplexity=score.perplexity,
        bits_per_byte=score.bits_per_byte,
        num_tokens=score.num_tokens,
        tokens_per_byte=score.num_tokens / score.num_bytes,
        difference=score.bits_per_byte - first.score.bits_per_byte,
        low=interval.low,
        high=interval.high,
        is_beyond_chance=interval.is_beyond_chance,
        prefill_tokens_per_second=measured.tokens_per_second,
    )
