"""Pairs of replies to the same messages, of which a person liked one: what DPO learns from."""

import json
from collections.abc import Iterable, Iterator

from tissu_cli.sessions.conversation import Conversation, Turn


def preference_lines(conversations: Iterable[Conversation]) -> list[str]:
    """A line of JSON for each pair: the messages, the chosen reply, the rejected one.

    Of siblings, one rated as good is chosen over each that is not; replies that are empty or the
    same text make no pair.
    """
    return [
        line for conversation in conversations for line in dict.fromkeys(_lines_of(conversation))
    ]


def _lines_of(conversation: Conversation) -> Iterator[str]:
    for chosen in conversation.turns.values():
        if chosen.role == "assistant" and chosen.rating == 1:
            for rejected in conversation.siblings(chosen):
                if rejected.rating != 1 and _differ(chosen, rejected):
                    yield _line(conversation, chosen, rejected)


def _differ(chosen: Turn, rejected: Turn) -> bool:
    texts = {chosen.text.strip(), rejected.text.strip()}
    return len(texts) == 2 and "" not in texts


def _line(conversation: Conversation, chosen: Turn, rejected: Turn) -> str:
    messages = [
        {"role": message.role, "content": message.content}
        for message in conversation.messages(chosen.parent)
    ]
    pair = {"messages": messages, "chosen": chosen.text, "rejected": rejected.text}
    return json.dumps(pair, ensure_ascii=False)
