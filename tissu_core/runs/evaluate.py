"""The verb eval: a model measured on text."""

from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from tissu_core.config.data import DataConfig
from tissu_core.config.machine import DeviceConfig
from tissu_core.data.corpus import BadLines, iter_corpus, read_corpus
from tissu_core.data.fingerprint import TextFile
from tissu_core.data.prepare import num_bytes_of
from tissu_core.errors import ConfigError, InputError
from tissu_core.events.measures import EvaluateEvent, PerplexityMeasured
from tissu_core.events.shared import Noticed, StageAdvanced
from tissu_core.runs.catalog import find_model
from tissu_core.runs.home import cache_directory

if TYPE_CHECKING:
    from tissu_core.checkpoint.model_directory import LoadedModel
    from tissu_core.models.score import Score


def measure_perplexity(
    data: DataConfig,
    model: str | None,
    machine: DeviceConfig,
    *,
    context: int | None = None,
    stride: int | None = None,
    documents: int = 0,
) -> Iterator[EvaluateEvent]:
    """Score every document of ``data``; the last event is the result.

    ``context`` is read at once, by default what the model was trained on. The result names so many
    ``documents``, those that cost most.

    Raises:
        InputError: If the text or the model cannot be read.
        ConfigError: If the stride is not in 1..context, or the model has too few positions.
    """
    find_model(model)  # what is not there is said before the text is read
    files = yield from read_corpus(data, cache_directory())
    from tissu_core.evals.worst import Worst
    from tissu_core.runs.loading import load_for_use

    loaded, _ = load_for_use(model, machine)
    yield from loaded.notices
    if context is not None:
        loaded.model.set_context(context)
    context = loaded.model.config.max_position_embeddings
    stride = check_stride(stride, context)
    worst = Worst(documents)
    score, num_documents = yield from score_files(loaded, files, stride, worst.add)
    yield PerplexityMeasured(
        model=str(loaded.path),
        loss=score.loss,
        perplexity=score.perplexity,
        bits_per_byte=score.bits_per_byte,
        num_tokens=score.num_tokens,
        num_bytes=score.num_bytes,
        num_documents=num_documents,
        context_tokens=context,
        stride=stride,
        documents=worst.documents(),
    )


def score_files(
    loaded: "LoadedModel",
    files: list[TextFile],
    stride: int,
    on_document: "Callable[[Path, str, Score], object]" = lambda *_: None,
) -> Generator[StageAdvanced | Noticed, None, tuple["Score", int]]:
    """Score every document of these files; returns the score and how many there were.

    ``on_document`` is told the file, the text and the score of each.

    Raises:
        InputError: If they hold no text.
    """
    import torch

    from tissu_core.evals.perplexity import score_document
    from tissu_core.models.score import Score

    device = loaded.model.device
    token_bytes = torch.tensor(loaded.tokenizer.token_bytes(), device=device)
    total = num_bytes_of(files)
    score, num_documents = Score(), 0
    bad_lines = BadLines()
    for text, file in iter_corpus(files, bad_lines):
        num_documents += 1
        own = Score()
        for part in score_document(loaded.model, loaded.tokenizer, text, token_bytes, stride):
            own, score = own + part, score + part
            yield StageAdvanced(
                stage="scoring", done=min(score.num_bytes, total), total=total, unit="bytes"
            )
        on_document(files[file].source.path, text, own)
    yield from bad_lines.judge(num_documents)
    if not score.num_tokens:
        raise InputError("the files hold no letter of text", hint="name other text")
    return score, num_documents


def check_stride(stride: int | None, context: int) -> int:
    """How far windows are moved: half the context, if nothing is said.

    Raises:
        ConfigError: If it is not in 1..context.
    """
    if stride is None:
        return max(1, context // 2)
    if not 1 <= stride <= context:
        raise ConfigError(
            f"--stride is {stride}, and the context is {context}",
            field="stride",
            hint=f"--stride {max(1, context // 2)}",
        )
    return stride
