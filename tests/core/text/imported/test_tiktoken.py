import base64

import pytest
import tiktoken
import tiktoken_ext.openai_public
from hypothesis import given
from hypothesis import strategies as st

from tests.core.text.imported.made import HARD_TEXTS, rank_file, ranks
from tests.samples import MIXED_TEXTS
from tissu_core.text.imported.tiktoken import ENCODINGS, Encoding, tokenizer_from_ranks
from tissu_core.text.splits import LLAMA3
from tissu_core.text.tokenizer import Tokenizer

RANKS = ranks()
FILE = rank_file(RANKS)
CODE = "class A:\n\n\tdef f(self):  # it's 12345 camelCase HTTPServer\n        return 'É' \n\n\n"


def their_pattern(name: str, monkeypatch: pytest.MonkeyPatch) -> tuple[str, dict[str, int]]:
    """What the library says of an encoding, but for the ranks that it would fetch."""
    library = tiktoken_ext.openai_public
    monkeypatch.setattr(library, "load_tiktoken_bpe", lambda *_, **__: {})
    monkeypatch.setattr(library, "data_gym_to_mergeable_bpe_ranks", lambda *_, **__: {})
    facts = library.ENCODING_CONSTRUCTORS[name]()
    return facts["pat_str"], facts["special_tokens"]


@pytest.mark.parametrize("name", ENCODINGS)
def test_ids_are_those_of_tiktoken(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    pattern, controls = their_pattern(name, monkeypatch)
    assert ENCODINGS[name].control_tokens == controls
    theirs = tiktoken.Encoding(name, pat_str=pattern, mergeable_ranks=RANKS, special_tokens={})
    ours = tokenizer_from_ranks(FILE, Encoding(ENCODINGS[name].pattern))
    for text in (*HARD_TEXTS, CODE, CODE.upper()):
        ids = ours.encode(text)
        assert ids == theirs.encode(text, disallowed_special=()), text
        assert ours.decode(ids) == text


OURS = tokenizer_from_ranks(FILE, Encoding(LLAMA3))
THEIRS = tiktoken.Encoding("x", pat_str=LLAMA3, mergeable_ranks=RANKS, special_tokens={})


@given(
    text=st.text(st.sampled_from("The weaverABC,.\r\n <|endoftx>0149é織🧵\u0301\x00"), max_size=40)
)
def test_any_text_has_the_ids_of_tiktoken(text: str) -> None:
    assert OURS.encode(text) == THEIRS.encode(text, disallowed_special=())


def test_a_hole_between_ids_is_filled_and_control_tokens_have_theirs() -> None:
    controls = {"<|endoftext|>": len(RANKS) + 2, "<|more|>": len(RANKS) + 5}
    ours = tokenizer_from_ranks(FILE, Encoding(LLAMA3, controls))
    assert ours.vocab_size == len(RANKS) + 6
    assert ours.control_tokens.items() >= controls.items()
    assert ours.end_id == ours.start_id == len(RANKS) + 2
    again = Tokenizer(type(ours.backend).from_str(ours.backend.to_str()), ours.config)
    assert again.control_tokens == ours.control_tokens
    assert [again.encode(text) for text in MIXED_TEXTS] == [ours.encode(t) for t in MIXED_TEXTS]


def test_without_names_the_end_of_text_comes_last() -> None:
    assert OURS.end_id == len(RANKS) == OURS.vocab_size - 1


def line(token: bytes, id: int) -> bytes:
    return base64.b64encode(token) + b" %d\n" % id


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (FILE[:20] + b"!" + FILE[21:], "line 3: no token in base 64"),
        (FILE + b"QQ==\n", f"line {len(RANKS) + 1}: no token"),
        (FILE + b"QQ== x\n", "no token in base 64 with its id"),
        (FILE + line(b"a", 999), "the token is there twice"),
        (FILE + line(b"zzzz", 10**12), "the id 1000000000000"),
        (FILE + line(b"zzzz", 0), "two of its tokens have one id"),
        (FILE.partition(b"\n")[2], "no token for the byte 33"),
        (b"", "no token for the byte 0"),
        (FILE + line(b"x" * 600, len(RANKS)), "a piece of 600 characters"),
    ],
)
def test_what_is_damaged_is_named(data: bytes, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        tokenizer_from_ranks(data, Encoding(LLAMA3))


@pytest.mark.parametrize("id", [100, 100_257])
def test_ranks_under_the_name_of_others_are_refused(id: int) -> None:
    with pytest.raises(ValueError, match=r"<\|endoftext\|> would have the id 100"):
        tokenizer_from_ranks(FILE, Encoding(LLAMA3, {"<|endoftext|>": id}))
