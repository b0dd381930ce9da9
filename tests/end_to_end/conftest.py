"""The real command, and one small run that many tests read.

A process of its own costs two seconds of importing torch, so most tests run the same command line
inside this one, from the arguments to the exit code; ``test_processes.py`` shows that both agree.
"""

import contextlib
import hashlib
import io
import json
import os
import random
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tissu_cli.main import run

COMMAND = [sys.executable, "-m", "tissu_cli"]
TINY = ["--layers", "1", "--width", "32", "--heads", "2", "--context", "32", "--vocab-size", "320"]
FAST = [*TINY, "--batch-tokens", "256", "--threads", "1"]


@dataclass(frozen=True)
class Result:
    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)

    @property
    def error(self) -> list[str]:
        """The three lines of an error, checked for their shape."""
        lines = self.err.strip().splitlines()[-3:]
        assert [line.split(":")[0] for line in lines] == ["error", "safe", "try"], self.err
        assert "Traceback" not in self.err
        return lines


def environment(home: Path, **more: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if name not in ("CI", "TERM")}
    return {**kept, "TISSU_HOME": str(home), "OMP_NUM_THREADS": "1", "COLUMNS": "100", **more}


def _stream() -> io.TextIOWrapper:
    return io.TextIOWrapper(io.BytesIO(), encoding="utf-8", errors="backslashreplace")


def _text(stream: io.TextIOWrapper) -> str:
    stream.flush()
    return stream.buffer.getvalue().decode()  # type: ignore[attr-defined]


_WITHOUT_PRIVILEGE = [
    "setpriv",
    "--bounding-set=-dac_override,-dac_read_search",
    "--inh-caps=-dac_override,-dac_read_search",
]


class Tissu:
    """Runs ``tissu`` with a home of its own."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self._started: list[subprocess.Popen[bytes]] = []

    def __call__(self, *arguments: str | Path, stdin: str | bytes = b"") -> Result:
        """Run a command line in this process."""
        data = stdin.encode() if isinstance(stdin, str) else stdin
        out, err = _stream(), _stream()
        before, sys.stdin = sys.stdin, io.TextIOWrapper(io.BytesIO(data), encoding="utf-8")
        try:
            with (
                pytest.MonkeyPatch.context() as patch,
                contextlib.redirect_stdout(out),
                contextlib.redirect_stderr(err),
            ):
                patch.setenv("TISSU_HOME", str(self.home))
                patch.setenv("COLUMNS", "100")
                code = run([*map(str, arguments)])
        finally:
            sys.stdin = before
        return Result(code, _text(out), _text(err))

    def process(self, *arguments: str | Path, stdin: str | bytes = b"", **more: str) -> Result:
        """Run a command line in a process of its own."""
        data = stdin.encode() if isinstance(stdin, str) else stdin
        done = subprocess.run(
            [*COMMAND, *map(str, arguments)],
            input=data,
            capture_output=True,
            timeout=300,
            env=environment(self.home, **more),
            check=False,
        )
        return Result(done.returncode, done.stdout.decode(), done.stderr.decode())

    def as_ordinary_user(self, *arguments: str | Path) -> Result:
        """Run a command line without the power to read and write whatever is there."""
        command = [*COMMAND, *map(str, arguments)]
        if os.geteuid() == 0:
            if shutil.which("setpriv") is None or subprocess.call([*_WITHOUT_PRIVILEGE, "true"]):
                pytest.skip("root cannot give up reading and writing everything here")
            command = [*_WITHOUT_PRIVILEGE, *command]
        done = subprocess.run(
            command, env=environment(self.home), capture_output=True, text=True, check=False
        )
        return Result(done.returncode, done.stdout, done.stderr)

    def start(self, *arguments: str | Path, **options: Any) -> "subprocess.Popen[bytes]":
        command = [*COMMAND, *map(str, arguments)]
        self._started.append(subprocess.Popen(command, env=environment(self.home), **options))
        return self._started[-1]

    def close(self) -> None:
        """End what a test that failed has left running."""
        for process in self._started:
            if process.poll() is None:
                process.kill()
                process.wait()


def important(run: Path) -> dict[str, str]:
    """All files but the note of who writes."""
    return {path: sha for path, sha in snapshot(run).items() if path != "owner.json"}


def write_corpus(folder: Path, documents: int = 12, seed: int = 0) -> Path:
    """Text with something to learn: sentences of a small grammar."""
    draw = random.Random(seed)
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(documents):
        sentences = [
            f"The {draw.choice(['weaver', 'miller', 'sailor'])} "
            f"{draw.choice(['counted', 'moved', 'mended'])} "
            f"{draw.randint(2, 99)} {draw.choice(['threads', 'sacks', 'sails'])}."
            for _ in range(80)
        ]
        (folder / f"text-{number:02}.txt").write_text("\n".join(sentences) + "\n", "utf-8")
    return folder


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    return write_corpus(tmp_path / "corpus")


@pytest.fixture
def tissu(tmp_path: Path) -> Iterator[Tissu]:
    tissu = Tissu(tmp_path / "home")
    yield tissu
    tissu.close()


@dataclass(frozen=True)
class Trained:
    tissu: Tissu
    corpus: Path
    result: Result

    @property
    def run(self) -> Path:
        return self.tissu.home / "runs" / "cloth"


Copy = Callable[[], Trained]


def snapshot(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


@pytest.fixture(scope="session")
def trained_once(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    """A finished run of 40 steps; tests that only read share it."""
    root = tmp_path_factory.mktemp("trained")
    corpus = write_corpus(root / "corpus")
    tissu = Tissu(root / "home")
    result = tissu("train", corpus, "--name", "cloth", "--steps", "40", "--eval-every", "10", *FAST)
    assert result.code == 0, result.err
    return Trained(tissu, corpus, result)


@pytest.fixture(scope="session")
def talker(tmp_path_factory: pytest.TempPathFactory) -> Tissu:
    """A home with a model whose replies may be long, as ``--min-tokens`` asks for them."""
    root = tmp_path_factory.mktemp("talker")
    sizes = ["--context", "8192", "--batch-tokens", "8192", "--threads", "1"]
    shape = [*TINY, *sizes]
    tissu = Tissu(root / "home")
    corpus = write_corpus(root / "corpus", documents=48)
    result = tissu("train", corpus, "--name", "long", "--steps", "6", "--lr", "0.02", *shape)
    assert result.code == 0, result.err
    return tissu


@pytest.fixture(scope="session")
def hostile_home(tmp_path_factory: pytest.TempPathFactory) -> Tissu:
    """A model taught to write escape sequences, from files whose names hold them."""
    pytest.importorskip("pexpect")
    from tests.end_to_end.test_terminal import HOSTILE, Terminal

    root = tmp_path_factory.mktemp("hostile")
    folder = root / "corpus"
    folder.mkdir()
    for number in range(6):
        (folder / f"a{HOSTILE}{number}.txt").write_text(HOSTILE * 300, "utf-8")
    (folder / f"b{HOSTILE}.bin").write_bytes(b"\0" * 9)
    tissu = Tissu(root / "home")
    terminal = Terminal(
        tissu.home, "train", folder, "--steps", "30", "--lr", "0.03", "--name", "h", *FAST
    )
    assert terminal.read_to_end() == 0
    assert terminal.foreign_controls() == b""
    assert "binary" in terminal.text
    return tissu


@pytest.fixture
def trained_copy(trained_once: Trained, tmp_path: Path) -> Copy:
    """A copy of the finished run that a test may damage."""

    def copy() -> Trained:
        home = tmp_path / "copied-home"
        shutil.copytree(trained_once.tissu.home, home)
        return Trained(Tissu(home), trained_once.corpus, trained_once.result)

    return copy


def log_of(run: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (run / "events.jsonl").open("rb")]


def train_briefly(tissu: Tissu, corpus: Path, *options: str) -> Result:
    return tissu("train", corpus, "--name", "r", "--steps", "8", *FAST, *options)
