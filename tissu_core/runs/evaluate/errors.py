"""The verb eval errors: the passages of a text that a model predicts worst."""

import json
from collections.abc import Iterator
from functools import partial
from typing import TYPE_CHECKING

from tissu_core.config.data import DataConfig
from tissu_core.config.machine import DeviceConfig
from tissu_core.data.corpus import read_corpus
from tissu_core.data.documents import kind_of
from tissu_core.data.fingerprint import TextFile
from tissu_core.events.compared import ErrorsEvent, PassageScored, WorstFound
from tissu_core.events.records import to_record
from tissu_core.events.shared import Noticed
from tissu_core.runs.catalog import find_model
from tissu_core.runs.evaluate.scoring import score_files, set_windows
from tissu_core.runs.export.place import new_file
from tissu_core.runs.home import cache_directory
from tissu_core.runs.tokenize.figures import written_id
from tissu_core.storage import write_text

if TYPE_CHECKING:
    from tissu_core.evals.passages import Passage
    from tissu_core.evals.perplexity import ScoredText
    from tissu_core.text.tokenizer import Tokenizer


def find_worst(
    data: DataConfig,
    model: str | None,
    machine: DeviceConfig,
    *,
    top: int,
    passage_tokens: int,
    context: int | None = None,
    stride: int | None = None,
    out: str | None = None,
) -> Iterator[ErrorsEvent]:
    """Score the passages of ``data``; the last event has the ``top`` that cost most bits per byte.

    ``out`` is a file that gets each of them as a line of JSON.

    Raises:
        InputError: If the text or the model cannot be read, or the model predicts nothing.
        ConfigError: If the stride is not in 1..context, the model has too few positions, or
            ``out`` is there already.
    """
    find_model(model)  # what is not there is said before the text is read
    target = None if out is None else new_file(out, "jsonl")
    files = yield from read_corpus(data, cache_directory())
    from tissu_core.evals.perplexity import TextScorer
    from tissu_core.runs.loading import load_for_use

    loaded, _ = load_for_use(model, machine)
    yield from loaded.notices
    context, stride = set_windows(loaded, context, stride)
    worst = _WorstPassages(files, loaded.tokenizer, top, passage_tokens)
    score, num_documents = yield from score_files(TextScorer(loaded, stride), files, worst.add)
    passages = worst.passages()
    if target is not None:
        lines = [json.dumps(to_record(each), ensure_ascii=False) + "\n" for each in passages]
        write_text(target, "".join(lines))
        yield Noticed(level="info", text=f"written: {target}, {len(lines)} passages")
    yield WorstFound(
        model=str(loaded.path),
        loss=score.loss,
        bits_per_byte=score.bits_per_byte,
        num_tokens=score.num_tokens,
        num_bytes=score.num_bytes,
        num_documents=num_documents,
        num_passages=worst.num_seen,
        passage_tokens=passage_tokens,
        context_tokens=context,
        stride=stride,
        passages=passages,
    )


class _WorstPassages:
    """The passages that cost most bits per byte, of documents that come in their order."""

    def __init__(self, files: list[TextFile], tokenizer: "Tokenizer", most: int, size: int) -> None:
        from tissu_core.evals.worst import Worst

        self._files, self._tokenizer, self._size = files, tokenizer, size
        self._worst = Worst[PassageScored](most)
        self._lines = 0
        self.num_seen = 0

    def add(self, scored: "ScoredText") -> None:
        from tissu_core.evals.passages import iter_passages

        if scored.number == 1:
            self._lines = 0
        for passage in iter_passages(scored, self._tokenizer, self._size):
            self.num_seen += 1
            if passage.score.num_bytes:
                cost = passage.score.bits_per_byte
                self._worst.add(cost, partial(self._described, scored, passage))
        self._lines += scored.text.count("\n")

    def _described(self, scored: "ScoredText", passage: "Passage") -> PassageScored:
        path, inside = self._files[scored.file].source.path, slice(passage.first, passage.end)
        before = scored.text.encode()[: passage.byte].count(b"\n")
        score = passage.score
        return PassageScored(
            bits_per_byte=score.bits_per_byte,
            loss=score.loss,
            path=str(path),
            document=scored.number,
            line=self._lines + before + 1 if kind_of(path) == "text" else None,
            byte=passage.byte,
            num_tokens=score.num_tokens,
            num_bytes=score.num_bytes,
            tokens=tuple(written_id(self._tokenizer, id) for id in scored.ids[inside].tolist()),
            losses=tuple(
                float(nll) if is_scored else None
                for nll, is_scored in zip(
                    scored.nll[inside].tolist(), scored.is_scored[inside], strict=True
                )
            ),
        )

    def passages(self) -> tuple[PassageScored, ...]:
        return self._worst.pieces()
