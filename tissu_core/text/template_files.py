"""Where a model keeps its chat templates."""

from pathlib import Path
from typing import Any

from tissu_core.errors import InputError
from tissu_core.storage import read_json
from tissu_core.text.template_meter import MAX_SOURCE

CHAT_TEMPLATE_FILE = "chat_template.jinja"
_JSON_FILE = "chat_template.json"
_FOLDER = "additional_chat_templates"
_DEFAULT = "default"


def named_templates(value: Any) -> dict[str, str]:
    """What an entry ``chat_template`` holds: one template, or a list of them with names.

    Raises:
        InputError: If it is neither.
    """
    match value:
        case None:
            return {}
        case str():
            return {_DEFAULT: value}
        case [*entries]:
            named = {
                entry["name"]: entry["template"]
                for entry in entries
                if isinstance(entry, dict)
                and isinstance(entry.get("name"), str)
                and isinstance(entry.get("template"), str)
            }
            if len(named) == len(entries):
                return named
        case _:
            pass
    raise InputError(
        "the chat_template of this model is neither a template nor a list of named ones",
        hint="give one as a file: tissu chat --template FILE",
    )


def default_template(templates: dict[str, str]) -> str | None:
    """The template called default, or the first."""
    return templates.get(_DEFAULT, next(iter(templates.values()), None))


def template_files(directory: Path) -> dict[str, str]:
    """The templates that stand beside a tokenizer in files of their own.

    Raises:
        InputError: If one of them is no text.
        IntegrityError: If ``chat_template.json`` is no JSON object.
    """
    found: dict[str, str] = {}
    if (directory / _JSON_FILE).is_file():
        found |= named_templates(read_json(directory / _JSON_FILE).get("chat_template"))
    if (directory / CHAT_TEMPLATE_FILE).is_file():
        found[_DEFAULT] = read_template(directory / CHAT_TEMPLATE_FILE)
    for path in sorted((directory / _FOLDER).glob("*.jinja")):
        found[path.stem] = read_template(path)
    return found


def read_template(path: Path) -> str:
    """A template in a file of its own.

    Raises:
        InputError: If it is no text.
    """
    try:
        with path.open(encoding="utf-8") as file:
            return file.read(MAX_SOURCE + 1)  # longer ones are refused where they are compiled
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(
            f"{path} is no chat template: {error}", hint="use another template"
        ) from error
