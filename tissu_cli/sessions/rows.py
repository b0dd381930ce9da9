"""Conversations as rows of the tables, and back: what is written in a transaction, and read."""

import json
import sqlite3
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, TypeAlias

from tissu_cli.sessions.conversation import Conversation, Turn
from tissu_cli.sessions.schema import bound, insertion, selection, upsertion
from tissu_core.errors import InputError

if TYPE_CHECKING:  # and at run time where a turn is read, which the first picture does not show
    from tissu_core.events.replies import TokenGenerated

Row: TypeAlias = tuple[Any, ...]
_KEEP_CONVERSATION = upsertion("conversation", "id")
_KEEP_TURN = upsertion("turn", "id")
_KEEP_CHUNK = insertion("chunk")


def keep(connection: sqlite3.Connection, conversation: Conversation, *changed: Turn) -> None:
    """Write a conversation's row, the turns that changed, and those that the file lacks."""
    connection.execute(_KEEP_CONVERSATION, bound(*_conversation_values(conversation)))
    query = "SELECT id FROM turn WHERE conversation = ?"
    kept = {id for (id,) in connection.execute(query, (conversation.id,))}
    for turn in [*conversation.turns.values()]:  # another thread may be adding one
        if turn.id not in kept or any(turn is each for each in changed):
            connection.execute(_KEEP_TURN, bound(*_turn_values(conversation, turn)))
            if _kept_tokens(connection, turn) != turn.tokens:
                _rewrite_tokens(connection, turn)


def append(
    connection: sqlite3.Connection,
    conversation: Conversation,
    turn: Turn,
    new_tokens: "Sequence[TokenGenerated]",
) -> None:
    """Write the text of a turn so far, and its newest tokens behind those that are kept."""
    query = "SELECT num_tokens FROM turn WHERE id = ?"
    kept = connection.execute(query, (turn.id,)).fetchone()
    if kept is None or kept[0] != len(turn.tokens) - len(new_tokens):
        keep(connection, conversation, turn)
        return
    connection.execute(
        "UPDATE turn SET text = CAST(? AS TEXT), state = ?, num_tokens = ? WHERE id = ?",
        (*bound(turn.text), turn.state, len(turn.tokens), turn.id),
    )
    if new_tokens:
        connection.execute(_KEEP_CHUNK, (turn.id, _pack(new_tokens)))


def remove(connection: sqlite3.Connection, conversation: Conversation, turn: Turn) -> None:
    """Remove a turn that a conversation no longer has; what stands behind it is not removed."""
    keep(connection, conversation)
    connection.execute("DELETE FROM turn WHERE id = ?", (turn.id,))


def _kept_tokens(connection: sqlite3.Connection, turn: Turn) -> "list[TokenGenerated]":
    query = "SELECT tokens FROM chunk WHERE turn = ? ORDER BY number"
    return _unpack([chunk for (chunk,) in connection.execute(query, (turn.id,))])


def _rewrite_tokens(connection: sqlite3.Connection, turn: Turn) -> None:
    connection.execute("DELETE FROM chunk WHERE turn = ?", (turn.id,))
    if turn.tokens:
        connection.execute(_KEEP_CHUNK, bound(turn.id, _pack(turn.tokens)))


def load(connection: sqlite3.Connection, id: str) -> Conversation:
    """Read a conversation.

    Raises:
        InputError: If there is none.
    """
    row = connection.execute(f"{selection('conversation')} WHERE id = ?", (id,)).fetchone()
    if row is None:
        raise InputError(f"there is no conversation {id}", hint="tissu chat")
    turns = connection.execute(
        f"{selection('turn')} WHERE conversation = ? ORDER BY number", (id,)
    ).fetchall()
    chunks = connection.execute(
        "SELECT turn, tokens FROM chunk WHERE turn IN (SELECT id FROM turn WHERE conversation = ?) "
        "ORDER BY number",
        (id,),
    ).fetchall()
    return _build_conversation(row, turns, chunks)


def _conversation_values(conversation: Conversation) -> Row:
    """A row of ``conversation``."""
    return (
        conversation.id,
        conversation.title,
        conversation.model,
        conversation.system,
        json.dumps(conversation.settings),
        conversation.draft,
        conversation.leaf,
        conversation.created,
        conversation.updated,
    )


def _turn_values(conversation: Conversation, turn: Turn) -> Row:
    """A row of ``turn``."""
    ending = json.dumps(asdict(turn.end)) if turn.end is not None else ""
    return (
        turn.id,
        conversation.id,
        turn.parent,
        turn.role,
        turn.text,
        turn.state,
        turn.created,
        turn.model,
        turn.rating,
        json.dumps(turn.settings),
        ending,
        len(turn.tokens),
    )


def _build_conversation(
    row: Row, turns: Iterable[Row], chunks: Iterable[tuple[str, bytes]]
) -> Conversation:
    """What rows say. Where a turn was lost to damage, what followed it stands behind another."""
    id, title, model, system, settings, draft, leaf, created, updated = row
    conversation = Conversation(
        id=id,
        title=title,
        model=model,
        system=system,
        settings=_object(settings),
        draft=draft,
        created=created,
        updated=updated,
    )
    tokens: dict[str, list[bytes]] = {}
    for turn_id, chunk in chunks:
        tokens.setdefault(turn_id, []).append(chunk)
    last = None
    for values in turns:
        turn = _turn(values, tokens.get(values[0], []))
        if turn.parent not in conversation.turns and turn.parent is not None:
            turn.parent = last
        last = turn.id
        conversation.turns[last] = turn
    conversation.leaf = leaf if leaf is None or leaf in conversation.turns else last
    return conversation


def _turn(row: Row, chunks: Sequence[bytes]) -> Turn:
    from tissu_core.events.replies import GenerationFinished, chat_event  # noqa: PLC0415

    id, _, parent, role, text, state, created, model, rating, settings, ending, num_tokens = row
    tokens = _unpack(chunks)
    end = chat_event({**_object(ending), "event": GenerationFinished.__name__})
    return Turn(
        id=id,
        parent=parent,
        role=role,
        text=text,
        state="stopped" if state == "writing" else state,
        created=created,
        model=model,
        rating=rating,
        # Tokens of which some are lost would be continued in another place than the text ends.
        tokens=tokens if len(tokens) == num_tokens else [],
        settings=_object(settings),
        end=end if isinstance(end, GenerationFinished) else None,
    )


def _pack(tokens: "Iterable[TokenGenerated]") -> bytes:
    """Tokens in few bytes."""
    rows = [
        [
            token.text,
            token.token_id,
            token.logprob,
            token.entropy,
            [[other.token_id, other.text, other.logprob] for other in token.alternatives],
        ]
        for token in tokens
    ]
    return zlib.compress(json.dumps(rows, separators=(",", ":")).encode())


def _unpack(chunks: Iterable[bytes]) -> "list[TokenGenerated]":
    """The tokens of chunks; none if one of them is damaged."""
    from tissu_core.events.replies import Alternative, TokenGenerated  # noqa: PLC0415

    try:
        return [
            TokenGenerated(
                text=text,
                token_id=token_id,
                logprob=logprob,
                entropy=entropy,
                alternatives=tuple(
                    Alternative(token_id=id, text=other, logprob=its_logprob)
                    for id, other, its_logprob in alternatives
                ),
            )
            for chunk in chunks
            for text, token_id, logprob, entropy, alternatives in json.loads(zlib.decompress(chunk))
        ]
    except (zlib.error, ValueError, TypeError):
        return []


def _object(text: str) -> dict[str, Any]:
    """A JSON object; an empty one if it is damaged."""
    try:
        value = json.loads(text)
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}
