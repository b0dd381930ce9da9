"""The speed of a model, for people."""

from rich.console import Group, RenderableType
from rich.table import Table

from tissu_cli.render import numbers
from tissu_cli.render.tables import facts_table
from tissu_core.events.measures import SpeedMeasured


def speed_view(event: SpeedMeasured) -> RenderableType:
    """Facts, then one line for each batch and context."""
    bandwidth = event.memory_bandwidth
    facts = facts_table(
        [
            ("model", event.model),
            ("weights", f"{numbers.count(event.num_parameters)}, {event.precision}"),
            ("device", event.device),
            ("load", f"{event.load_seconds:.2f} s"),
            ("memory", f"{numbers.size(event.peak_bytes)} at most"),
            (
                "reads",
                f"{numbers.size(event.weight_bytes)} for each step, of "
                f"{numbers.size(round(bandwidth))} a second",
            ),
        ]
    )
    table = Table(box=None, pad_edge=False, header_style="dim")
    heads = ("texts", "tokens each", "first token", "prefill tok/s", "decode tok/s", "of bandwidth")
    for head in heads:
        table.add_column(head, justify="right")
    for point in event.points:
        table.add_row(
            f"{point.batch}",
            f"{point.context:,}",
            f"{point.first_token_seconds:.3f} s",
            f"{point.prefill_tokens_per_second:,.0f}",
            f"{point.decode_tokens_per_second:,.1f}",
            f"{point.bandwidth_share:.0%}",
        )
    return Group(facts, table)
