"""Conversations as the text a model was taught to read, by its own Jinja template.

A template comes with a model, so it is foreign code: it runs in Jinja's immutable sandbox. What a
person typed is text and never a control token: control tokens inside a message are carried through
the template under stand-in names and come out as ordinary text.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from tissu_core.errors import InputError

_STAND_IN = "\ue000{}\ue001"  # private-use characters around a number
_STAND_INS = re.compile("\ue000(\\d+)\ue001")


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """One turn of a conversation."""

    role: Literal["system", "user", "assistant"]
    content: str


def render_chat(
    template: str,
    messages: Sequence[Message],
    control_tokens: Sequence[str],
    config: Mapping[str, Any],
) -> Iterator[tuple[str, bool]]:
    """Pieces of the prompt in order: (text, is a control token).

    Raises:
        InputError: If the template is broken, refuses the conversation or leaves its sandbox.
    """
    control_tokens = sorted(control_tokens, key=len, reverse=True)
    controls = re.compile("|".join(map(re.escape, control_tokens)) or "(?!)")
    quoted: list[str] = []  # texts of messages that would read as control tokens or stand-ins

    def hide(match: re.Match[str]) -> str:
        quoted.append(match[0])
        return _STAND_IN.format(len(quoted) - 1)

    hidden = re.compile(f"{_STAND_INS.pattern}|{controls.pattern}")
    safe = [{"role": m.role, "content": hidden.sub(hide, m.content)} for m in messages]
    rendered = _render(template, safe, config)

    def reveal(text: str) -> str:
        return _STAND_INS.sub(lambda match: quoted[int(match[1])], text)

    position = 0
    for match in controls.finditer(rendered):
        if match.start() > position:
            yield reveal(rendered[position : match.start()]), False
        yield match[0], True
        position = match.end()
    if position < len(rendered):
        yield reveal(rendered[position:]), False


def _render(template: str, messages: list[dict[str, str]], config: Mapping[str, Any]) -> str:
    from jinja2 import TemplateError
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    environment = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True)
    environment.globals["raise_exception"] = _refuse
    tokens = {name: value or "" for name, value in config.items() if name.endswith("_token")}
    try:
        return environment.from_string(template).render(
            messages=messages, add_generation_prompt=True, **tokens
        )
    except (TemplateError, TypeError, ValueError, ArithmeticError, RecursionError) as error:
        raise InputError(
            f"the model's chat template fails: {error}",
            hint="use the model as a base model with tissu generate",
        ) from error


def _refuse(message: str) -> None:
    raise InputError(
        f"the model's chat template refuses this conversation: {message}",
        hint="/new begins another one",
    )
