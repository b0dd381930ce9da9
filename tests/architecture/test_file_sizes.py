"""A file is one noun, a function one verb: neither outgrows what is read at once."""

import ast

from tests.architecture.sources import ROOT, source_files

LONGEST_FILE = 320
LONGEST_FUNCTION = 60


def test_no_file_is_too_long() -> None:
    lengths = {path: len((ROOT / path).read_text("utf-8").splitlines()) for path in source_files()}
    assert len(lengths) > 30, "the packages were not found"
    assert {path: n for path, n in lengths.items() if n > LONGEST_FILE} == {}


def test_no_function_is_too_long() -> None:
    lengths = {
        f"{path}:{node.lineno} {node.name}": (node.end_lineno or 0) - node.lineno + 1
        for path, tree in source_files().items()
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    }
    assert len(lengths) > 100
    assert {name: n for name, n in lengths.items() if n > LONGEST_FUNCTION} == {}
