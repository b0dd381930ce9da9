from tests.samples import STORY
from tissu_core.text.bpe_trainer import SMALLEST_VOCABULARY, learn_bpe
from tissu_core.text.special_tokens import SPECIAL_TOKENS
from tissu_core.text.tokenizer import Tokenizer


def test_learning_twice_gives_the_same_vocabulary() -> None:
    assert learn_bpe([STORY], 400).to_str() == learn_bpe([STORY], 400).to_str()


def test_the_smallest_vocabulary_is_control_tokens_and_bytes() -> None:
    tokenizer = Tokenizer(learn_bpe([STORY], SMALLEST_VOCABULARY))
    assert tokenizer.vocab_size == SMALLEST_VOCABULARY == 272
    assert len(tokenizer.encode("织 a")) == 5


def test_merges_shorten_the_text_they_were_learned_from() -> None:
    small, large = (Tokenizer(learn_bpe([STORY], size)) for size in (272, 500))
    assert large.vocab_size == 500
    assert len(large.encode(STORY)) < 0.7 * len(small.encode(STORY))


def test_without_pairs_to_merge_the_vocabulary_stays_small() -> None:
    for texts in ([], ["a b c"]):
        tokenizer = Tokenizer(learn_bpe(texts, 1000))
        assert tokenizer.vocab_size < 280
        assert tokenizer.decode(tokenizer.encode("織物")) == "織物"


def test_digits_stand_alone_and_words_keep_their_space() -> None:
    tokenizer = learn_bpe(["the 1234 the 1234 the 1234"] * 9, 300)
    assert tokenizer.encode("the 1234").tokens == ["the", "Ġ", "1", "2", "3", "4"]
    assert tokenizer.encode(" the").tokens == ["Ġthe"]


def test_a_control_token_in_the_learned_text_keeps_its_fixed_id() -> None:
    tokenizer = learn_bpe([f"{spelling} " * 9 for spelling in reversed(SPECIAL_TOKENS)], 400)
    assert [tokenizer.token_to_id(spelling) for spelling in SPECIAL_TOKENS] == list(range(16))
