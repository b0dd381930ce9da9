"""Where evaluation suites lie: tissu's own, and those of a person. Imports no torch."""

from pathlib import Path

from tissu_core.errors import InputError, nearest
from tissu_core.evals.suites.reader import read_suite
from tissu_core.evals.suites.suite import Item, Suite

__all__ = ["Item", "Suite", "find_suite", "load_suite", "read_suite", "suite_paths"]
BUNDLED = Path(__file__).parent / "bundled"
SUFFIX = ".toml"


def load_suite(given: str, own: Path) -> Suite:
    """The suite of a file, or of a name among the bundled ones and those in the folder ``own``.

    Raises:
        InputError: If there is none, naming the nearest; or if its file is wrong, naming the line.
    """
    return read_suite(find_suite(given, own))


def find_suite(given: str, own: Path) -> Path:
    """The file of a suite; one of a person's own hides a bundled one of the same name.

    Raises:
        InputError: If there is none; names the nearest.
    """
    path = Path(given).expanduser()
    known = suite_paths(own)
    if given in known:
        return known[given]
    if given.endswith(SUFFIX) or len(path.parts) > 1:
        if path.is_file():
            return path
        raise InputError(f"there is no suite {given}: no such file", hint="tissu eval suite")
    close = nearest(given, known)
    raise InputError(
        f"there is no suite {given!r}, neither of tissu nor in {own}",
        hint=f"did you mean {' or '.join(close)}?" if close else "tissu eval suite",
    )


def suite_paths(own: Path) -> dict[str, Path]:
    """Files of all suites by name."""
    paths = [*sorted(BUNDLED.glob(f"*{SUFFIX}")), *sorted(own.glob(f"*{SUFFIX}"))]
    return dict(sorted((path.stem, path) for path in paths if path.is_file()))
