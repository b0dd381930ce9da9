"""The settings file of a new project, written from the fields themselves."""

from collections.abc import Mapping
from itertools import groupby
from typing import Any

from tissu_core.config.fields import default_of, describe
from tissu_core.config.layers import known_settings
from tissu_core.config.load import to_line

_HEAD = """\
# Settings of this project. Every tissu command that runs in this folder, or below it, reads them.
# A line that begins with # shows a default: take the # away and change it. An option that is typed
# wins over this file. `tissu config show --origin` says what holds, and why.
"""


def project_toml(chosen: Mapping[str, Any]) -> str:
    """Every setting that has an option, with its help; those in ``chosen`` hold."""
    known = known_settings()
    shown = [path for path, spec in known.items() if describe(spec).flag or path in chosen]
    parts = [_HEAD]
    for family, paths in groupby(shown, lambda path: path.rpartition(".")[0]):
        parts.append(f"\n[{family}]\n" if family else "\n")
        for path in paths:
            facts, key = describe(known[path]), path.rpartition(".")[2]
            value = chosen.get(path, default_of(known[path]))
            line = f"{key} =" if value is None else to_line(key, value)
            unit = f" ({facts.unit})" if facts.unit and facts.unit not in facts.help else ""
            is_said = all(choice in facts.help for choice in facts.choices)
            choices = "" if is_said else f"; one of {', '.join(facts.choices)}"
            parts.append(f"{'' if path in chosen else '# '}{line}  # {facts.help}{unit}{choices}\n")
    return "".join(parts)
