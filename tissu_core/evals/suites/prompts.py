"""How an item is put to a model: as plain text, or as turns of a conversation. Imports no torch."""

from tissu_core.evals.suites.suite import GAP, Item, Suite
from tissu_core.text.chat_template import Message

_BETWEEN = "\n\n"
"""Two examples of a plain prompt; a reply ends where the next would begin."""
_AFTER_FUNCTION = ("\ndef ", "\nclass ", "\nif __name__", "\nprint(", "\nassert ", "\n```", "\n# ")


def plain_context(suite: Suite, shots: int) -> str:
    """What stands before an item: the instruction, and the last so many examples answered."""
    examples = suite.shots[len(suite.shots) - shots :]
    parts = [suite.instruction, *(behind(shot.prompt, shot.answer) for shot in examples)]
    return "".join(part + _BETWEEN for part in parts if part)


def chat_prompt(suite: Suite, item: Item, shots: int) -> list[Message]:
    """The same as turns; the instruction stands before what the person says first."""
    turns: list[Message] = []
    for shot in suite.shots[len(suite.shots) - shots :]:
        turns += [_said_by_user(shot.prompt), Message(role="assistant", content=shot.answer)]
    turns.append(_said_by_user(item.prompt))
    if suite.instruction:
        turns[0] = _said_by_user(suite.instruction + _BETWEEN + turns[0].content)
    return turns


def _said_by_user(text: str) -> Message:
    return Message(role="user", content=text)


def behind(prompt: str, answer: str) -> str:
    """A prompt with its answer, in its gap or behind it.

    A space goes between them unless one of them has white space there.
    """
    if GAP in prompt:
        return prompt.replace(GAP, answer, 1)
    is_apart = prompt[-1:].isspace() or answer[:1].isspace()
    return prompt + ("" if is_apart else " ") + answer


def stops(suite: Suite, *, is_chat: bool) -> tuple[str, ...]:
    """The texts that end a reply; a turn of a conversation has an end of its own."""
    if suite.stop or is_chat:
        return suite.stop
    return _AFTER_FUNCTION if suite.metric == "code" else (_BETWEEN,)
