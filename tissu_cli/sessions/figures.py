"""What is known of a model, the context and a reply, in numbers."""

import math

from tissu_cli.sessions.conversation import Turn
from tissu_cli.sessions.talk import Talk
from tissu_core.events.replies import ContextMeasured


def figures(talk: Talk, measured: ContextMeasured | None) -> list[tuple[str, str]]:
    """What is known of the model, the context and the last reply, by name."""
    rows: list[tuple[str, str]] = []
    facts, reply = talk.model.facts, talk.last_reply
    if facts is not None:
        rows += [("model", facts.name), ("where", facts.path)]
        rows += [("parameters", f"{facts.num_parameters:,}")]
        rows += [("computes on", f"{facts.device}, {facts.precision}")]
    if measured is not None:
        rows += [
            ("prompt", f"{measured.prompt_tokens:,} tokens"),
            ("context", f"{measured.context_tokens:,} tokens"),
            ("kept for the reply", f"{measured.reply_tokens:,} tokens"),
            ("left out", f"{measured.dropped} messages"),
        ]
    if reply is not None and reply.end is not None:
        rows += [
            ("last reply", f"{reply.end.new_tokens:,} tokens"),
            ("speed", f"{reply.end.tokens_per_second:.1f} tokens/s"),
            ("first token", f"{reply.end.first_token_seconds:.2f} s"),
            ("ended", reply.end.reason),
            ("seed", str(reply.settings.get("seed", ""))),
        ]
        rows += [("mean probability", f"{share:.0%}") for share in _mean_share(reply)]
    return rows


def _mean_share(reply: Turn) -> list[float]:
    """The geometric mean of what the model gave the tokens that it said, if they are known."""
    known = [token.logprob for token in reply.tokens if token.token_id >= 0]
    return [math.exp(sum(known) / len(known))] if known else []
