"""The documents of files, scored: what every verb that measures a model on text does."""

from collections.abc import Callable, Generator
from typing import TYPE_CHECKING

from tissu_core.data.corpus import BadLines, iter_corpus
from tissu_core.data.fingerprint import TextFile
from tissu_core.data.prepare import num_bytes_of
from tissu_core.errors import ConfigError, InputError
from tissu_core.events.shared import Noticed, StageAdvanced

if TYPE_CHECKING:
    from tissu_core.checkpoint.model_directory import LoadedModel
    from tissu_core.evals.perplexity import ScoredText, TextScorer
    from tissu_core.models.score import Score

LEAST_TOKENS = 2


def score_files(
    scorer: "TextScorer",
    files: list[TextFile],
    take: "Callable[[ScoredText], object]" = bool,
    stage: str = "scoring",
) -> Generator[StageAdvanced | Noticed, None, tuple["Score", int]]:
    """Score every document of these files; returns the score and how many there were.

    Each is handed to ``take``, in the order of the files.

    Raises:
        InputError: If they hold no two tokens of text, or the model predicts nothing.
    """
    from tissu_core.models.score import Score

    total = num_bytes_of(files)
    score, done, num_documents = Score(), 0, 0
    bad_lines = BadLines()
    yield StageAdvanced(stage=stage, done=0, total=total, unit="bytes")
    for scored in scorer.iter_scored(iter_corpus(files, bad_lines)):
        if isinstance(scored, int):
            done = min(done + scored, total)
            yield StageAdvanced(stage=stage, done=done, total=total, unit="bytes")
            continue
        num_documents += 1
        score += scored.score
        take(scored)
    yield from bad_lines.judge(num_documents)
    if score.num_tokens < LEAST_TOKENS:
        found = "no token" if not score.num_tokens else f"{score.num_tokens} token"
        raise InputError(
            f"{_named(files)} {found} of text, and a measure needs at least {LEAST_TOKENS}",
            hint="name a longer text",
        )
    return score, num_documents


def _named(files: list[TextFile]) -> str:
    first, *others = (file.source.path for file in files)
    return f"{first} and {len(others)} more have" if others else f"{first} has"


def set_windows(loaded: "LoadedModel", context: int | None, stride: int | None) -> tuple[int, int]:
    """Let a model read ``context`` tokens at once, by default what it was trained on.

    Returns it and the stride, by default half of it.

    Raises:
        ConfigError: If the stride is not in 1..context, or the model has too few positions.
    """
    if context is not None:
        loaded.model.set_context(context)
    context = loaded.model.config.max_position_embeddings
    if stride is not None and not 1 <= stride <= context:
        raise ConfigError(
            f"--stride is {stride}, and the context is {context}",
            field="stride",
            hint=f"--stride {max(1, context // 2)}",
        )
    return context, stride or max(1, context // 2)
