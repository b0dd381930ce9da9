"""``tissu quantize``: a model in fewer bits."""

from typing import Annotated

import typer

from tissu_cli.flags import Given, Json, Model, NewModel, resolve_settings, with_settings
from tissu_cli.render.console import data, print_json
from tissu_cli.render.numbers import size
from tissu_cli.render.status import StatusLine, narrated
from tissu_core.config.compress import QuantizeConfig
from tissu_core.config.data import DataConfig, ReadingConfig
from tissu_core.config.machine import DeviceConfig
from tissu_core.config.runs import QuantizeRun
from tissu_core.events.measures import ModelQuantized
from tissu_core.events.records import to_record


def register(app: typer.Typer) -> None:
    """Add the command to the tree."""
    app.command(rich_help_panel="Ship a model", help="Make a smaller copy of a model.")(quantize)


@with_settings(
    ("quantize.", QuantizeConfig), ("machine.", DeviceConfig), ("data.reading.", ReadingConfig)
)
def quantize(
    model: Model = None,
    out: NewModel = "",
    text: Annotated[
        list[str] | None,
        typer.Option(
            metavar="DATA", help="Measure on this text; else on the run's validation text."
        ),
    ] = None,
    calib: Annotated[
        list[str] | None,
        typer.Option(
            metavar="DATA", help="Text that gptq and awq let the model read; repeat for more."
        ),
    ] = None,
    json: Json = False,
    *,
    given: Given,
) -> None:
    from tissu_core.runs.models.quantize import quantize as quantize_model

    run = resolve_settings(QuantizeRun, given)
    measured, read = (
        DataConfig(corpus=tuple(texts or ()), reading=run.data.reading) for texts in (text, calib)
    )
    with StatusLine() as status:
        events = quantize_model(
            model,
            how=run.quantize,
            out=out,
            data=measured,
            calibration=read,
            machine=run.machine,
        )
        for event in narrated(events, status):
            if isinstance(event, ModelQuantized):
                print_json(to_record(event)) if json else _show(event)


def _weights(event: ModelQuantized) -> str:
    if event.group_size is None:
        return f"{event.bits} bits, one scale for each row"
    return f"{event.bits} bits by {event.method}, a scale and a minimum for {event.group_size}"


def _compared(event: ModelQuantized, after: float, nearest: float) -> str:
    """What the text said for the method, or that it said nothing."""
    if after < nearest:
        return f"{nearest:.4f}: {event.method} is better by {nearest - after:.4f}"
    return f"{nearest:.4f}: {event.method} is not better"


def _show(event: ModelQuantized) -> None:
    from tissu_cli.render.tables import facts_table

    share = event.num_bytes / event.bf16_bytes
    rows: list[tuple[str, object]] = [
        ("written", event.path),
        ("from", event.model),
        ("weights", _weights(event)),
        ("size", f"{size(event.num_bytes)}, {share:.0%} of {size(event.bf16_bytes)} in bf16"),
    ]
    slow, fast = event.tokens_per_second_before, event.tokens_per_second_after
    rows.append(("speed", f"{fast:,.0f} tokens/s, {fast / slow:.1f} times {slow:,.0f}"))
    before, after = event.bits_per_byte_before, event.bits_per_byte_after
    if before is not None and after is not None:
        rows.append(("bits per byte", f"{after:.4f}, {after - before:+.4f} from {before:.4f}"))
        if event.bits_per_byte_nearest is not None:
            rows.append(("--method rtn", _compared(event, after, event.bits_per_byte_nearest)))
        rows.append(("measured on", f"{event.measured_bytes:,} bytes of text"))
    data().print(facts_table(rows))
