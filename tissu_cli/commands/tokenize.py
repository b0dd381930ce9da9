"""``tissu tokenize``: make a tokenizer, use it, measure it."""

import itertools
import json as json_module
import os
import re
import sys
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from tissu_cli.commands.prompts import clean_argument, iter_stdin, iter_text
from tissu_cli.commands.signals import Signals
from tissu_cli.flags import Given, Json, measure_settings, resolve_settings, with_settings
from tissu_cli.render.console import data, print_json, say
from tissu_cli.render.status import StatusLine, narrated
from tissu_cli.settings import is_terminal_stdout
from tissu_core.config.data import ReadingConfig
from tissu_core.config.tokenizer import TokenizerConfig
from tissu_core.errors import InputError
from tissu_core.sanitize import sanitize, sanitize_line

_SHOWN_CHARACTERS = 1000

app = typer.Typer(help="Make, use and measure tokenizers.", no_args_is_help=True)

_WHICH = "A tokenizer's directory, a run, a model; the newest model if left out."
_OUT = typer.Option("-o", "--out", metavar="DIR", help="The directory to write; new or empty.")
Which = Annotated[str | None, typer.Option("-t", "--tokenizer", help=_WHICH, show_default=False)]
Several = Annotated[
    list[str] | None,
    typer.Option("-t", "--tokenizer", help=f"{_WHICH} May be repeated.", show_default=False),
]
Corpus = Annotated[
    list[str],
    typer.Argument(
        metavar="CORPUS", help="Files and folders: text, .jsonl, .parquet, also packed."
    ),
]


def register(root: typer.Typer) -> None:
    """Add the commands to the tree."""
    root.add_typer(app, name="tokenize", rich_help_panel="Make a model")


@app.command(help="Learn a tokenizer from files and folders of text.")
@with_settings(("", TokenizerConfig), ("data.reading.", ReadingConfig))
def train(
    corpus: Corpus,
    out: Annotated[Path, _OUT],
    json: Json = False,
    *,
    given: Given,
) -> None:
    config = resolve_settings(TokenizerConfig, given)
    run = measure_settings(corpus, given)
    from tissu_core.runs.tokenize.tokenize import TokenizerLearned, learn

    with Signals() as signals, StatusLine() as status:
        events = learn(run.data, config, out.expanduser(), signals.stop)
        for event in narrated(events, status):
            if isinstance(event, TokenizerLearned):
                say(f"{event.vocab_size:,} tokens ({event.split}) in {event.directory}")
                if not event.is_exportable:
                    say("tissu and transformers read it; programs as llama.cpp do not", "dim")
                say(f"next: tissu train CORPUS --tokenizer {event.directory}", "dim")
                if json:
                    print_json(asdict(event))
        if signals.exit_code:
            raise typer.Exit(signals.exit_code)


@app.command(
    "import",
    help="Take over a tokenizer that another program made: tokenizer.json, SentencePiece's .model, "
    "tiktoken's ranks. Nothing is fetched.",
)
def take_over(
    source: Annotated[
        str, typer.Argument(metavar="FILE|MODEL", help="The file, or a directory or model with it.")
    ],
    out: Annotated[Path, _OUT],
    pattern: Annotated[
        str | None,
        typer.Option(
            help="For tiktoken's ranks, what splits a text: gpt2, r50k_base, p50k_base, "
            "cl100k_base, o200k_base, or a pattern; else by the file's name.",
            show_default=False,
        ),
    ] = None,
    json: Json = False,
) -> None:
    from tissu_core.runs.tokenize.tokenizer_import import TokenizerImported, import_tokenizer

    with StatusLine() as status:
        for event in narrated(import_tokenizer(source, out.expanduser(), pattern), status):
            if isinstance(event, TokenizerImported):
                say(
                    f"{event.vocab_size:,} tokens ({event.kind}; a text begins with "
                    f"{event.start_token}, ends with {event.end_token}) in {event.directory}"
                )
                say(f"next: tissu train CORPUS --tokenizer {event.directory}", "dim")
                if json:
                    print_json(asdict(event))


@app.command(help="Ids of a text, or of stdin.")
def encode(
    text: Annotated[
        str | None, typer.Argument(metavar="TEXT", help="The text; else stdin.")
    ] = None,
    tokenizer: Which = None,
    json: Json = False,
) -> None:
    from tissu_core.runs.tokenize.tokenize import encode as encode_text

    chunks = (
        iter_stdin("tissu tokenize encode TEXT") if text is None else iter([clean_argument(text)])
    )
    before, between, after = ('{"ids": [', ", ", "]}\n") if json else ("", " ", "\n")
    is_first = True
    for ids in encode_text(chunks, tokenizer):
        sys.stdout.write((before if is_first else between) + between.join(map(str, ids)))
        is_first = False
    sys.stdout.write((before if is_first else "") + after)


@app.command(help="The text of ids, or of ids in stdin.")
def decode(
    ids: Annotated[list[int] | None, typer.Argument(metavar="IDS", help="Else stdin.")] = None,
    tokenizer: Which = None,
    json: Json = False,
) -> None:
    from tissu_core.runs.tokenize.tokenize import decode as decode_ids

    given = iter(ids) if ids else _iter_ids(iter_stdin("tissu tokenize decode IDS..."))
    pieces = decode_ids(given, tokenizer)
    if json:
        sys.stdout.write('{"text": "')
        for piece in pieces:
            sys.stdout.write(json_module.dumps(piece)[1:-1])
        sys.stdout.write('"}\n')
    elif is_terminal_stdout():
        for piece in pieces:
            sys.stdout.write(sanitize(piece))
        sys.stdout.write("\n")
    else:  # byte for byte: what was encoded comes back
        for piece in pieces:
            sys.stdout.buffer.write(piece.encode())


def _iter_ids(chunks: Iterable[str]) -> Iterator[int]:
    """Whole numbers between white space and commas."""
    rest = ""
    for chunk in itertools.chain(chunks, [" "]):
        *words, rest = re.split(r"[\s,]+", rest + chunk)
        for word in filter(None, words):
            if not word.isdecimal():
                raise InputError(f"{word[:40]!r} is no id", hint="whole numbers, spaces between")
            yield int(word)


@app.command(help="Bytes per token, fertility, fallback and unused ids on a corpus.")
@with_settings(("data.reading.", ReadingConfig))
def stats(corpus: Corpus, tokenizer: Several = None, json: Json = False, *, given: Given) -> None:
    from tissu_core.runs.tokenize.tokenize import measure

    with StatusLine() as status:
        events = measure(measure_settings(corpus, given).data, tokenizer or [None])
        measured = list(narrated(events, status))
    if json:
        print_json({"tokenizers": [asdict(each) for each in measured]})
        return
    from tissu_cli.render.tokens import figures_table

    data().print(figures_table(measured))


@app.command(help="Where tokenizers cut the same text.")
def compare(
    text: Annotated[str, typer.Argument(metavar="TEXT|FILE", help="A text, or a file of it.")],
    tokenizer: Several = None,
    json: Json = False,
) -> None:
    from tissu_core.runs.tokenize.tokenize import compare as compare_tokens

    compared = compare_tokens(_text_or_file(text), tokenizer or [None], _SHOWN_CHARACTERS)
    if json:
        shown = [{**asdict(each.figures), "tokens": each.tokens} for each in compared]
        print_json({"tokenizers": shown})
        return
    from tissu_cli.render.tokens import boundaries, figures_table

    console = data()
    for each in compared:
        console.print(sanitize(each.figures.tokenizer), style="bold")
        console.print(boundaries(each, is_coloured=is_terminal_stdout()))
        console.print()
    console.print(figures_table([each.figures for each in compared]))


@app.command(help="Conversations as the tokens that training reads, and which of them it learns.")
@with_settings(("data.reading.", ReadingConfig))
def show(
    corpus: Annotated[
        list[str],
        typer.Argument(metavar="CORPUS", help="Files and folders of .jsonl with messages."),
    ],
    tokenizer: Which = None,
    limit: Annotated[int, typer.Option("--limit", min=1, help="Show so many conversations.")] = 3,
    ids: Annotated[bool, typer.Option("--ids", help="Show ids beside the tokens.")] = False,
    json: Json = False,
    *,
    given: Given,
) -> None:
    from tissu_core.runs.tokenize.show import show as show_tokens

    with StatusLine() as status:
        events = show_tokens(measure_settings(corpus, given).data, tokenizer, limit)
        shown = narrated(events, status)
        if json:
            print_json({"conversations": [asdict(each) for each in shown]})
            return
        from tissu_cli.render.tokens import learned

        console = data()
        for each in shown:
            console.print(sanitize_line(each.where), style="bold")
            console.print(learned(each, is_coloured=is_terminal_stdout(), has_ids=ids))
            count = f"{sum(each.mask):,} of {len(each.mask):,} tokens are learned"
            console.print(count, style="dim")
            console.print()


def _text_or_file(given: str) -> Iterator[str]:
    if not os.path.isfile(given):  # noqa: PTH113  never raises, however long the text
        yield clean_argument(given)
        return
    with Path(given).open("rb") as file:
        yield from iter_text(file, given)
