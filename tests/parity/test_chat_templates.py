"""Chat templates: the text of transformers, for templates in the manner of well-known families."""

from itertools import product

import pytest
from jinja2 import TemplateError
from transformers.utils.chat_template_utils import render_jinja_template

from tests.chat_templates import FAMILIES, GENERATION
from tissu_core.errors import InputError
from tissu_core.text.chat_template import Message, render_chat, render_chat_spans

TEXTS = {
    "system": "  Be brief. 短く。\n",
    "user": " What is\r\n  cloth? 🧵 </think> <b>",
    "assistant": "\n<think>\nWarp?\n</think>\n\n Threads, crossed. ",
}
ROLES = ("system", "user", "assistant")


def conversation(roles: tuple[str, ...]) -> list[dict[str, str]]:
    return [{"role": role, "content": f"{TEXTS[role]}{n}"} for n, role in enumerate(roles)]


@pytest.mark.parametrize("name", FAMILIES)
def test_every_order_of_roles_gives_the_text_of_transformers(name: str) -> None:
    family = FAMILIES[name]
    num_rendered = 0
    for roles in (roles for n in range(1, 5) for roles in product(ROLES, repeat=n)):
        chat = conversation(roles)
        messages = [Message(role=m["role"], content=m["content"]) for m in chat]  # type: ignore[arg-type]
        try:
            (expected,), _ = render_jinja_template(
                conversations=[chat],
                chat_template=family.template,
                add_generation_prompt=True,
                **family.tokens,
            )
        except TemplateError:
            expected = ""
        if not expected:  # refused by both; what gives no prompt, by us alone
            with pytest.raises(InputError):
                list(render_chat(family.template, messages, family.controls, family.tokens))
            continue
        pieces = render_chat(family.template, messages, family.controls, family.tokens)
        assert "".join(piece.text for piece in pieces) == expected
        num_rendered += 1
    assert num_rendered >= 4


def test_generation_blocks_are_spans_as_in_transformers() -> None:
    chat = conversation(("system", "user", "assistant", "user", "assistant"))
    (text,), (spans,) = render_jinja_template(
        conversations=[chat], chat_template=GENERATION, return_assistant_tokens_mask=True
    )
    messages = [Message(role=m["role"], content=m["content"]) for m in chat]  # type: ignore[arg-type]
    pieces = list(render_chat_spans(GENERATION, messages, FAMILIES["generation"].controls, {}))
    assert "".join(piece.text for piece in pieces) == text
    ours = "".join(piece.text for piece in pieces if piece.is_assistant)
    assert ours == "".join(text[start:end] for start, end in spans)
    assert len(spans) == 2 and ours.count("<|im_end|>") == 2
