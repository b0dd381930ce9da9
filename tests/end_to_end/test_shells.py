"""Real shells complete real command lines."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pexpect
import pytest

from tests.architecture.sources import ROOT
from tests.end_to_end.conftest import Tissu

FOLDER = ROOT / "completions"
EVIL = ["a$(touch x)b", "c`touch x`", "my run", "it's", 'q"uote', "red\x1b[31m", "new\nline", "*"]
HELPED = ["cloth", "hub:org/name", "hub:org/other"]
ALL, SHOW = "\x14", "\x0f"
"""Keys that insert all completions, and that print the line as it stands."""


def name_runs(tissu: Tissu, *names: str) -> None:
    for name in names:
        path = tissu.home / "runs" / name
        path.mkdir(parents=True)
        (path / "config.toml").touch()


def test_the_command_prints_the_file_and_nothing_else(tissu: Tissu) -> None:
    for shell, name in [("zsh", "_tissu"), ("fish", "tissu.fish"), ("powershell", "tissu.ps1")]:
        result = tissu("completions", shell)
        assert (result.code, result.err) == (0, "")
        assert result.out == (FOLDER / name).read_text("utf-8")
    away = {"COLUMNS": "40", "LC_ALL": "C", "HOME": "/nowhere", "TERM": "dumb"}
    assert tissu.process("completions", "bash", **away).out == (FOLDER / "tissu.bash").read_text()


def test_an_unknown_shell_is_refused(tissu: Tissu) -> None:
    result = tissu("completions", "tcsh")
    assert result.code == 2
    assert "bash, zsh, fish, powershell" in result.error[2]


def test_names_on_this_machine(tissu: Tissu) -> None:
    name_runs(tissu, "cloth", "linen-2", *EVIL)
    assert sorted(tissu("__complete", "runs").out.splitlines()) == ["cloth", "linen-2"]
    assert tissu("__complete", "models").out == ""  # no run has a checkpoint
    assert "smollm2\n" in tissu("__complete", "known").out
    assert tissu("__complete", "stored") == tissu("__complete", "nonsense")
    assert "__complete" not in tissu("--help").out


def test_a_stored_model_is_a_name(tissu: Tissu, tmp_path: Path) -> None:
    file = tissu.home / "models" / "small" / "model.gguf"
    file.parent.mkdir(parents=True)
    file.touch()
    assert tissu("__complete", "stored").out == tissu("__complete", "models").out == "small\n"


@pytest.mark.parametrize("source", ["models", "runs", "stored"])
def test_names_cost_no_heavy_import(tissu: Tissu, source: str) -> None:
    heavy = ("torch", "tokenizers", "rich", "numpy", "safetensors", "jinja2", "pyarrow")
    code = (
        f"import sys\nfrom tissu_cli.main import run\nassert run(['__complete', {source!r}]) == 0\n"
        f"sys.exit(str([name for name in {heavy!r} if name in sys.modules] or ''))"
    )
    environment = {**os.environ, "TISSU_HOME": str(tissu.home)}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True)
    assert done.stderr == b"\n"


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A folder to type in, and a ``tissu`` that knows names."""
    (tmp_path / "bin").mkdir()
    helper = tmp_path / "bin" / "tissu"
    names = " ".join(f"'{name}'" for name in HELPED)
    helper.write_text(f'#!/bin/sh\n[ "$1" = __complete ] && printf "%s\\n" {names}\n')
    helper.chmod(0o755)
    work = tmp_path / "work"
    (work / "corpus dir").mkdir(parents=True)
    for name in ("corpus dir/x.txt", "cake.gguf", "$(touch x).gguf"):
        (work / name).touch()
    return work


def start(shell: str, options: list[str], place: Path) -> "pexpect.spawn[str]":
    path = shutil.which(shell)
    if path is None:
        pytest.skip(f"{shell} is not installed: its completion is not tried")
    environment = {**os.environ, "TERM": "dumb", "HOME": str(place), "PS1": "$ "}
    environment["PATH"] = f"{place.parent / 'bin'}:{os.environ['PATH']}"
    return pexpect.spawn(
        path,
        options,
        env=environment,
        cwd=place,
        encoding="utf-8",
        timeout=20,
        echo=False,
        dimensions=(24, 2000),
    )


Ask = Callable[..., str]


def asking(terminal: "pexpect.spawn[str]", setup: str, clear: str) -> Ask:
    terminal.sendline(setup + "; echo re''ady")
    terminal.expect(r"ready[\s\S]*?\$ ")  # and the prompt after it

    def ask(typed: str, key: str = ALL) -> str:
        terminal.send(typed + key + SHOW)
        terminal.expect(r"<<(.*?)>>\r?\n")
        line = str(terminal.match[1])
        terminal.send(clear)
        assert line.startswith(typed.rpartition(" ")[0])
        return line.rstrip()

    return ask


@pytest.fixture
def bash(place: Path) -> Iterator[Ask]:
    terminal = start("bash", ["--norc", "--noprofile"], place)
    setup = (
        "bind 'set enable-bracketed-paste off'; bind '\"\\C-t\": insert-completions'; "
        'bind -x \'"\\C-o": printf "<<%s>>\\n" "$READLINE_LINE"\'; '
        f"source {FOLDER / 'tissu.bash'}"
    )
    yield asking(terminal, setup, "\x01\x0b")
    terminal.close(force=True)


@pytest.fixture
def zsh(place: Path) -> Iterator[Ask]:
    terminal = start("zsh", ["-f", "-i"], place)
    setup = (
        f"fpath=({FOLDER} $fpath); autoload -Uz compinit; compinit -u -D; "
        'show() { print -r -- "<<$BUFFER>>" }; zle -N show; bindkey "^O" show; '
        "zle -C all complete-word _generic; zstyle ':completion:all:*' insert yes; "
        "zstyle ':completion:all::::' completer _all_matches _complete; bindkey '^T' all; "
        "bindkey '^U' kill-buffer"
    )
    yield asking(terminal, setup, "\x07\x07\x15")
    terminal.close(force=True)


WORDS = [
    ("tissu mod", "models"),
    ("tissu models p", "pull"),
    (
        "tissu --quiet inspect ",
        "activations attention diff experts explain gradcheck hist lens memory model quantization "
        "run schedule source tokens tree weights why",
    ),
    ("tissu train --optimizer ", "adam adamw muon rmsprop sgd"),
    ("tissu train --optimizer=m", "--optimizer=muon"),
    ("tissu train --quiet --opti", "--optimizer"),
    ("tissu inspect schedule --no", ""),
    ("tissu train --no-q", "--no-qk-norm"),
    ("tissu train --steps ", ""),
    ("tissu train --optimizer muon --device c", "cpu cuda"),
    ("tissu tokenize train --typ", "--type"),
    ("tissu runs show cl", "cloth"),
    ("tissu generate --prompts-file ca", "cake.gguf"),
    ("tissu quantize --text=cak", "--text=cake.gguf"),
    ("tissu completions p", "powershell"),
    ("tissu __c", ""),
]


def completed(ask: Ask) -> dict[str, str]:
    """The words put in place of each last one; what stays as typed is none."""
    found = {}
    for typed, _ in WORDS:
        begin, _, last = typed.rpartition(" ")
        words = ask(typed)[len(begin) :].split()
        found[typed] = " ".join(sorted({*words} - {last}))
    return found


def test_bash_completes(bash: Ask) -> None:
    assert completed(bash) == dict(WORDS)
    assert bash("echo x | tissu eva") == "echo x | tissu eval"


def test_zsh_completes(zsh: Ask) -> None:
    assert completed(zsh) == dict(WORDS)


@pytest.mark.parametrize(
    ("typed", "line"),
    [
        ("tissu chat c", r"tissu chat cake.gguf cloth corpus\ dir"),
        (r"tissu train corpus\ d", r"tissu train corpus\ dir"),
        ("tissu train 'corp", "tissu train 'corpus dir'"),
        (r"tissu train corpus\ dir/", r"tissu train corpus\ dir/x.txt"),
        ("tissu runs show hub:", "tissu runs show hub:org/name org/other"),
        ("tissu chat hub:org/n", "tissu chat hub:org/name"),
        (r"tissu chat hub\:org/n", r"tissu chat hub\:org/name"),
        ('tissu chat "hub:org/n', 'tissu chat "hub:org/name"'),
        ("tissu train --from=hub:org/n", "tissu train --from=hub:org/name"),
        (r"tissu chat \$", r"tissu chat \$\(touch\ x\).gguf"),
    ],
)
def test_bash_quotes_as_was_begun(bash: Ask, typed: str, line: str) -> None:
    assert bash(typed) == line


@pytest.mark.parametrize("shell", ["bash", "zsh"])
def test_nothing_in_a_name_is_run(shell: str, place: Path, request: pytest.FixtureRequest) -> None:
    """Even of names that the helper leaves out."""
    ask = request.getfixturevalue(shell)
    helper, names = place.parent / "bin" / "tissu", place.parent / "names"
    helper.write_text(f"#!/bin/sh\ncat {names}\n")
    names.write_text("\n".join(["able", *EVIL]) + "\n")
    assert ask("tissu runs show ab") == "tissu runs show able"
    assert ask("tissu runs show my") == r"tissu runs show my\ run"
    for typed in ("tissu models rm ", "tissu train --resume c", "tissu runs rm 'a"):
        ask(typed)
    assert not [*place.parent.rglob("x")]


def test_fish_completes(place: Path) -> None:
    fish = shutil.which("fish")
    if fish is None:
        pytest.skip("fish is not installed: its completion is not tried")
    asked = "".join(f'echo "== {typed}"; complete -C "{typed}"\n' for typed, _ in WORDS)
    path = f"{place.parent / 'bin'}:{os.environ['PATH']}"
    done = subprocess.run(
        [fish, "--no-config", "-c", f"source {FOLDER / 'tissu.fish'}\n{asked}"],
        cwd=place,
        env={**os.environ, "HOME": str(place), "PATH": path},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stderr == ""
    found = {}
    for part in done.stdout.split("== ")[1:]:
        typed, *lines = part.splitlines()
        found[typed] = " ".join(sorted(line.split("\t")[0] for line in lines))
    assert found == dict(WORDS)
