"""How well a model predicts a text, for people."""

from rich.console import Group, RenderableType

from tissu_cli.render import numbers
from tissu_cli.render.evaluate.documents import documents_table
from tissu_cli.render.tables import facts_table
from tissu_core.events.measures import PerplexityMeasured


def perplexity_view(event: PerplexityMeasured) -> RenderableType:
    """The figures, then the documents that were asked for."""
    facts = facts_table(
        [
            ("model", event.model),
            ("bits per byte", f"{event.bits_per_byte:.4f}"),
            ("perplexity", f"{event.perplexity:.3f} per token"),
            ("loss", f"{event.loss:.4f} nats per token"),
            ("text", f"{event.num_bytes:,} bytes, {numbers.many(event.num_documents, 'document')}"),
            ("tokens", f"{event.num_tokens:,}"),
            ("windows", f"{event.context_tokens} tokens, moved by {event.stride}"),
        ]
    )
    return Group(facts, documents_table(event.documents)) if event.documents else facts
