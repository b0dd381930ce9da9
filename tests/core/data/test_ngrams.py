"""N-grams of items in a corpus, held against sets of tuples."""

import json
import random
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.core.data.test_verbatim import drained
from tissu_core.config.data import DataConfig
from tissu_core.data import documents
from tissu_core.data.corpus import read_corpus
from tissu_core.data.ngrams import Leak, NGrams, iter_leaks, plain_words

LETTERS = st.lists(st.sampled_from("abcd"), max_size=30)


def plain_hits(items: list[list[str]], words: list[str], n: int) -> set[tuple[int, int]]:
    found = set()
    for number, item in enumerate(items):
        length = min(n, len(item))
        if length < min(n, 8):
            continue
        there = {tuple(words[at : at + length]) for at in range(len(words) - length + 1)}
        places = range(len(item) - length + 1)
        found |= {(number, at) for at in places if tuple(item[at : at + length]) in there}
    return found


@given(st.lists(LETTERS, min_size=1, max_size=4), LETTERS, st.sampled_from([2, 3, 5, 9, 13]))
def test_all_ngrams_that_stand_there_are_found_and_none_else(
    items: list[list[str]], words: list[str], n: int
) -> None:
    ngrams = NGrams(items, n)
    words = [*words, "z", *items[0], "y"]
    hits = [*ngrams.iter_hits(ngrams.ids_of(words))]
    assert {(hit.item, hit.position) for hit in hits} == plain_hits(items, words, n)
    for hit in hits:
        text = ngrams.text_of(hit.item, hit.position).split()
        assert words[hit.at : hit.at + len(text)] == text
    assert [*ngrams.iter_hits(ngrams.ids_of(words))] == []


def test_an_ngram_is_told_of_every_item_that_has_it() -> None:
    ngrams = NGrams([["a", "b", "c"], ["b", "c"], ["c", "a"]], 2)
    hits = ngrams.iter_hits(ngrams.ids_of(["b", "c", "b", "c"]))
    assert sorted((hit.item, hit.position, hit.at) for hit in hits) == [(0, 1, 0), (1, 0, 0)]


def test_short_items_are_one_ngram_and_shorter_ones_none() -> None:
    ngrams = NGrams([["w"] * 7, ["w"] * 8, ["w"] * 12, ["w"] * 13, ["w"] * 20], 13)
    assert [ngrams.is_short(item) for item in range(5)] == [True, False, False, False, False]
    assert [ngrams.count(item) for item in range(5)] == [0, 1, 1, 1, 8]
    assert not NGrams([["w"] * 5], 5).is_short(0)
    assert NGrams([["w"] * 4], 5).is_short(0)


@pytest.mark.parametrize("cut", [None, 40])
def test_places_are_told_across_the_cuts_of_long_texts(
    tmp_path: Path, cut: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    draw = random.Random(3)
    lines = [" ".join(f"w{draw.randrange(10**6)}" for _ in range(7)) for _ in range(40)]
    (tmp_path / "a.txt").write_text("\n".join(lines), "utf-8")
    (tmp_path / "b.jsonl").write_text("".join(json.dumps({"text": x}) + "\n" for x in lines[:4]))
    if cut:
        monkeypatch.setattr(documents, "DOCUMENT_CHARACTERS", cut)
    files = drained(read_corpus(DataConfig(corpus=(str(tmp_path),)), tmp_path / "cache"))
    items = [plain_words(f"{lines[number]}!  {lines[number + 1].upper()}") for number in range(39)]
    leaks = [leak for leak in iter_leaks(files, 0, NGrams(items, 13)) if isinstance(leak, Leak)]
    assert sorted((leak.item, leak.position) for leak in leaks) == [
        (item, position) for item in range(39) for position in (0, 1)
    ]
    for leak in leaks:
        assert leak.place.path.endswith("a.txt") and leak.place.line is not None
        # Of what begins in the piece before, the line where the next one begins.
        assert 0 <= leak.place.line - (leak.item + 1) <= (2 if cut else 0)
