"""``tissu inspect explain``: which words of a prompt an answer came from."""

from typing import TYPE_CHECKING, Annotated

import typer

from tissu_cli.commands.prompts import clean_argument, read_prompt
from tissu_cli.flags import Given, Json, Model, measure_settings, resolve_settings, with_settings
from tissu_cli.output import Output, Sheet
from tissu_core.config.explanation import ExplainConfig
from tissu_core.config.inspection import PicturesConfig
from tissu_core.config.machine import DeviceConfig
from tissu_core.events.attributions import PromptExplained

if TYPE_CHECKING:
    from rich.console import RenderableType

app = typer.Typer()


@app.command(
    help="What each word of a prompt adds to the probability of what comes after it: Shapley "
    "values, LIME or integrated gradients, and what they sum up to."
)
@with_settings(("", ExplainConfig), ("machine.", DeviceConfig), ("", PicturesConfig))
def explain(
    model: Model = None,
    prompt: Annotated[
        str | None, typer.Option("-p", "--prompt", help="The text to explain; else stdin.")
    ] = None,
    target: Annotated[
        str | None,
        typer.Option(
            metavar="TEXT",
            help="What is to come next; the model's own likeliest token if left out.",
            show_default=False,
        ),
    ] = None,
    json: Json = False,
    *,
    given: Given,
) -> None:
    from tissu_core.runs.inspect.explain import explain_prompt

    output = Output(given, is_json=json)
    events = explain_prompt(
        model,
        read_prompt(prompt, "tissu inspect explain"),
        target=None if target is None else clean_argument(target),
        explain=resolve_settings(ExplainConfig, given),
        machine=measure_settings((), given).machine,
    )
    output.tell(events, _draw)


def _draw(event: PromptExplained, sheet: Sheet) -> "RenderableType":
    from tissu_cli.render.inspect.explain import explained_view

    return explained_view(event, is_coloured=sheet.is_coloured)
