"""The verb tokenize show: conversations as the ids that training reads, and what it learns."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import islice
from typing import TypeAlias

from tissu_core.checkpoint.tokenizer import load_tokenizer
from tissu_core.config.data import DataConfig
from tissu_core.data.chats import Unusable, iter_conversations
from tissu_core.data.corpus import PrepareEvent, read_corpus
from tissu_core.runs.catalog import find_model
from tissu_core.runs.home import cache_directory
from tissu_core.runs.tokenize.figures import written_id
from tissu_core.text.conversation import with_chat_template

NO_TARGET = -100


@dataclass(frozen=True, slots=True, kw_only=True)
class ConversationShown:
    """A conversation, token by token."""

    where: str
    tokens: tuple[str, ...]
    ids: tuple[int, ...]
    mask: tuple[int, ...]
    """1 for a token that is learned."""
    labels: tuple[int, ...]
    """The ids that are learned, and -100 elsewhere."""


ShowEvent: TypeAlias = PrepareEvent | ConversationShown


def show(data: DataConfig, given: str | None, limit: int | None) -> Iterator[ShowEvent]:
    """The first ``limit`` conversations of ``data``, or all; then what cannot be learned.

    Raises:
        InputError: If there are none, or the tokenizer cannot be read or has no template.
    """
    tokenizer = with_chat_template(load_tokenizer(find_model(given)))
    files = yield from read_corpus(replace(data, format="chats"), cache_directory())
    unusable, shown = Unusable(), 0
    for document in islice(iter_conversations(files, tokenizer, None, unusable), limit):
        assert document.is_target is not None
        ids, mask = tuple(document.ids), tuple(map(int, document.is_target))
        shown += 1
        yield ConversationShown(
            where=document.where,
            tokens=tuple(written_id(tokenizer, id) for id in ids),
            ids=ids,
            mask=mask,
            labels=tuple(id if on else NO_TARGET for id, on in zip(ids, mask, strict=True)),
        )
    yield from unusable.judge(shown)
