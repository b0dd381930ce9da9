"""The score of a model that is about to change, on a text of which it did not learn."""

from collections.abc import Generator
from typing import TYPE_CHECKING

from tissu_core.config.data import DataConfig
from tissu_core.data.corpus import read_corpus
from tissu_core.data.shards import TokenShards
from tissu_core.events.shared import FileSkipped, Noticed, StageAdvanced
from tissu_core.runs.evaluate.scoring import score_files
from tissu_core.runs.home import cache_directory
from tissu_core.runs.run_directory import run_of
from tissu_core.runs.train.stored_run import read_run
from tissu_core.runs.train.stored_tokens import tokens_directory
from tissu_core.storage import is_sealed

if TYPE_CHECKING:
    from tissu_core.checkpoint.model_directory import LoadedModel
    from tissu_core.models.score import Score


def measure(
    loaded: "LoadedModel", data: DataConfig
) -> Generator[StageAdvanced | Noticed | FileSkipped, None, "Score | None"]:
    """On the corpus, else on the validation text of the model's run; None where there is none."""
    if data.corpus:
        from tissu_core.evals.perplexity import TextScorer

        files = yield from read_corpus(data, cache_directory())
        scorer = TextScorer(loaded, loaded.model.config.max_position_embeddings)
        score, _ = yield from score_files(scorer, files)
        return score
    run = run_of(loaded.path)
    if run is None:
        return None
    stored = read_run(run)
    tokens = tokens_directory(stored)
    if not is_sealed(tokens):
        return None
    from tissu_core.evals.validation import iter_score, validation_windows
    from tissu_core.models.score import Score

    shards = TokenShards(tokens)
    _, spans = shards.split(stored.run.data.validation_fraction)
    batches = validation_windows(
        shards,
        spans,
        context=stored.run.model.context_tokens or 0,
        max_tokens=spans.num_tokens,
        batch_sequences=stored.run.training.micro_batch or 1,
    )
    for found in iter_score(
        loaded.model, loaded.tokenizer, batches, num_tokens=spans.num_tokens, precision="fp32"
    ):
        if isinstance(found, Score):
            return found
        yield found
    return None
