"""Which wheel of an index is taken, and which index is asked."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.servers import Answer, Server, offer_wheel, serving
from tissu_core.errors import ConfigError, InputError, IntegrityError, NetworkError
from tissu_core.fetch.package_index import Wheel, find_wheel, index_url
from tissu_core.fetch.web import Web


@pytest.fixture
def server() -> Iterator[Server]:
    with serving() as server:
        yield server


def find(server: Server, package: str = "llm-x", version: str = "") -> Wheel:
    index = f"{server.url}/simple"
    return find_wheel(Web(index), index, package, version)


def test_the_newest_release_is_taken(server: Server) -> None:
    for version in ("0.9", "0.10", "0.11rc1", "0.12"):
        offer_wheel(server, "llm-x", version.encode(), version, yanked=version == "0.12")
    assert find(server).version == "0.10"
    assert find(server, "LLM_x", "0.9").version == "0.9"
    assert find(server, version="0.12").version == "0.12", "a version that is asked for by name"
    assert find(server).url == f"{server.url}/files/llm_x-0.10-py3-none-any.whl"


def test_wheels_of_one_platform_are_no_models(server: Server) -> None:
    offer_wheel(server, "llm-x", b"", filename="llm_x-0.1-cp311-cp311-linux_x86_64.whl")
    with pytest.raises(InputError, match="lists no wheel for every platform"):
        find(server)


def test_an_index_in_html_is_read_as_well(server: Server) -> None:
    digest = "a" * 64
    server.answers["/simple/llm-x/"] = Answer(
        kind="text/html",
        body=f"""<html><a href="/f/llm_x-0.1-py3-none-any.whl#sha256={digest}">llm_x</a>
        <a href="/f/llm_x-0.2-py3-none-any.whl#sha256={digest}" data-yanked="bad">llm_x</a>
        <a href="/f/llm_x-0.1.tar.gz#sha256={digest}">source</a></html>""".encode(),
    )
    wheel = find(server)
    assert (wheel.version, wheel.sha256, wheel.num_bytes) == ("0.1", digest, 0)
    assert wheel.url == f"{server.url}/f/llm_x-0.1-py3-none-any.whl"


def test_without_a_hash_nothing_is_taken(server: Server) -> None:
    offer_wheel(server, "llm-x", b"", hashes={})
    with pytest.raises(IntegrityError, match="names no SHA-256"):
        find(server)


@pytest.mark.parametrize("body", [b"", b"[]", b'{"files": 3}', b'{"files": [{}]}', b"\xff"])
def test_a_page_that_is_none_is_said(server: Server, body: bytes) -> None:
    offer_wheel(server, "llm-x", b"")
    server.answers["/simple/llm-x/"].body = body
    with pytest.raises(NetworkError, match="is no page of a package index"):
        find(server)


@pytest.mark.parametrize("name", ["../x", "x/y", "", "x?y", "-x"])
def test_a_name_that_is_none_is_never_asked_for(server: Server, name: str) -> None:
    with pytest.raises(InputError, match="no name of a package"):
        find(server, name)
    assert server.asked == []


def test_the_index_is_the_one_that_pip_asks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PIP_INDEX_URL", raising=False)
    file = tmp_path / "pip.conf"
    monkeypatch.setenv("PIP_CONFIG_FILE", str(file))
    file.write_text("[global]\nindex-url = https://example.org/pip%20/simple/\n")
    assert index_url() == "https://example.org/pip%20/simple"
    file.write_text("not a configuration")
    assert index_url().startswith("http")
    monkeypatch.setenv("PIP_INDEX_URL", "https://mirror.example.org/simple")
    assert index_url() == "https://mirror.example.org/simple"


def test_an_index_that_is_a_folder_is_refused() -> None:
    with pytest.raises(ConfigError, match="only http and https"):
        Web("file:///srv/simple")
