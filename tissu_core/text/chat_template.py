"""Conversations as the text a model was taught to read, by its own Jinja template.

What a person typed is text and never a control token: in a message, every letter that a control
token could begin with is carried through the template under another letter, one that occurs nowhere
else, and is put back when the control tokens are found. So no control token ever begins inside a
message, whatever the template trims, cuts, joins or turns to capitals.
"""

import functools
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate, pairwise
from typing import TYPE_CHECKING, Any, Literal

from tissu_core.errors import InputError
from tissu_core.text.template_meter import BASE_UNITS, UNITS_PER_CHARACTER

if TYPE_CHECKING:
    from tissu_core.text.template_sandbox import Sandbox

# Hieroglyphs and on: printable and without case, so that no filter changes them.
_STAND_INS = range(0x13000, 0x33000)


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """One turn of a conversation."""

    role: Literal["system", "user", "assistant"]
    content: str


@dataclass(frozen=True, slots=True)
class Piece:
    """A stretch of a rendered conversation."""

    text: str
    is_control: bool
    """Whether it is one control token; else text, whatever it spells."""
    is_assistant: bool = False
    """Whether the assistant writes it: its reply, and the token that ends its turn."""


def render_chat(
    template: str,
    messages: Sequence[Message],
    control_tokens: Sequence[str],
    config: Mapping[str, Any],
) -> Iterator[Piece]:
    """Pieces of the prompt in order, up to where the assistant begins to write.

    Raises:
        InputError: If the template is broken, refuses the conversation, leaves its sandbox, or
            does more work than a conversation needs.
    """
    chat = _Rendering(template, messages, control_tokens, config)
    prompt = chat.render(chat.messages, is_prompt=True)
    if not prompt:
        raise _failed("it gives an empty prompt")
    yield from chat.pieces(prompt, [])


def render_chat_spans(
    template: str,
    messages: Sequence[Message],
    control_tokens: Sequence[str],
    config: Mapping[str, Any],
) -> Iterator[Piece]:
    """Pieces of a whole conversation, which say what the assistant writes.

    The assistant writes what stands in the template's ``{% generation %}`` blocks. In a template
    without them it writes from where its prompt would end to the control token after its reply.
    What follows the last reply is left out.

    Raises:
        InputError: As ``render_chat``; and if there is no reply, or the template does not show
            where a reply begins and ends.
    """
    is_reply = [message.role == "assistant" for message in messages]
    if True not in is_reply:
        raise InputError("this conversation has no reply", hint="give messages of the assistant")
    end = len(messages) - is_reply[::-1].index(True)
    chat = _Rendering(template, messages[:end], control_tokens, config)
    yield from chat.pieces(*chat.with_spans())


class _Rendering:
    """A conversation in a template, its messages safe."""

    def __init__(
        self,
        template: str,
        messages: Sequence[Message],
        control_tokens: Sequence[str],
        config: Mapping[str, Any],
    ) -> None:
        tokens = sorted(filter(None, control_tokens), key=len, reverse=True)
        self._controls = re.compile("|".join(map(re.escape, tokens)) or "(?!)")
        self._sandbox = _compiled(template)
        used = set(template).union(*tokens, *(message.content for message in messages))
        unused = (
            letter for letter in map(chr, _STAND_INS) if letter.isprintable() and letter not in used
        )
        self._probe, self._mark = next(unused), next(unused)
        stand_ins = {first: next(unused) for first in sorted({token[0] for token in tokens})}
        self._originals = {ord(letter): first for first, letter in stand_ins.items()}
        # A word such as </think> that the template looks for and no control token begins with.
        words = [
            word
            for word in self._sandbox.constants
            if word[:1] in stand_ins
            and not any(first in word[1:] for first in stand_ins)
            and not any(token.startswith(word) or word.startswith(token) for token in tokens)
        ]
        letters = [*sorted(words, key=len, reverse=True), *stand_ins]
        hidden = re.compile("|".join(map(re.escape, letters)) or "(?!)")
        self.messages = [
            replace(m, content=hidden.sub(lambda x: stand_ins.get(x[0], x[0]), m.content))
            for m in messages
        ]
        self._variables = {
            **{name: text for name, text in map(_named_token, config.items()) if text},
            "tools": None,
            "documents": None,
        }
        size = sum(len(message.content) for message in messages)
        self._units = BASE_UNITS + UNITS_PER_CHARACTER * size

    def render(self, messages: Sequence[Message], *, is_prompt: bool, mark: str = "") -> str:
        """The template's text, messages still under stand-ins."""
        variables = {
            **self._variables,
            "messages": [{"role": m.role, "content": m.content} for m in messages],
            "add_generation_prompt": is_prompt,
        }
        try:
            return self._sandbox.render(variables, self._units, mark)
        except InputError:
            raise
        except Exception as error:
            raise _failed(_reason(error)) from error

    def pieces(self, rendered: str, spans: Sequence[tuple[int, int]]) -> Iterator[Piece]:
        """What was rendered, cut at control tokens and at the borders of spans."""
        cuts = {cut for span in spans for cut in span} | {0, len(rendered)}
        controls = {match.start(): match.end() for match in self._controls.finditer(rendered)}
        cuts |= {cut for control in controls.items() for cut in control}
        inside = {place for start, end in spans for place in cuts if start <= place < end}
        for start, end in pairwise(sorted(cuts)):
            text = rendered[start:end].translate(self._originals)
            yield Piece(text, start in controls, start in inside)

    def with_spans(self) -> tuple[str, list[tuple[int, int]]]:
        """The whole conversation, and from where to where the assistant writes."""
        marked = self.render(self.messages, is_prompt=False, mark=self._mark)
        parts = marked.split(self._mark)
        if len(parts) == 1:
            return marked, list(self._derived_spans(marked))
        ends = list(accumulate(map(len, parts)))
        return "".join(parts), list(zip(ends[::2], ends[1::2], strict=False))

    def _derived_spans(self, rendered: str) -> Iterator[tuple[int, int]]:
        """The same conversation with another text in place of each reply shows where they stand."""
        replies = [i for i, message in enumerate(self.messages) if message.role == "assistant"]
        probed = [
            replace(m, content=self._probe) if m.role == "assistant" else m for m in self.messages
        ]
        around = self.render(probed, is_prompt=False).split(self._probe)
        if len(around) != len(replies) + 1:
            raise _unclear("it leaves out a reply, or repeats it")
        turn_end = self._controls.search(around[-1])
        if turn_end is None:
            raise _unclear("no control token ends a reply")
        end = 0
        for i, before, after in zip(replies, around, around[1:], strict=False):
            prompt = self.render(self.messages[:i], is_prompt=True)
            if rendered.startswith(prompt):
                start = len(prompt)
            elif rendered.startswith(before, end):  # history lacks what a prompt begins with
                start = end + len(before)
            else:
                raise _unclear("the text before a reply changes with it")
            closing = self._controls.search(after)
            ending = after[: closing.end()] if closing else after
            end = rendered.find(ending, start)
            if end < 0:
                raise _unclear("the text after a reply changes with it")
            is_closed = closing is not None and closing[0] == turn_end[0]
            yield start, end + len(ending) if is_closed else end


@functools.lru_cache(maxsize=8)
def _compiled(template: str) -> "Sandbox":
    from tissu_core.text.template_sandbox import Sandbox

    try:
        return Sandbox(template)
    except Exception as error:
        raise _failed(_reason(error)) from error


def _named_token(entry: tuple[str, Any]) -> tuple[str, str]:
    """A name such as ``bos_token`` and its spelling; none for other entries."""
    name, value = entry
    value = value.get("content") if isinstance(value, dict) else value
    return name, value if name.endswith("_token") and isinstance(value, str) else ""


def _reason(error: Exception) -> str:
    return str(error).split("\n")[0] or type(error).__name__


def _failed(reason: str) -> InputError:
    return InputError(
        f"the model's chat template fails: {reason}",
        hint="use the model as a base model with tissu generate, or tissu chat --template FILE",
    )


def _unclear(reason: str) -> InputError:
    return InputError(
        f"the model's chat template does not show what the assistant writes: {reason}",
        hint="put {% generation %} ... {% endgeneration %} around replies in its chat template",
    )
