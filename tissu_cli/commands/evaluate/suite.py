"""``tissu eval suite``: a model asked the questions of suites."""

from functools import partial
from typing import TYPE_CHECKING, Annotated

import typer

from tissu_cli.flags import Given, Json, ModelOption, resolve_settings, with_settings
from tissu_cli.output import Output, Sheet
from tissu_cli.render.console import data, print_json
from tissu_cli.render.status import StatusLine, narrated
from tissu_core.config.inspection import PicturesConfig
from tissu_core.config.machine import DeviceConfig
from tissu_core.config.use import UseRun
from tissu_core.events.records import to_record
from tissu_core.events.suites import ItemScored, SuiteListed, SuiteScored
from tissu_core.runs.evaluate.suites import list_suites, measure_suites

if TYPE_CHECKING:
    from rich.console import RenderableType

app = typer.Typer()
Limit = Annotated[
    int | None, typer.Option(metavar="N", min=1, help="At most N items of each, by --seed.")
]
Seed = Annotated[
    int, typer.Option(metavar="N", min=0, help="Which items, and which are drawn again.")
]
Batch = Annotated[
    int, typer.Option("--batch", metavar="N", min=1, max=256, help="Replies written at once.")
]


@app.command(
    help="Questions of suites put to a model: choices, sums, code that is run, translations, "
    "summaries. Without SUITE, those there are; a file ending in .toml is one of your own."
)
@with_settings(("machine.", DeviceConfig), ("", PicturesConfig))
def suite(
    suites: Annotated[
        list[str] | None,
        typer.Argument(metavar="SUITE", help="A name, or a file such as ./mine.toml; several."),
    ] = None,
    model: ModelOption = None,
    chat: Annotated[
        bool | None,
        typer.Option(
            "--chat/--no-chat",
            help="Through the model's chat template. Default: where the model writes and has one; "
            "choices are weighed as plain text.",
            show_default=False,
        ),
    ] = None,
    items: Annotated[bool, typer.Option("--items", help="The answer to each item too.")] = False,
    limit: Limit = None,
    seed: Seed = 0,
    batch: Batch = 8,
    allow_code: Annotated[
        bool,
        typer.Option(
            "--allow-code", help="Run generated code even where nothing keeps it from harm."
        ),
    ] = False,
    json: Json = False,
    *,
    given: Given,
) -> None:
    output = Output(given, is_json=json)
    if not suites:
        listed = list_suites()
        output.show({"suites": [*map(to_record, listed)]}, partial(_draw_list, listed))
        return
    events = measure_suites(
        suites,
        model,
        resolve_settings(UseRun, given).machine,
        is_chat=chat,
        limit=limit,
        seed=seed,
        batch_size=batch,
        is_code_allowed=allow_code,
    )
    scores: list[SuiteScored] = []
    answers: list[ItemScored] = []
    with StatusLine() as status:
        for event in narrated(events, status):
            if json and (items or isinstance(event, SuiteScored)):
                print_json(to_record(event))
            if isinstance(event, SuiteScored):
                scores.append(event)
            elif items and not json and isinstance(event, ItemScored):
                answers.append(event)
    if answers:
        _print_answers(answers)
    output.draw(partial(_draw, scores))


def _draw_list(listed: list[SuiteListed], _: Sheet) -> "RenderableType":
    from tissu_cli.render.evaluate.suites import suites_table

    return suites_table(listed)


def _print_answers(answers: list[ItemScored]) -> None:
    from tissu_cli.render.evaluate.suites import items_table

    data().print(items_table(answers))


def _draw(scores: list[SuiteScored], _: Sheet) -> "RenderableType":
    from tissu_cli.render.evaluate.suites import scores_view

    return scores_view(scores)
