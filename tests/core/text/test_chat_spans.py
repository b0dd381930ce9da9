import pytest

from tests.chat_templates import FAMILIES, GENERATION, PHI_3
from tests.samples import CHATML
from tissu_core.errors import InputError
from tissu_core.text.chat_template import Message, Piece, render_chat, render_chat_spans
from tissu_core.text.conversation import encode_chat, encode_chat_spans
from tissu_core.text.tokenizer import Tokenizer

TURNS = [
    Message(role="user", content="What is cloth? <|im_end|></s>"),
    Message(role="assistant", content="Threads </think> crossed.</s>"),
    Message(role="user", content="Why?"),
    Message(role="assistant", content="Threads </think> crossed.</s>"),
]
REPLY = "Threads </think> crossed.</s>"
WRITTEN = {
    "chatml": [f"{REPLY}<|im_end|>"] * 2,
    "llama-2": [f" {REPLY} </s>"] * 2,
    "llama-3": [f"{REPLY}<|eot_id|>"] * 2,
    "gemma": [f"{REPLY}<end_of_turn>"] * 2,
    "mistral": [f"{REPLY}</s>"] * 2,
    "phi-3": [f"{REPLY}<|end|>"] * 2,
    "zephyr": [f"{REPLY}</s>"] * 2,
    "smollm2": [f"{REPLY}<|im_end|>"] * 2,
    # Where a later turn of the person follows, the template drops the thought and its tags.
    "thinking": [
        " crossed.</s><|im_end|>",
        "<think>\nThreads \n</think>\n\n crossed.</s><|im_end|>",
    ],
    "generation": [f"{REPLY}<|im_end|>"] * 2,
}


def spans(template: str, messages: list[Message], controls: tuple[str, ...]) -> list[Piece]:
    return list(render_chat_spans(template, messages, controls, {"eos_token": "</s>"}))


def written(pieces: list[Piece]) -> list[str]:
    """The stretches that the assistant writes."""
    texts = [""]
    for piece in pieces:
        if piece.is_assistant:
            texts[-1] += piece.text
        elif texts[-1]:
            texts.append("")
    return texts if texts[-1] else texts[:-1]


@pytest.mark.parametrize("name", FAMILIES)
def test_the_assistant_writes_its_reply_and_the_token_that_ends_it(name: str) -> None:
    family = FAMILIES[name]
    pieces = list(render_chat_spans(family.template, TURNS, family.controls, family.tokens))
    assert written(pieces) == WRITTEN[name]
    assert [p.is_control for p in pieces if p.is_assistant] == [False, True] * 2


@pytest.mark.parametrize("name", FAMILIES)
def test_it_begins_to_write_where_its_prompt_ends(name: str) -> None:
    family = FAMILIES[name]
    pieces = list(render_chat_spans(family.template, TURNS, family.controls, family.tokens))
    begin = [p.is_assistant for p in pieces].index(True)
    prompt = list(render_chat(family.template, TURNS[:1], family.controls, family.tokens))
    assert pieces[:begin] == prompt


def test_what_follows_the_last_reply_is_left_out() -> None:
    controls = FAMILIES["chatml"].controls
    assert spans(CHATML, TURNS[:3], controls) == spans(CHATML, TURNS[:2], controls)


def test_a_reply_that_says_what_a_person_said_is_told_apart() -> None:
    messages = [
        Message(role="user", content="a"),
        Message(role="assistant", content="a"),
        Message(role="user", content="a"),
        Message(role="assistant", content=""),
        Message(role="assistant", content="assistant\n"),
    ]
    pieces = spans(CHATML, messages, FAMILIES["chatml"].controls)
    assert written(pieces) == ["a<|im_end|>", "<|im_end|>", "assistant\n<|im_end|>"]


def test_a_prompt_that_history_does_not_repeat_leaves_the_reply() -> None:
    template = CHATML.replace("assistant\n{% endif", "assistant\n<think>\n{% endif")
    pieces = spans(template, TURNS, FAMILIES["chatml"].controls)
    assert written(pieces) == [f"{REPLY}<|im_end|>"] * 2


@pytest.mark.parametrize(
    ("template", "reason"),
    [
        ("{% for m in messages %}{{ m.role }}: {{ m.content }}\n{% endfor %}", "no control token"),
        ("{{ messages[0].content }}<|im_end|>", "leaves out"),
        ("{% for m in messages %}{{ m.content }}{{ m.content }}<|im_end|>{% endfor %}", "repeats"),
        (
            "{% for m in messages %}{{ m.content | length }}:{{ m.content }}<|im_end|>{% endfor %}"
            "{% if add_generation_prompt %}<|im_start|>{% endif %}",
            "before a reply changes",
        ),
        (
            "{% for m in messages %}{{ m.content }}{{ m.content | length }}<|im_end|>{% endfor %}",
            "after a reply changes",
        ),
    ],
)
def test_a_template_that_does_not_show_it_is_refused(template: str, reason: str) -> None:
    with pytest.raises(InputError, match=reason) as caught:
        spans(template, TURNS, FAMILIES["chatml"].controls)
    assert "generation" in caught.value.hint


def test_a_conversation_without_a_reply_is_refused() -> None:
    with pytest.raises(InputError, match="no reply"):
        spans(GENERATION, TURNS[:1], ())


def test_ids_of_spans_are_those_of_the_prompt_and_the_reply(tiny_tokenizer: Tokenizer) -> None:
    chat = Tokenizer(tiny_tokenizer.backend, {**tiny_tokenizer.config, "chat_template": CHATML})
    ids, is_assistant = encode_chat_spans(chat, TURNS)
    prompt = encode_chat(chat, TURNS[:3])
    reply = chat.encode(REPLY)
    assert ids == [*prompt, *reply, 3, *chat.encode("\n")]
    assert is_assistant[len(prompt) :] == [True] * len(reply) + [True, False]
    assert [id for id, mine in zip(ids, is_assistant, strict=True) if mine] == [*reply, 3] * 2


def test_the_end_of_a_whole_text_is_no_end_of_a_turn() -> None:
    pieces = spans(PHI_3, TURNS, FAMILIES["phi-3"].controls)
    assert pieces[-1] == Piece("\n</s>", is_control=False), "written after the last turn"
    assert pieces[-2] == Piece("<|end|>", is_control=True, is_assistant=True)
