"""The files in ``completions/`` are those of today's commands, and well made."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest
import typer

from tests.architecture.sources import ROOT
from tissu_cli.commands import completions
from tissu_cli.main import app
from tissu_cli.reference.files import SHELLS, iter_files
from tissu_cli.reference.tree import Command, iter_commands, read_tree
from tissu_cli.reference.words import word_table
from tissu_core.config.fields import describe, iter_settings
from tissu_core.config.runs import TrainRun

FOLDER = ROOT / "completions"
PAGES = sorted((FOLDER / "man").iterdir())


@pytest.fixture(scope="module")
def tree() -> Command:
    return read_tree(typer.main.get_command(app))


def test_the_files_are_those_of_the_commands(tree: Command) -> None:
    made = dict(iter_files(tree))
    kept = {
        path.relative_to(FOLDER).as_posix(): path.read_text("utf-8")
        for path in FOLDER.rglob("*")
        if path.is_file()
    }
    assert made.keys() == kept.keys(), "scripts/write_completions"
    for name in made:
        assert made[name] == kept[name], f"scripts/write_completions writes {name} again"


def test_what_can_follow(tree: Command) -> None:
    table = {key: [word.text for word in words] for key, words in word_table(tree).items()}
    assert table["tissu runs"] == ["list", "show", "rm"]
    assert table["tissu train --optimizer"] == ["muon", "adamw", "rmsprop", "adam", "sgd"]
    assert table["tissu train --resume"] == ["last", "@runs", "@directories"]
    assert table["tissu train"] == table["tissu generate --prompts-file"] == ["@files"]
    assert table["tissu chat"] == table["tissu eval ppl -m"] == ["@models", "@files"]
    assert table["tissu train --from"] == table["tissu train --tokenizer"] == table["tissu chat"]
    assert table["tissu train --steps"] == []
    assert "tissu train --demo" not in table  # takes no value
    assert {"--compile", "--no-compile", "-h", "--help"} <= {*table["tissu train -*"]}
    assert not any("__complete" in key for key in table)
    assert not any("completion" in word for word in table["tissu -*"])  # Typer's own is off


def test_every_setting_with_a_flag_is_there(tree: Command) -> None:
    table = {key: {word.text for word in words} for key, words in word_table(tree).items()}
    facts = [describe(spec) for _, spec, _ in iter_settings(TrainRun) if describe(spec).flag]
    assert len(facts) > 50
    assert {each.flag for each in facts} <= table["tissu train -*"]
    for each in facts:
        if each.choices:
            assert table[f"tissu train {each.flag}"] == {*each.choices}


def test_no_word_needs_quoting(tree: Command) -> None:
    """The engines take it for granted: no shell would split or expand one."""
    for key, words in word_table(tree).items():
        for word in words:
            assert word.text.strip("@").replace("-", "").replace("_", "").isalnum(), (key, word)
            assert word.help.isascii() and word.help.isprintable(), (key, word)
    keys = [key.lower() for key in word_table(tree)]
    assert len(keys) == len({*keys})  # PowerShell's tables know no case


def test_powershell_reads_the_same_table(tree: Command) -> None:
    """Which no test runs: its strings, read back by its rule of doubled quotes."""
    string = r"'(?:[^']|'')*'"
    row = rf"^        ({string}) = @\(((?:{string}(?:, )?)*)\)$"
    found = {
        key[1:-1]: [each[1:-1].replace("''", "'") for each in re.findall(string, words)]
        for key, words in re.findall(row, (FOLDER / "tissu.ps1").read_text("utf-8"), re.MULTILINE)
    }
    assert found == {
        key: [f"{word.text} {word.help}".strip() for word in words]
        for key, words in word_table(tree).items()
    }


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_roff_finds_nothing_wrong(page: Path) -> None:
    if shutil.which("groff") is None:
        pytest.skip("groff is not installed")
    command = ["groff", "-man", "-Tascii", "-ww", "-Wbreak", "-P-cbou", page]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stderr == ""
    assert "NAME\n" in done.stdout and "SYNOPSIS\n" in done.stdout


def test_the_pages_name_every_command_and_option(tree: Command) -> None:
    text = "\n".join(page.read_text("utf-8") for page in PAGES).replace(r"\-", "-")
    for command in iter_commands(tree):
        assert command.commands or rf"\fB{command.path}\fR" in text
        for option in command.options:
            assert all(rf"\fB{name}\fR" in text for name in option.names)
    assert len(PAGES) == 1 + len(tree.commands)
    assert all(not line.startswith("'") for line in text.splitlines())


def test_the_command_names_every_shell() -> None:
    assert "|".join(SHELLS) == completions.NAMES
