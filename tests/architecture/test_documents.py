"""What the documents tell people to type works, and what docstrings show is so."""

import doctest
import importlib
import pkgutil
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import tissu_cli
import tissu_core
from tests.architecture.sources import ROOT

GUIDE = (ROOT / "CONTRIBUTING.md").read_text("utf-8")


def modules_with_examples() -> list[str]:
    return [
        module.name
        for package in (tissu_core, tissu_cli)
        for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}.")
        if ">>> " in Path(importlib.util.find_spec(module.name).origin).read_text("utf-8")
    ]


@pytest.mark.parametrize("name", modules_with_examples())
def test_examples_in_docstrings_are_so(name: str) -> None:
    failed, tried = doctest.testmod(importlib.import_module(name))
    assert tried
    assert not failed


def test_there_are_examples() -> None:
    assert len(modules_with_examples()) >= 5


def test_the_formatting_command_of_the_guide_finds_nothing_to_do() -> None:
    (command,) = re.findall(r"^`(ruff format [^`]*)` formats", GUIDE, re.MULTILINE)
    words = [sys.executable, "-m", *command.split(), "--check"]
    subprocess.run(words, cwd=ROOT, check=True, capture_output=True)


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """A repository with our hooks and one good commit."""
    pytest.importorskip("pre_commit")
    if shutil.which("git") is None:
        pytest.skip("git is not installed")
    shutil.copy(ROOT / ".pre-commit-config.yaml", tmp_path)
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    shutil.copytree(ROOT / "scripts", tmp_path / "scripts")
    git(tmp_path, "init", "-q")
    git(tmp_path, "config", "user.name", "T")
    git(tmp_path, "config", "user.email", "t@example.org")
    return tmp_path


def git(folder: Path, *words: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(["git", *words], cwd=folder, check=False, capture_output=True, text=True)


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("bad.py", "x = {  'a':1 }\n", "1 file would be reformatted"),
        ("weights.txt", "x" * 600_000, "weights.txt: 600,000 bytes"),
        ("notes.md", "\n-----BEGIN RSA " + "PRIVATE KEY-----\n", "notes.md:2: looks like a key"),
        ("settings.toml", f"token = 'hf_{'a' * 34}'\n", "settings.toml:1: looks like a key"),
    ],
)
def test_the_hook_stops_a_commit(clone: Path, name: str, content: str, said: str) -> None:
    (clone / name).write_text(content)
    git(clone, "add", "-A")
    subprocess.run([sys.executable, "-m", "pre_commit", "install"], cwd=clone, check=True)
    committed = git(clone, "commit", "-m", "one")
    assert committed.returncode == 1
    assert said in committed.stdout + committed.stderr
