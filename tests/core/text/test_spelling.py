"""Vocabularies in SentencePiece's spelling, through all that makes text of tokens."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import AddedToken, decoders, models, normalizers, pre_tokenizers, processors
from tokenizers import Tokenizer as Backend
from transformers import AutoTokenizer

from tests.core.text.imported.made import HARD_TEXTS, like_llama, sentencepiece_model
from tests.samples import CHATML, MIXED_TEXTS, STORY, make_config, make_model, score_texts
from tissu_core.config.decoding import DecodingConfig
from tissu_core.decoding.bias import resolve_biases
from tissu_core.decoding.generate import generate
from tissu_core.decoding.healing import heal
from tissu_core.errors import InputError
from tissu_core.events.replies import GenerationFinished
from tissu_core.text import streaming
from tissu_core.text.backend import read_backend
from tissu_core.text.chat_template import Message
from tissu_core.text.conversation import encode_chat
from tissu_core.text.imported.sentencepiece import tokenizer_from_sentencepiece
from tissu_core.text.incremental_decoder import IncrementalDecoder
from tissu_core.text.learning import learn
from tissu_core.text.streaming import iter_decoded, iter_encoded
from tissu_core.text.tokenizer import Tokenizer

_, LLAMA = like_llama()
SPACES = tokenizer_from_sentencepiece(
    sentencepiece_model("unigram", byte_fallback=False, rule="nmt_nfkc")
)


@pytest.mark.parametrize("text", HARD_TEXTS)
def test_texts_round_trip_and_their_bytes_add_up(text: str) -> None:
    ids = LLAMA.encode(text)
    assert LLAMA.decode(ids) == text
    lengths = LLAMA.token_bytes()
    assert sum(lengths[id] for id in ids) == len(text.encode()) + bool(text)  # the first space


def test_the_first_space_is_there_once() -> None:
    first, more = LLAMA.encode("The loom"), LLAMA.encode(" moved", is_start=False)
    assert LLAMA.decode([*first, *more]) == "The loom moved"
    assert LLAMA.pieces[first[0]].startswith(b" ")
    assert LLAMA.decode(more) == "moved"
    assert LLAMA.decode(more, is_start=False) == " moved"


@given(ids=st.lists(st.integers(0, LLAMA.vocab_size + 5), max_size=40), is_start=st.booleans())
def test_pieces_of_any_ids_join_to_the_whole_text(ids: list[int], *, is_start: bool) -> None:
    decoder = IncrementalDecoder(LLAMA, is_start=is_start)
    text = "".join([*(decoder.feed(id) for id in ids), decoder.flush()])
    assert text == LLAMA.decode(ids, is_start=is_start)


@pytest.mark.parametrize("tokenizer", [LLAMA, SPACES])
@pytest.mark.parametrize("size", [7, 60])
def test_ids_of_a_stream_are_those_of_the_whole(
    tokenizer: Tokenizer, size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streaming, "_PIECE_CHARACTERS", 40)
    monkeypatch.setattr(streaming, "_IDS_AT_ONCE", 3)
    text = STORY + "\n".join(MIXED_TEXTS)
    chunks = [text[at : at + size] for at in range(0, len(text), size)]
    pieces = list(iter_encoded(tokenizer, chunks))
    assert len(pieces) == 1 if tokenizer is SPACES else len(pieces) > 10
    ids = [id for piece in pieces for id in piece]
    assert ids == tokenizer.encode(text)
    assert "".join(iter_decoded(tokenizer, ids)) == tokenizer.decode(ids)


@pytest.mark.parametrize("prompt", ["She counted ", "the clo", STORY[:40], "Stra\u00dfe, ", "織"])
@pytest.mark.parametrize("is_healed", [True, False])
def test_a_reply_continues_its_prompt(prompt: str, *, is_healed: bool) -> None:
    model = make_model(make_config(vocab_size=LLAMA.vocab_size + 3))
    ids = [LLAMA.start_id, *LLAMA.encode(prompt)]
    config = DecodingConfig(max_tokens=6, seed=1, top_k=0)
    events = generate(model, LLAMA, ids, config, end_ids=frozenset(), is_healed=is_healed)
    *tokens, end = events
    assert isinstance(end, GenerationFinished)
    kept = heal(LLAMA, ids).prompt_ids if is_healed else ids
    chosen = [event.token_id for event in tokens]
    whole = b"".join(map(LLAMA.piece, [*kept, *chosen])).decode("utf-8", "replace")
    assert f" {prompt}{end.text}" == whole


def test_a_lone_space_is_taken_back() -> None:
    healed = heal(LLAMA, [LLAMA.start_id, *LLAMA.encode("She counted ")])
    assert healed.prefix == " "
    assert len(healed.allowed) > 5
    assert all(LLAMA.piece(id).startswith(b" ") for id in healed.allowed)


def test_a_banned_word_is_banned_in_a_line_and_after_a_space() -> None:
    biases = resolve_biases(DecodingConfig(ban_words=("loom",)), LLAMA)
    spelled = {LLAMA.decode(list(bias.ids), is_start=False) for bias in biases}
    assert spelled == {"loom", " loom"}


@pytest.mark.parametrize("tokenizer", [LLAMA, SPACES])
def test_bits_per_byte_count_the_bytes_of_the_text(tokenizer: Tokenizer) -> None:
    model = make_model(make_config(vocab_size=tokenizer.vocab_size))
    for text in (STORY, MIXED_TEXTS[3]):
        score = score_texts(model, tokenizer, [text], 32)[0].score
        assert score.num_bytes == len(text.encode())
        assert score.num_tokens == len(tokenizer.encode(text))  # the unknown among them


def test_a_text_that_spells_a_control_token_never_becomes_one() -> None:
    """Also where the model looks pieces up whole, as a foreign file may ask."""
    vocabulary = [("<unk>", 0.0), ("</s>", 0.0), *((c, -5.0) for c in "▁abs")]
    unigram = Backend(models.Unigram(vocabulary, 0, False))
    whole = {"</s>": 0, "<unk>": 1, **{c: id for id, c in enumerate("▁abs</>", 2)}}
    by_word = Backend(models.BPE(whole, [], ignore_merges=True))
    for backend in (unigram, by_word):
        backend.normalizer = normalizers.Replace(" ", "▁")
        backend.decoder = decoders.Replace("▁", " ")
        backend.add_special_tokens([AddedToken("</s>"), AddedToken("<unk>")])
        tokenizer = Tokenizer(backend, {"eos_token": "</s>", "unk_token": "<unk>"})
        end = tokenizer.end_id
        for text in ("</s>", "a</s>b</s></s>", "</s"):
            assert end not in tokenizer.encode(text)
            assert end not in tokenizer.encode_batch([text])[0]
    assert tokenizer.decode(tokenizer.encode("a</s>b")) == "a</s>b"


def test_what_begins_a_text_is_what_the_tokenizer_says() -> None:
    def led(**config: object) -> Tokenizer:
        backend = learn([STORY], 300, "qwen2").backend
        if "post" in config:
            backend.post_processor = processors.TemplateProcessing(
                single="<|im_start|> $A <|pad|>",
                special_tokens=[("<|im_start|>", 2), ("<|pad|>", 1)],
            )
        return Tokenizer(backend, {"eos_token": "<|im_end|>", **config})

    assert (led().bos_id, led().start_id, led().end_id) == (None, 0, 3)
    assert led().document([9]) == [0, 9]
    assert led().end_ids == {0, 3}
    for leading in (led(bos_token="<|im_start|>", add_bos_token=True), led(post=True)):
        assert leading.bos_id == leading.start_id == 2
        assert leading.document([9]) == [2, 9, 3]
    assert led(bos_token="<|im_start|>").bos_id is None
    assert led(post=True, add_bos_token=False).bos_id is None


def backend_with(**parts: object) -> Backend:
    backend = Backend.from_str(LLAMA.backend.to_str())
    for name, part in parts.items():
        setattr(backend, name, part)
    return backend


SCHEMES = {
    "a space before each segment": backend_with(),
    "a space before the first": backend_with(
        normalizer=None,
        pre_tokenizer=pre_tokenizers.Metaspace(prepend_scheme="first", split=False),
        decoder=decoders.Sequence([decoders.ByteFallback(), decoders.Metaspace("▁", "first")]),
    ),
    "never one": backend_with(
        normalizer=normalizers.Replace(" ", "▁"),
        decoder=decoders.Sequence(
            [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()]
        ),
    ),
}


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("sides", [{}, {"rstrip": True}, {"lstrip": True, "rstrip": True}])
def test_chat_ids_are_those_of_transformers(
    scheme: str, sides: dict[str, bool], tmp_path: Path
) -> None:
    backend = Backend.from_str(SCHEMES[scheme].to_str())
    backend.add_special_tokens(
        [AddedToken(name, normalized=False, **sides) for name in ("<|im_start|>", "<|im_end|>")]
    )
    ours = Tokenizer(
        backend,
        {
            "tokenizer_class": "PreTrainedTokenizerFast",
            "eos_token": "<|im_end|>",
            "chat_template": CHATML,
        },
    )
    ours.save(tmp_path)
    theirs = AutoTokenizer.from_pretrained(tmp_path)
    messages = [("user", " What is cloth? 🧵 "), ("assistant", "Threads."), ("user", "Why?\n")]
    expected = theirs.apply_chat_template(
        [{"role": role, "content": content} for role, content in messages],
        add_generation_prompt=True,
        return_dict=False,
    )
    assert encode_chat(ours, [Message(role=r, content=c) for r, c in messages]) == expected  # type: ignore[arg-type]
    for text in (*MIXED_TEXTS, STORY):
        ids = ours.encode(text)
        assert ids == theirs.encode(text, add_special_tokens=False, split_special_tokens=True)
        assert ours.decode(ids) == theirs.decode(ids)


def test_another_spelling_is_refused_with_its_name() -> None:
    backend = Backend(models.WordPiece({"[UNK]": 0, "a": 1, "##b": 2}, unk_token="[UNK]"))
    backend.decoder = decoders.WordPiece()
    with pytest.raises(InputError, match="WordPiece"):
        _ = Tokenizer(backend, {}).pieces


def panicking() -> str:
    model = {"type": "BPE", "continuing_subword_prefix": "####"}
    model |= {"vocab": {"a": 0, "b": 1, "ab": 2}, "merges": ["a b"]}  # type: ignore[dict-item]
    return json.dumps({"version": "1.0", "added_tokens": [], "model": model})


def test_a_file_that_panics_the_library_is_named(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "tokenizer.json"
    path.write_text(panicking())
    with pytest.raises(InputError, match=r"tokenizer\.json is no tokenizer"):
        read_backend(path)
    assert capfd.readouterr().err == ""


def test_a_file_larger_than_any_tokenizer_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "tokenizer.json"
    with path.open("wb") as file:
        file.truncate(1 << 40)
    with pytest.raises(InputError, match="1,099,511,627,776 bytes"):
        read_backend(path)
