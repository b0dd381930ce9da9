import itertools
from collections.abc import Callable
from contextlib import suppress

import pytest
import sentencepiece
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.core.text.imported.made import HARD_TEXTS, like_llama, sentencepiece_model
from tissu_core.errors import InputError
from tissu_core.text.backend import named_failures
from tissu_core.text.imported.sentencepiece import tokenizer_from_sentencepiece
from tissu_core.text.tokenizer import Tokenizer

AS_IS = {"rule": "identity", "remove_extra_whitespaces": False}
RULES = {
    "as it is": AS_IS,
    "no first space": {**AS_IS, "add_dummy_prefix": False},
    "nmt_nfkc, extra spaces removed": {"rule": "nmt_nfkc"},
    "nfkc": {"rule": "nfkc", "remove_extra_whitespaces": False},
    "pieces of the user": {
        **AS_IS,
        "user_defined_symbols": "<user>,▁▁,▁▁▁▁",
        "control_symbols": "[INST]",
    },
    "ids of its own": {**AS_IS, "pad_id": 0, "eos_id": 1, "unk_id": 2, "bos_id": -1},
}
KINDS = list(itertools.product(["unigram", "bpe"], [True, False], RULES))
MORE_TEXTS = ("hi<user> there <user>", "<user>hi", "[INST] x", "ab<user", "x   y     z")


@pytest.mark.parametrize(("kind", "byte_fallback", "rule"), KINDS)
def test_ids_and_text_are_those_of_sentencepiece(kind: str, byte_fallback: bool, rule: str) -> None:
    data = sentencepiece_model(kind, byte_fallback=byte_fallback, **RULES[rule])
    theirs = sentencepiece.SentencePieceProcessor(model_proto=data)
    ours = tokenizer_from_sentencepiece(data)
    for text in (*HARD_TEXTS, *MORE_TEXTS):
        ids = ours.encode(text)
        assert ids == theirs.encode(text), text
        if theirs.unk_id() not in ids:
            assert ours.decode(ids) == theirs.decode(ids)
    assert ours.vocab_size == theirs.vocab_size()
    assert ours.end_id == theirs.eos_id()
    assert ours.bos_id == (theirs.bos_id() if theirs.bos_id() >= 0 else None)


LLAMA, OURS = like_llama()
THEIRS = sentencepiece.SentencePieceProcessor(model_proto=LLAMA)


@given(text=st.text(st.sampled_from("The weaver,.\n ▁<>s/0x4A織é🧵\u0301\x00"), max_size=40))
@settings(max_examples=300)
def test_any_text_has_the_ids_of_sentencepiece(text: str) -> None:
    ids = OURS.encode(text)
    assert ids == THEIRS.encode(text)
    assert OURS.decode(ids) == text.replace("▁", " ")


@given(ids=st.lists(st.integers(0, OURS.vocab_size - 1), max_size=30))
def test_any_ids_have_the_text_of_sentencepiece_where_they_have_one(ids: list[int]) -> None:
    ours = OURS.decode(ids)
    if "\ufffd" not in ours:
        assert ours == THEIRS.decode(ids)


def test_its_file_gives_the_same() -> None:
    data = sentencepiece_model("unigram", byte_fallback=True, rule="nmt_nfkc")
    ours = tokenizer_from_sentencepiece(data)
    again = type(ours.backend).from_str(ours.backend.to_str())
    found = Tokenizer(again, ours.config)
    assert [found.encode(text) for text in HARD_TEXTS] == [ours.encode(t) for t in HARD_TEXTS]


def _cut(data: bytes) -> bytes:
    return data[: len(data) // 2]


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda data: b"", "0 pieces for the unknown"),
        (_cut, r"byte \d+"),
        (lambda data: b"\x0a\xff\xff\xff\xff\x7f" + data, "byte 6.*needs 34,359,738,367 bytes"),
        (lambda data: b"\xff" * 20, "byte 0: a number without an end"),
        (lambda data: b"\x0b" + data, "byte 0: a field of the unknown kind 3"),
        (lambda data: b"\x0a\x03\x0a\x01\xff" + data, "byte 2: a piece that is not UTF-8"),
        (lambda data: b"\x0a\x03\x0a\x01t" + data, "'t' stands there 2 times"),
        (lambda data: b"\x0a\x05\x0a\x01\x01\x18\x09" + data, "unknown type 9"),
        (lambda data: b"\x0a\x04\x0a\x01\x01\x10" + data, r"byte \d+"),
        (lambda data: data + b"\x12\x02\x18\x03", "its type is word"),
        (lambda data: data + b"\x1a\x02\x28\x00", "spaces stand otherwise"),
        (lambda data: data.replace(b"<0x41>", b"<0x4z>"), "no <0x41>"),
    ],
)
def test_what_is_damaged_is_named(damage: Callable[[bytes], bytes], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        tokenizer_from_sentencepiece(damage(LLAMA))


CHANGES = st.lists(
    st.tuples(
        st.integers(0, 1 << 20), st.integers(0, 255), st.sampled_from(["set", "drop", "cut"])
    ),
    min_size=1,
    max_size=4,
)
NORMALISED = sentencepiece_model("unigram", byte_fallback=False, rule="nfkc")


@given(changes=CHANGES, data=st.sampled_from([LLAMA, NORMALISED[-900:], NORMALISED]))
@settings(max_examples=1000)
def test_a_changed_file_is_read_or_refused(
    changes: list[tuple[int, int, str]], data: bytes
) -> None:
    for at, byte, kind in changes:
        at %= max(1, len(data))
        rest = {"set": data[at + 1 :], "drop": data[at + 1 :], "cut": b""}[kind]
        data = data[:at] + (bytes([byte]) if kind == "set" else b"") + rest
    with suppress(InputError), named_failures("x.model"):
        tokenizer = tokenizer_from_sentencepiece(data)
        tokenizer.decode(tokenizer.encode("The loom's 織\n"))
