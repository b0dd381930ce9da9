"""Downloads: whole and checked, or in quarantine and said."""

import hashlib
import shutil
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.servers import Answer, Server, serving
from tissu_core.errors import BusyError, IntegrityError, NetworkError, ResourceError, TissuError
from tissu_core.fetch import download
from tissu_core.fetch.download import iter_download
from tissu_core.fetch.web import Web

BODY = bytes(range(256)) * 40
SHA256 = hashlib.sha256(BODY).hexdigest()


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setattr(download, "_PAUSE_SECONDS", 0.0)
    with serving() as server:
        server.answers["/f"] = Answer(body=BODY)
        yield server


@pytest.fixture
def part(tmp_path: Path) -> Path:
    return tmp_path / "quarantine" / "f.part"


def fetch(server: Server, part: Path, sha256: str = SHA256, num_bytes: int = len(BODY)) -> None:
    events = [
        *iter_download(
            Web(server.url), f"{server.url}/f", sha256=sha256, num_bytes=num_bytes, part=part
        )
    ]
    assert events[-1].done <= events[-1].total == len(BODY)


def ranges(server: Server) -> list[str]:
    return [asked for method, _, asked in server.asked if method == "GET"]


@pytest.mark.parametrize("num_bytes", [len(BODY), 0])
def test_a_file_comes_whole(server: Server, part: Path, num_bytes: int) -> None:
    fetch(server, part, num_bytes=num_bytes)
    assert part.read_bytes() == BODY


def test_what_is_there_is_not_asked_for_again(server: Server, part: Path) -> None:
    part.parent.mkdir()
    part.write_bytes(BODY[:1000])
    fetch(server, part)
    assert part.read_bytes() == BODY
    assert ranges(server) == ["bytes=1000-"]


def test_a_server_that_knows_no_ranges_sends_all_again(server: Server, part: Path) -> None:
    server.answers["/f"].knows_ranges = False
    part.parent.mkdir()
    part.write_bytes(b"x" * 1000)
    fetch(server, part)
    assert part.read_bytes() == BODY


def test_a_line_that_is_cut_goes_on_where_it_was(server: Server, part: Path) -> None:
    server.answers["/f"].cut_at, server.answers["/f"].cuts = 4000, 1
    fetch(server, part)
    assert part.read_bytes() == BODY
    assert ranges(server) == ["", "bytes=4000-"]


def test_a_file_that_never_ends_is_given_up_and_kept(server: Server, part: Path) -> None:
    server.answers["/f"].cut_at = 4000
    with pytest.raises(NetworkError, match="stopped at 4,000 of 10,240 bytes") as caught:
        fetch(server, part)
    assert "4,000 bytes wait in" in caught.value.safe
    assert part.read_bytes() == BODY[:4000]
    server.answers["/f"].cut_at = None
    fetch(server, part)
    assert ranges(server)[-1] == "bytes=4000-"


def test_a_download_that_somebody_ended_is_gone_on_with(
    server: Server, part: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(download, "_CHUNK_BYTES", 1000)
    web, url = Web(server.url), f"{server.url}/f"
    events = iter_download(web, url, sha256=SHA256, num_bytes=len(BODY), part=part)
    while next(events).done < 3000:
        with pytest.raises(BusyError):
            fetch(server, part)
    events.close()
    fetch(server, part)
    assert part.read_bytes() == BODY
    assert ranges(server)[-1] == "bytes=3000-"


def test_other_bytes_are_kept_apart_and_never_used(server: Server, part: Path) -> None:
    with pytest.raises(IntegrityError) as caught:
        fetch(server, part, sha256="0" * 64)
    assert SHA256[:12] in caught.value.message and "0" * 12 in caught.value.message
    assert not part.exists()
    assert part.with_suffix(".damaged").read_bytes() == BODY


def test_a_full_disk_is_said_before_a_byte_comes(
    server: Server, part: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = shutil.disk_usage("/").__class__
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage(10**9, 0, 5000))
    with pytest.raises(ResourceError, match="GB free"):
        fetch(server, part)
    assert server.asked == []


@pytest.mark.parametrize("status", [404, 500])
def test_an_error_of_the_server_names_the_address(server: Server, part: Path, status: int) -> None:
    server.answers["/f"] = Answer(status=status)
    with pytest.raises(NetworkError, match=f"/f answers {status}"):
        fetch(server, part)


@pytest.mark.parametrize("kind", ["http://127.0.0.1:1/x", "file:///etc/passwd", "http://10.0.0.1/"])
def test_a_redirect_to_this_machine_or_its_neighbours_is_refused(
    server: Server, part: Path, kind: str
) -> None:
    server.answers["/f"] = Answer(status=302, location=kind)
    with pytest.raises(NetworkError, match=r"refused|not allowed"):
        fetch(server, part)
    assert not part.exists()


def test_a_redirect_within_the_index_is_followed(server: Server, part: Path) -> None:
    server.answers["/g"] = server.answers["/f"]
    server.answers["/f"] = Answer(status=302, location="/g")
    fetch(server, part)
    assert part.read_bytes() == BODY


@pytest.mark.parametrize(
    "address",
    [
        "http://127.0.0.1/",
        "http://localhost/",
        "https://[::1]/",
        "https://[::ffff:127.0.0.1]/",
        "https://192.168.1.1/",
        "https://169.254.169.254/latest/meta-data",
        "https://0.0.0.0/",
        "https:///no-host",
        "https://example.org:99999999/",
        "https://[bad/",
        f"https://{'a' * 70}.org/",
        "ftp://93.184.215.14/",
        "http://93.184.215.14/",
    ],
)
def test_addresses_that_an_index_may_not_lead_to(address: str) -> None:
    with pytest.raises(NetworkError, match="refused"):
        Web("https://pypi.org/simple").check(address)


def test_a_public_address_may_be_asked() -> None:
    Web("https://pypi.org/simple").check("https://93.184.215.14/file")


def test_the_public_index_and_its_files_may_be_a_mirror_nearby(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_: [(0, 0, 0, "", ("10.0.0.1", 443))])
    Web("https://pypi.org/simple").check("https://files.pythonhosted.org/x.whl")
    for index, address in (
        ("https://pypi.org/simple", "http://files.pythonhosted.org/x.whl"),
        ("https://pypi.org/simple", "https://other.pythonhosted.org/x.whl"),
        ("https://index.example.org/simple", "https://files.pythonhosted.org/x.whl"),
    ):
        with pytest.raises(NetworkError, match="refused"):
            Web(index).check(address)


def test_a_password_goes_to_the_index_alone_and_is_never_shown(server: Server) -> None:
    url = server.url.replace("http://", "http://me:s%20t@")
    Web(url).open(f"{server.url}/f", {}).close()
    assert server.headers[0]["Authorization"] == "Basic bWU6cyB0"
    with pytest.raises(TissuError) as caught:
        Web(url).open(f"{url}/none", {})
    assert "s%20t" not in caught.value.message


def test_no_network_is_said(part: Path) -> None:
    with pytest.raises(NetworkError, match=r"cannot reach 127\.0\.0\.1"):
        Web("http://127.0.0.1:1").open("http://127.0.0.1:1/f", {})
