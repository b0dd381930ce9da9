"""What stands in a corpus, held against a plain search of its texts."""

import json
import random
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any

import pytest

from tissu_core.config.data import DataConfig
from tissu_core.data import documents, verbatim_index
from tissu_core.data.corpus import read_corpus
from tissu_core.data.fingerprint import TextFile
from tissu_core.data.verbatim import Span, WordedText, cover, iter_spans
from tissu_core.data.verbatim_index import VerbatimIndex, write_index
from tissu_core.data.words import word_spans
from tissu_core.errors import InputError
from tissu_core.storage import sealed_directory

WORDS = [
    "the",
    "weaver",
    "set",
    "loom",
    "beside",
    "a",
    "window",
    "where",
    "light",
    "stayed",
    "longest",
    "and",
    "she",
    "began",
]


def drained(events: Generator[Any, None, Any]) -> Any:
    while True:
        try:
            next(events)
        except StopIteration as end:
            return end.value


def index_of(folder: Path, data: DataConfig | None = None) -> VerbatimIndex:
    cache = folder.parent / "cache"
    data = data or DataConfig(corpus=(str(folder),), format="auto")
    files: list[TextFile] = drained(read_corpus(data, cache, may_mix=True))
    facts: dict[str, Any] = {"kind": "verbatim"}
    with sealed_directory(cache / "index", facts) as temporary:
        facts |= drained(write_index(files, 0, temporary))
    return VerbatimIndex(cache / "index", files)


@pytest.fixture
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Documents, blocks and what is compared at once of few bytes, so that all ends are met."""
    monkeypatch.setattr(documents, "DOCUMENT_CHARACTERS", 300)
    monkeypatch.setattr(verbatim_index, "DEPTH", 64)
    monkeypatch.setattr(verbatim_index, "BLOCK_WORDS", 40)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "corpus").mkdir()
    return tmp_path / "corpus"


def some_text(seed: int, num_words: int) -> str:
    draw = random.Random(seed)
    return "".join(
        draw.choice(WORDS) + draw.choice([" ", " ", ", ", ".\n"]) for _ in range(num_words)
    )


def spans_of(text: str, index: VerbatimIndex, min_words: int) -> list[str]:
    worded = WordedText(text)
    spans = iter_spans(worded, index, min_words)
    return [worded.bytes_of(span.first, span.last).decode() for span in spans]


def plain_spans(text: str, texts: list[str], min_words: int) -> Iterator[str]:
    """The same by looking for everything everywhere."""
    begins, ends = (each.tolist() for each in word_spans(text))
    known = {place: {*word_spans(place)[0].tolist()} for place in texts}

    def stands(wanted: str) -> bool:
        for place in texts:
            at = place.find(wanted)
            while at >= 0:
                if at in known[place]:
                    return True
                at = place.find(wanted, at + 1)
        return False

    reached = 0
    for first in range(len(begins)):
        last = first
        while last < len(ends) and stands(text[begins[first] : ends[last]]):
            last += 1
        if last > reached and last - first >= min_words:
            yield text[begins[first] : ends[last - 1]]
        reached = max(reached, last)


@pytest.mark.usefixtures("small_blocks")
@pytest.mark.parametrize("seed", range(6))
def test_every_longest_span_is_found_and_no_other(folder: Path, seed: int) -> None:
    texts = [some_text(10 * seed + number, 150) for number in range(3)]
    for number, text in enumerate(texts):
        (folder / f"{number}.txt").write_text(text, "utf-8")
    index = index_of(folder)
    asked = some_text(10 * seed + 7, 60) + texts[1][200:500] + some_text(10 * seed + 8, 30)
    for min_words in (1, 3, 5):
        assert spans_of(asked, index, min_words) == [*plain_spans(asked, texts, min_words)]


@pytest.mark.usefixtures("small_blocks")
@pytest.mark.parametrize("num_words", [5, 6, 13, 40, 200, 900])
def test_a_planted_quote_of_any_length_is_found_whole(folder: Path, num_words: int) -> None:
    quote = " ".join(f"w{number * 7919 % 1009}" for number in range(num_words))
    before, after = some_text(1, 333), some_text(2, 90)
    (folder / "a.txt").write_text(some_text(3, 200), "utf-8")
    (folder / "b.txt").write_text(f"{before}\n{quote} {after}", "utf-8")
    index = index_of(folder)
    assert len(index.facts["blocks"]) > 3
    assert spans_of(f"Nobody wrote: {quote}! This is new.", index, 5) == [quote]
    (at,) = index.find(quote.encode())
    place = index.place(at)
    assert (Path(place.path).name, place.text) == ("b.txt", 1)
    assert place.line == before.count("\n") + 2
    assert index.count(quote.encode()) == 1


@pytest.mark.usefixtures("small_blocks")
def test_times_are_all_places_where_it_stands(folder: Path) -> None:
    line = "every thread counts twice in cloth like this\n"
    (folder / "a.txt").write_text("".join(f"{n} {line}" for n in range(50)), "utf-8")
    (folder / "b.jsonl").write_text(
        "".join(json.dumps({"text": f"{line}{n}"}) + "\n" for n in range(9)), "utf-8"
    )
    index = index_of(folder)
    wanted = line.strip().encode()
    assert index.count(wanted) == 59
    places = [index.place(at) for at in index.find(wanted)]
    of_text = sorted(p.line or 0 for p in places if p.path.endswith("a.txt"))
    of_json = sorted((p.text, p.line) for p in places if p.path.endswith("b.jsonl"))
    assert of_text == [*range(1, 51)]
    assert of_json == [(n, n) for n in range(1, 10)]
    assert not index.has(b"very thread counts")


@pytest.mark.usefixtures("small_blocks")
def test_what_is_longer_than_the_order_reaches_is_compared(folder: Path) -> None:
    draw = random.Random(0)
    ends = [f"end{n}" for n in range(30)]
    draw.shuffle(ends)
    lines = [json.dumps({"text": "x " * 200 + end}) + "\n" for end in [*ends, "end7"]]
    (folder / "a.jsonl").write_text("".join(lines), "utf-8")
    index = index_of(folder)
    for end in ends:
        times = sum(other.startswith(end) for other in [*ends, "end7"])
        assert index.count(b"x " * 200 + end.encode()) == times
    assert spans_of("x " * 200 + "end7 nowhere", index, 5) == ["x " * 200 + "end7"]


def test_nothing_is_found_across_two_texts(folder: Path) -> None:
    (folder / "a.txt").write_text("one two three four", "utf-8")
    (folder / "b.txt").write_text("five six seven eight", "utf-8")
    index = index_of(folder)
    assert spans_of("one two three four five six seven eight", index, 2) == [
        "one two three four",
        "five six seven eight",
    ]


def test_turns_of_conversations_are_texts(folder: Path) -> None:
    turns = [{"role": "user", "content": "Who wove it?"}, {"role": "assistant", "content": "She."}]
    (folder / "a.jsonl").write_text(json.dumps({"messages": turns}) + "\nno json\n", "utf-8")
    (folder / "b.txt").write_text("and a text beside them", "utf-8")
    index = index_of(folder)
    assert spans_of("Who wove it? She.", index, 1) == ["Who wove it", "She"]
    assert index.place(next(index.find(b"Who wove it"))).line == 1


def test_a_corpus_without_a_word_is_refused(folder: Path) -> None:
    (folder / "a.txt").write_text("... --- ...\n", "utf-8")
    with pytest.raises(InputError, match="no word"):
        index_of(folder)


def test_a_cover_is_the_fewest_spans_that_hold_every_word() -> None:
    draw = random.Random(0)
    for _ in range(200):
        starts = sorted(draw.sample(range(40), 8))
        ends = sorted(draw.sample(range(1, 60), 8))
        spans = [Span(a, b) for a, b in zip(starts, ends, strict=True) if a < b]
        chosen = cover(spans)
        held = {word for span in spans for word in range(span.first, span.last)}
        assert held == {word for span in chosen for word in range(span.first, span.last)}
        for left_out in chosen:
            rest = [span for span in chosen if span is not left_out]
            assert held != {word for span in rest for word in range(span.first, span.last)}
