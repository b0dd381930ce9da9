"""``tissu eval compare``: models side by side on the same text."""

from typing import Annotated

import typer

from tissu_cli.flags import Given, Json, measure_settings, resolve_settings, with_settings
from tissu_cli.render.console import data, print_json
from tissu_cli.render.status import StatusLine, narrated
from tissu_core.config.data import ReadingConfig
from tissu_core.config.inspection import PicturesConfig
from tissu_core.config.machine import DeviceConfig
from tissu_core.events.compared import ModelsCompared
from tissu_core.events.records import to_record

app = typer.Typer()
_PANEL = "Suites"
_Suites = Annotated[
    list[str] | None,
    typer.Option(
        "--suite",
        metavar="SUITE",
        help="Put these questions to each as well; a name of `tissu eval suite`, or a .toml "
        "file; repeat for more.",
        rich_help_panel=_PANEL,
    ),
]
_Limit = Annotated[
    int | None,
    typer.Option(
        metavar="N",
        min=1,
        help="At most N items of each suite, by --seed.",
        rich_help_panel=_PANEL,
    ),
]
_Chat = Annotated[
    bool | None,
    typer.Option(
        "--chat/--no-chat",
        help="Items through each model's chat template. Default: where it writes and has one.",
        show_default=False,
        rich_help_panel=_PANEL,
    ),
]
_AllowCode = Annotated[
    bool,
    typer.Option(
        "--allow-code",
        help="Run generated code even where nothing keeps it from harm.",
        rich_help_panel=_PANEL,
    ),
]
_Seed = Annotated[
    int,
    typer.Option(metavar="N", min=0, help="Of the draws behind the intervals, and of --limit."),
]


@app.command(
    help="Models side by side on the same text: bits per byte, whether a difference to the first "
    "is more than chance, size and speed, and the settings in which they differ."
)
@with_settings(("machine.", DeviceConfig), ("data.reading.", ReadingConfig), ("", PicturesConfig))
def compare(
    models: Annotated[
        list[str],
        typer.Argument(
            metavar="MODEL",
            help="Two or more: directories, runs, RUN:STEP, names in the store; each is held "
            "against the first.",
        ),
    ],
    texts: Annotated[
        list[str],
        typer.Option(
            "--data",
            metavar="DATA",
            help="Files and folders of text, .jsonl or .parquet; repeat for more.",
        ),
    ],
    suites: _Suites = None,
    limit: _Limit = None,
    chat: _Chat = None,
    allow_code: _AllowCode = False,
    stride: Annotated[
        int | None,
        typer.Option(
            metavar="N", help="Tokens between windows. Default: half of each model's context."
        ),
    ] = None,
    context: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            min=1,
            help="Tokens that each model reads at once. Default: what it was trained on.",
        ),
    ] = None,
    seed: _Seed = 0,
    json: Json = False,
    *,
    given: Given,
) -> None:
    from tissu_core.runs.evaluate.compare import compare_models
    from tissu_core.runs.evaluate.suites import SuitesAsked

    asked = SuitesAsked(
        names=tuple(suites or ()), limit=limit, is_chat=chat, is_code_allowed=allow_code
    )
    pictures = resolve_settings(PicturesConfig, given)
    run = measure_settings(texts, given)
    events = compare_models(
        models, run.data, run.machine, context=context, stride=stride, seed=seed, suites=asked
    )
    with StatusLine() as status:
        for event in narrated(events, status):
            if isinstance(event, ModelsCompared):
                print_json(to_record(event)) if json else _show(event, pictures)


def _show(event: ModelsCompared, pictures: PicturesConfig) -> None:
    from tissu_cli.render.compared import compared_view
    from tissu_cli.render.pictures import save_pictures

    view = compared_view(event)
    data().print(view)
    save_pictures(pictures, view)
