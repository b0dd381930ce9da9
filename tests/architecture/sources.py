"""The parsed source files of both packages."""

import ast
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]


@cache
def source_files() -> dict[str, ast.Module]:
    """Path inside the repository to syntax tree."""
    files = [
        path for package in ("tissu_core", "tissu_cli") for path in ROOT.glob(f"{package}/**/*.py")
    ]
    return {
        path.relative_to(ROOT).as_posix(): ast.parse(path.read_text("utf-8"), str(path))
        for path in sorted(files)
    }
