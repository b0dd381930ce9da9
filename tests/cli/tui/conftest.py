"""A desk for each test of the chat screen."""

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest

from tests.cli.tui.desk import Desk, let_go
from tissu_cli.sessions import clipboard
from tissu_cli.sessions.clipboard import Copied


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Desk]:
    """A clean one; what is copied is kept there, and files are written there."""
    made = Desk(tmp_path)

    def copy(text: str, write: Callable[[str], None], environ: Mapping[str, str]) -> Copied:
        made.copied.append(text)
        return Copied(way="test", is_verified=True, message="copied by a test")

    monkeypatch.setattr(clipboard, "copy_text", copy)
    monkeypatch.chdir(tmp_path)
    yield made
    let_go([*made.models.values()])
