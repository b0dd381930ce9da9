"""What answers at once does not import torch."""

import subprocess
import sys
from pathlib import Path

import pytest

import tissu_core

ROOT = Path(tissu_core.__file__).parent
FREE_OF_TORCH = [
    *(
        f"tissu_core.{folder}.{path.stem}"
        for folder in ("config", "text")
        for path in sorted((ROOT / folder).glob("*.py"))
        # Jinja itself, imported where a conversation is rendered.
        if path.stem not in ("__init__", "template_sandbox")
    ),
    "tissu_core.errors",
    "tissu_core.events",
    "tissu_core.storage",
    "tissu_core.sanitize",
    "tissu_core.runs.home",
    "tissu_core.runs.run_directory",
    "tissu_core.checkpoint.store",
]


def loaded_after(statement: str, *heavy: str) -> list[str]:
    code = f"import sys\n{statement}\nprint([n for n in {heavy!r} if n in sys.modules])"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    last = found.stdout.splitlines()[-1]
    return [word.strip("'") for word in last.strip("[]").split(", ") if word]


def test_torch_free_modules_leave_torch_alone() -> None:
    statement = "\n".join(f"import {name}" for name in FREE_OF_TORCH)
    assert loaded_after(statement, "torch", "safetensors", "tokenizers", "jinja2") == []


@pytest.mark.parametrize(
    "name", ["tissu_core", "tissu_core.runs.train.train", "tissu_core.runs.inspect.why"]
)
def test_importing_a_verb_does_not_import_torch(name: str) -> None:
    assert loaded_after(f"import {name}", "torch") == []


def test_a_command_line_imports_the_command_that_it_names() -> None:
    commands = ("tissu_cli.commands.train", "tissu_cli.commands.doctor")
    statement = "from tissu_cli.main import run\nrun(['doctor', '--help'])"
    assert loaded_after("import tissu_cli.main", *commands) == []
    assert loaded_after(statement, *commands) == ["tissu_cli.commands.doctor"]


def test_the_list_is_not_empty() -> None:
    assert "tissu_core.text.tokenizer" in FREE_OF_TORCH
    assert loaded_after("import torch", "torch") == ["torch"]
