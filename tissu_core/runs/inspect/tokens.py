"""The verb inspect tokens: which tokens a model writes, against those of its training text."""

from collections import Counter
from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from tissu_core.checkpoint.tokenizer import load_tokenizer
from tissu_core.config.data import DataConfig
from tissu_core.config.decoding import DecodingConfig
from tissu_core.config.machine import DeviceConfig
from tissu_core.data.corpus import BadLines, iter_corpus, read_corpus
from tissu_core.data.prepare import num_bytes_of
from tissu_core.data.shards import TokenShards
from tissu_core.errors import InputError
from tissu_core.events.replies import TokenGenerated
from tissu_core.events.shared import FileSkipped, Noticed, StageAdvanced
from tissu_core.events.token_use import TokensEvent, TokenShare, TokensMeasured
from tissu_core.runs.catalog import find_model
from tissu_core.runs.home import cache_directory
from tissu_core.runs.run_directory import run_of
from tissu_core.runs.tokenize.figures import written_id
from tissu_core.runs.train.stored_run import read_run
from tissu_core.runs.train.stored_tokens import open_tokens

if TYPE_CHECKING:
    from tissu_core.interpret.token_use import Samples
    from tissu_core.text.tokenizer import Tokenizer

Texts = list[list[int]]
Reading = StageAdvanced | Noticed | FileSkipped
_AT_ONCE = 8
_SEED = 0
"""Of the samples, where none is given: the same command shows the same."""


def inspect_tokens(
    model: str | None,
    *,
    against: DataConfig,
    generated: DataConfig,
    samples: int,
    decoding: DecodingConfig,
    machine: DeviceConfig,
    shown: int,
) -> Iterator[TokensEvent]:
    """Count the tokens of a file, or of texts that the model writes, and of a corpus.

    Without a corpus it is that of the run which the model is from, as tokens. ``shown`` are the
    tokens named of each kind.

    Raises:
        InputError: If the model or a text cannot be read, there is no corpus, or too little text.
    """
    path = find_model(model)
    shards = None if against.corpus else _own_tokens(path)
    from tissu_core.interpret.token_use import Samples, measure_variety

    tokenizer = load_tokenizer(path)
    ids = [id for id, piece in enumerate(tokenizer.pieces) if piece]
    if generated.corpus:
        texts = yield from _read(tokenizer, generated)
        source = ", ".join(generated.corpus)
    else:
        texts = yield from _write(model, samples, decoding, machine)
        source = f"{samples} samples, {_settings(decoding)}"
    texts = _of_text(texts, ids)
    if sum(map(len, texts)) < 2:
        raise InputError(
            "what is generated has fewer than two tokens", hint="more --samples, or another file"
        )
    pieces = Samples([len(text) for text in texts])
    if shards is not None:
        counts = _count_shards(shards, ids, pieces)
    else:
        counts = yield from _count_corpus(tokenizer, against, ids, pieces)
    written: Counter[int] = Counter(id for text in texts for id in text)
    yield TokensMeasured(
        model=str(path),
        source=source,
        vocab_size=len(ids),
        corpus_tokens=counts.total(),
        generated=measure_variety(texts, counts),
        training=measure_variety(pieces.texts(), counts),
        **_compared(tokenizer, ids, written, counts, shown),  # type: ignore[arg-type]
    )


def _compared(
    tokenizer: "Tokenizer",
    ids: Sequence[int],
    written: Mapping[int, int],
    counts: Mapping[int, int],
    shown: int,
) -> dict[str, object]:
    """The tokens that stand out, and those that are nowhere."""
    from tissu_core.interpret.token_use import log2_ratios

    ratios = log2_ratios(written, counts, ids)
    order = sorted(ids, key=lambda id: (-ratios[id], id))

    def told(chosen: Sequence[int]) -> tuple[TokenShare, ...]:
        return tuple(
            TokenShare(
                id=id,
                token=written_id(tokenizer, id),
                generated=written.get(id, 0),
                training=counts.get(id, 0),
                log2_ratio=ratios[id],
            )
            for id in chosen[:shown]
        )

    new = sorted((id for id in written if not counts.get(id)), key=lambda id: (-written[id], id))
    unused = [id for id in ids if not (counts.get(id) or written.get(id))]
    return {
        "overused": told([id for id in order if ratios[id] > 0]),
        "underused": told([id for id in reversed(order) if ratios[id] < 0]),
        "never_in_corpus": sum(not counts.get(id) for id in ids),
        "never_generated": sum(not written.get(id) for id in ids),
        "never_at_all": len(unused),
        "new": told(new),
        "num_new": len(new),
        "unused_ids": tuple(unused),
    }


def _own_tokens(model: Path) -> TokenShards:
    """The tokens that the run of a model learned from."""
    run = run_of(model)
    hint = "name the text to compare with: --against CORPUS"
    if run is None:
        raise InputError(f"{model} is not of a run here, so its text is not known", hint=hint)
    return open_tokens(read_run(run), run.name, hint)


def _write(
    model: str | None, samples: int, decoding: DecodingConfig, machine: DeviceConfig
) -> Generator[Reading, None, Texts]:
    """Texts of the model, from their beginning on."""
    from tissu_core.compress.finite import require_finite
    from tissu_core.decoding.generate import context_of, generate_all
    from tissu_core.decoding.reply import Reply
    from tissu_core.runs.loading import load_to_decode

    loaded = load_to_decode(model, machine)
    require_finite(loaded.model, "spoils all that it writes")
    yield from loaded.notices
    config = replace(decoding, seed=_SEED if decoding.seed is None else decoding.seed)
    context = context_of(loaded.model, config)
    start, texts = [loaded.tokenizer.start_id], [list[int]() for _ in range(samples)]
    replies = [
        Reply(loaded.tokenizer, start, config, context, end_ids=loaded.end_ids, index=index)
        for index in range(samples)
    ]
    done, total = 0, samples * min(config.max_tokens, context - 1)
    for reply, event in generate_all(loaded.model, replies, batch_size=_AT_ONCE):
        if isinstance(event, TokenGenerated):
            texts[reply.index].append(event.token_id)
            done += 1
            yield StageAdvanced(stage="generating", done=done, total=total, unit="tokens")
    return texts


def _settings(decoding: DecodingConfig) -> str:
    seed = _SEED if decoding.seed is None else decoding.seed
    if decoding.greedy:
        return "greedy"
    return f"temperature {decoding.temperature:g}, top-k {decoding.top_k}, seed {seed}"


def _read(tokenizer: "Tokenizer", data: DataConfig) -> Generator[Reading, None, Texts]:
    files = yield from read_corpus(data, cache_directory())
    bad_lines = BadLines()
    texts = [tokenizer.encode(text) for text, _ in iter_corpus(files, bad_lines)]
    yield from bad_lines.judge(len(texts))
    return texts


def _count_corpus(
    tokenizer: "Tokenizer", data: DataConfig, ids: Sequence[int], pieces: "Samples"
) -> Generator[Reading, None, Counter[int]]:
    """The tokens of every document of a corpus."""
    files = yield from read_corpus(data, cache_directory())
    bad_lines, counts, known = BadLines(), Counter[int](), {*ids}
    total, done, documents = num_bytes_of(files), 0, 0
    for text, _ in iter_corpus(files, bad_lines):
        encoded = [id for id in tokenizer.encode(text) if id in known]
        counts.update(encoded)
        pieces.add(encoded)
        documents += 1
        done += len(text.encode())
        yield StageAdvanced(stage="counting", done=min(done, total), total=total, unit="bytes")
    yield from bad_lines.judge(documents)
    return counts


def _count_shards(shards: TokenShards, ids: Sequence[int], pieces: "Samples") -> Counter[int]:
    """The same of tokens on disk."""
    counts, known = Counter[int](), {*ids}
    spans = zip(shards.documents.starts, shards.documents.lengths, strict=True)
    for start, length in spans:
        found = shards.tokens[start : start + length].tolist()
        encoded = [id for id in found if id in known]
        counts.update(encoded)
        pieces.add(encoded)
    return counts


def _of_text(texts: Texts, ids: Sequence[int]) -> Texts:
    """Without control tokens, and without texts that hold nothing else."""
    known = {*ids}
    cleaned = [[id for id in text if id in known] for text in texts]
    return [text for text in cleaned if text]
