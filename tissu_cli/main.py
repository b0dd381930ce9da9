"""The ``tissu`` command: the tree, and the one place where errors become exit codes."""

import contextlib
import os
import sys
import threading
import traceback
from typing import Annotated, Any

import typer

from tissu_cli import settings
from tissu_cli.render.charset import use_stand_ins
from tissu_cli.settings import discard
from tissu_cli.tree import LazyGroup
from tissu_core import __version__
from tissu_core.errors import ResourceError, TissuError


class _Root(LazyGroup):
    """Tells a closed pipe from other errors before Typer answers it with 1."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except BrokenPipeError:
            discard(sys.stdout)
            raise typer.Exit(settings.EXIT_CLOSED_PIPE) from None


app = typer.Typer(
    name="tissu",
    cls=_Root,
    help="Turn a folder of text into a language model you own.",
    add_completion=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _show_version(value: bool) -> None:
    if value:
        sys.stdout.write(f"tissu {__version__}\n")
        raise typer.Exit


@app.callback(invoke_without_command=True)
def _root(
    ctx: typer.Context,
    version: Annotated[
        bool,
        typer.Option("--version", help="Print the version.", is_eager=True, callback=_show_version),
    ] = False,
    debug: Annotated[
        bool,
        typer.Option(
            "--debug", envvar="TISSU_DEBUG", help="Show Python's traceback with an error."
        ),
    ] = False,
    quiet: Annotated[
        bool,
        typer.Option("--quiet", envvar="TISSU_QUIET", help="Draw no panel and no progress."),
    ] = False,
) -> None:
    if debug:
        os.environ["TISSU_DEBUG"] = "1"
    if quiet:
        os.environ["TISSU_QUIET"] = "1"
    if ctx.invoked_subcommand is None:
        sys.stdout.write(ctx.get_help() + "\n")


def main() -> None:
    """Entry point of the ``tissu`` script."""
    for stream in (sys.stdout, sys.stderr):
        use_stand_ins(stream)
    with contextlib.suppress(AttributeError):  # what is typed may be no text; see clean_argument
        sys.stdin.reconfigure(errors="surrogateescape")  # type: ignore[union-attr]
    code = run(sys.argv[1:])
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        discard(sys.stdout)
        code = settings.EXIT_CLOSED_PIPE
    _leave(code)


def _leave(code: int) -> None:
    """Exit; at once where a thread still works, such as a compiler's that a signal left behind.

    Python 3.11 ends such a thread by pthread_exit when it asks for its lock, and in a frame of C++
    that is SIGABRT; seen in 1 of 20 compilations that were left so, with everything saved, and in 1
    of 6 processes that trained together and ended early, whose threads Python does not know.
    """
    is_one_of_many = "RANK" in os.environ or "SLURM_PROCID" in os.environ
    if is_one_of_many or any(thread.daemon for thread in threading.enumerate()):
        with contextlib.suppress(OSError):
            sys.stderr.flush()
        os._exit(code)
    sys.exit(code)


def run(arguments: list[str]) -> int:
    """Carry out a command line; returns the exit code."""
    is_json = "--json" in arguments or _asks_json_view(arguments)
    try:
        command = typer.main.get_command(app)
        code = command.main(arguments, prog_name="tissu", standalone_mode=False, obj=arguments)
    except TissuError as error:
        return _explain(
            error, error.message, error.safe, error.hint, code=error.code, is_json=is_json
        )
    except typer.TyperException as error:
        return _explain_usage(error, is_json=is_json)
    except (KeyboardInterrupt, typer.Abort):
        return settings.EXIT_INTERRUPTED
    except (OSError, MemoryError) as error:
        return _explain(
            error,
            f"the machine refused: {str(error) or 'no memory is left'}",
            "every finished checkpoint",
            "free disk or memory, or name another place with --out or TISSU_HOME",
            code=ResourceError.code,
            is_json=is_json,
        )
    except Exception as error:  # noqa: BLE001  the outer edge: a bug is shown as one
        return _explain(
            error,
            f"{type(error).__name__}: {error}",
            "every finished checkpoint",
            "the same command after tissu --debug, and report what it shows",
            code=settings.EXIT_BUG,
            is_json=is_json,
        )
    return code if isinstance(code, int) else settings.EXIT_OK


def _asks_json_view(arguments: list[str]) -> bool:
    pairs = zip(arguments, [*arguments[1:], ""], strict=True)
    return "--view=json" in arguments or ("--view", "json") in pairs


def _explain(
    error: BaseException, message: str, safe: str, hint: str, *, code: int, is_json: bool
) -> int:
    from tissu_cli.render.errors import show_error

    if os.environ.get("TISSU_DEBUG"):
        traceback.print_exception(error)
    with contextlib.suppress(OSError):  # the terminal may be gone
        show_error(message, safe, hint, code=code, is_json=is_json)
    return code


def _explain_usage(error: typer.TyperException, *, is_json: bool) -> int:
    context = getattr(error, "ctx", None)
    command = context.command_path if context is not None else "tissu"
    message = error.format_message() if hasattr(error, "format_message") else str(error)
    return _explain(
        error,
        message.rstrip("."),
        "nothing was changed",
        f"{command} --help",
        code=settings.EXIT_USAGE,
        is_json=is_json,
    )
