"""What a run's sample texts begin with."""

from tissu_core.data.shards import Spans, TokenShards
from tissu_core.text.chat_template import Message
from tissu_core.text.conversation import encode_chat
from tissu_core.text.tokenizer import Tokenizer

_PROMPT_TOKENS = 8


def sample_prompt(
    tokenizer: Tokenizer, shards: TokenShards, held_out: Spans, given: str, max_tokens: int
) -> tuple[str, list[int]]:
    """A beginning and its token ids: what was given, or the first words of the held-out text.

    Of conversations the question, put as it is there, up to where its answer would begin.
    """
    targets, begin = shards.targets, int(held_out.starts[0])
    if targets is None:
        return _of_text(tokenizer, shards, begin, given, max_tokens)
    if given:
        ids = encode_chat(tokenizer, [Message(role="user", content=given)])
        return given, ids[-max_tokens:]
    answer = begin + int(targets[begin : begin + int(held_out.lengths[0])].argmax())
    ids = [int(id) for id in shards.tokens[begin:answer][-max_tokens:]]
    return tokenizer.decode(ids), ids


def _of_text(
    tokenizer: Tokenizer, shards: TokenShards, begin: int, given: str, max_tokens: int
) -> tuple[str, list[int]]:
    if given:
        ids = tokenizer.encode(given)
    else:
        ids = [int(id) for id in shards.tokens[begin : begin + _PROMPT_TOKENS]]
        ids = [id for id in ids if id not in tokenizer.document([])]
    ids = ids[:max_tokens]
    return tokenizer.decode(ids), [tokenizer.start_id, *ids]
