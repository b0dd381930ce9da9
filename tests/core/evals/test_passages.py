import numpy as np
import pytest

from tests.core.text.imported.made import like_llama, sentencepiece_model
from tests.samples import MIXED_TEXTS, STORY, make_config, make_model, score_texts
from tissu_core.evals.passages import byte_costs, iter_passages, token_places
from tissu_core.evals.perplexity import ScoredText
from tissu_core.models.score import Score
from tissu_core.text.imported.sentencepiece import tokenizer_from_sentencepiece
from tissu_core.text.tokenizer import Tokenizer

TEXTS = [STORY, *(text for text in MIXED_TEXTS if text)]
NORMALISING = tokenizer_from_sentencepiece(
    sentencepiece_model("unigram", byte_fallback=True, rule="nmt_nfkc")
)
LLAMA = like_llama()[1]


def scored(tokenizer: Tokenizer, texts: list[str]) -> list[ScoredText]:
    model = make_model(make_config(vocab_size=tokenizer.vocab_size))
    return score_texts(model, tokenizer, texts, 64)


@pytest.fixture(params=["byte-level", "llama", "normalising"])
def tokenizer(request: pytest.FixtureRequest, tiny_tokenizer: Tokenizer) -> Tokenizer:
    return {"byte-level": tiny_tokenizer, "llama": LLAMA, "normalising": NORMALISING}[request.param]


@pytest.mark.parametrize("size", [5, 64, 512])
def test_passages_of_bytes_are_the_same_for_every_tokenizer(
    tokenizer: Tokenizer, size: int
) -> None:
    for each in scored(tokenizer, TEXTS):
        num_bytes, nll = byte_costs(each, tokenizer, size)
        total = len(each.text.encode())
        assert [*num_bytes] == [min(size, total - begin) for begin in range(0, total, size)]
        assert nll.sum() == pytest.approx(each.score.nll, rel=1e-6)


def test_a_token_begins_where_its_text_does(tokenizer: Tokenizer) -> None:
    for each in scored(tokenizer, TEXTS):
        places, text = token_places(each, tokenizer), each.text.encode()
        assert len(places) == len(each.ids) and places[0] == 0 and (np.diff(places) >= 0).all()
        if tokenizer is NORMALISING:
            continue
        for id, place in zip(each.ids[1:].tolist(), places[1:].tolist(), strict=True):
            piece = tokenizer.pieces[id]
            assert text[place:].startswith((piece, piece.removeprefix(b" ")))


def test_places_hold_where_a_tokenizer_spells_a_text_otherwise() -> None:
    """Widths and ligatures become other letters, of which a sum of bytes would drift away."""
    text = "\uff21\uff22\uff23 " * 40 + "The loom"
    (each,) = scored(NORMALISING, [text])
    places = token_places(each, NORMALISING).tolist()
    begin = text.encode().index(b" The loom")
    behind = [id for id, place in zip(each.ids.tolist(), places, strict=True) if place >= begin]
    assert NORMALISING.decode(behind).strip() == "The loom"


@pytest.mark.parametrize("size", [1, 7, 16, 10_000])
def test_passages_of_tokens_part_a_document(tokenizer: Tokenizer, size: int) -> None:
    for each in scored(tokenizer, TEXTS):
        found = [*iter_passages(each, tokenizer, size)]
        assert [passage.first for passage in found[1:]] == [passage.end for passage in found[:-1]]
        assert (found[0].first, found[-1].end) == (1, len(each.ids))
        lengths = [passage.end - passage.first for passage in found]
        assert {*lengths[:-1]} <= {size} and lengths[-1] < 1.5 * size + 1
        assert len(found) == 1 or lengths[-1] >= size / 2
        whole = sum((passage.score for passage in found), Score())
        assert whole.nll == pytest.approx(each.score.nll, rel=1e-6)
        assert whole.num_tokens == each.score.num_tokens
        assert sum(p.score.num_bytes for p in found) + found[0].byte == each.score.num_bytes


def test_a_document_without_text_has_no_passages(tiny_tokenizer: Tokenizer) -> None:
    (each,) = scored(tiny_tokenizer, [""])
    assert [*iter_passages(each, tiny_tokenizer, 8)] == []
    assert [len(part) for part in byte_costs(each, tiny_tokenizer, 8)] == [0, 0]
