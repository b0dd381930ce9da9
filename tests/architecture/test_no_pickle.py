"""Nothing that tissu reads can run code."""

import ast

import pytest

from tests.architecture.sources import source_files

FORBIDDEN_MODULES = {"pickle", "cPickle", "dill", "cloudpickle", "joblib", "shelve", "marshal"}
FORBIDDEN_CALLS = {"eval", "exec", "compile", "__import__"}
FORBIDDEN_ATTRIBUTES = {("torch", "load"), ("np", "load"), ("numpy", "load"), ("yaml", "load")}


def offences(tree: ast.Module) -> list[str]:
    """Line and name of everything that could run code from a file."""
    found = []
    for node in ast.walk(tree):
        modules: list[str] = []
        if isinstance(node, ast.Import):
            modules = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            modules = [node.module or ""]
            names = [(node.module, alias.name) for alias in node.names]
            found += [f"{node.lineno} {a}.{b}" for a, b in names if (a, b) in FORBIDDEN_ATTRIBUTES]
        found += [
            f"{node.lineno} import {module}"
            for module in modules
            if module.split(".")[0] in FORBIDDEN_MODULES
        ]
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            found += [f"{node.lineno} {node.func.id}()"] * (node.func.id in FORBIDDEN_CALLS)
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            name = (node.value.id, node.attr)
            found += [f"{node.lineno} {'.'.join(name)}"] * (name in FORBIDDEN_ATTRIBUTES)
        if isinstance(node, ast.keyword) and node.arg == "trust_remote_code":
            found.append(f"{node.value.lineno} trust_remote_code")
    return found


SANDBOX = "tissu_core/evals/sandbox/child.py"
"""Runs what a model wrote: in a process of its own, behind walls that it tries before."""


def test_nothing_reads_a_pickle_or_runs_what_it_reads() -> None:
    found = {str(path): offences(tree) for path, tree in source_files().items()}
    runs_code = found.pop(SANDBOX)
    assert {path: lines for path, lines in found.items() if lines} == {}
    assert {line.split()[1] for line in runs_code} == {"exec()", "compile()"}


def test_nothing_imports_the_sandboxs_own_process() -> None:
    for path, tree in source_files().items():
        for node in ast.walk(tree):
            names = [alias.name for alias in getattr(node, "names", []) if hasattr(alias, "name")]
            module = getattr(node, "module", None) or ""
            assert not any("sandbox_child" in name for name in [module, *names]), path


@pytest.mark.parametrize(
    "code",
    [
        "import pickle",
        "from pickle import loads",
        "import torch\ntorch.load('x')",
        "from torch import load",
        "model = open_model('x', trust_remote_code=True)",
        "eval('1')",
        "exec('1')",
        "__import__('os')",
        "import numpy as np\nnp.load('x', allow_pickle=True)",
    ],
)
def test_the_guard_sees_what_it_guards_against(code: str) -> None:
    assert offences(ast.parse(code))


def test_the_guard_leaves_methods_of_the_same_name_alone() -> None:
    assert offences(ast.parse("model.eval()\nTokenizer.load(path)\nimport json")) == []
