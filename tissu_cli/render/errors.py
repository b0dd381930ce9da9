"""Three lines for whoever met an error: what and where, what is safe, what to type."""

import json
import sys

from rich.text import Text

from tissu_cli.render.console import narration
from tissu_core.sanitize import sanitize_line


def show_error(message: str, safe: str, hint: str, *, code: int, is_json: bool) -> None:
    """Print an error on stderr, as lines or as one JSON object."""
    if is_json:
        record = {"code": code, "error": message, "safe": safe, "try": hint}
        sys.stderr.write(json.dumps(record) + "\n")
        return
    console = narration()
    rows = (("error", message, "bold red"), ("safe", safe, "green"), ("try", hint, "cyan"))
    for name, text, style in rows:
        line = Text(f"{name}: ", style=style)
        console.print(line.append(sanitize_line(text), style="default"), soft_wrap=True)
