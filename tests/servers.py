"""Servers of this machine that answer as a package index and as the Hugging Face hub do."""

import hashlib
import io
import json
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from zipfile import ZipFile, ZipInfo

JSON_INDEX = "application/vnd.pypi.simple.v1+json"


@dataclass
class Answer:
    """What a path gives. ``cut_at`` ends every answer at that byte of the file, and the line."""

    body: bytes = b""
    kind: str = "application/octet-stream"
    status: int = 200
    location: str = ""
    cut_at: int | None = None
    cuts: int | None = None
    """How often it is cut; always, if left out."""
    stall_seconds: float = 0
    """How long the line stays open after a cut, silent."""
    knows_ranges: bool = True
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass
class Server:
    """A server's address, what it answers, and what it was asked."""

    url: str
    answers: dict[str, Answer] = field(default_factory=dict)
    asked: list[tuple[str, str, str]] = field(default_factory=list)
    """Method, path and range of each request."""
    headers: list[Any] = field(default_factory=list)
    is_closing: threading.Event = field(default_factory=threading.Event)


@contextmanager
def serving() -> Iterator[Server]:
    """A server on this machine, for as long as it is needed."""
    httpd = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    server = Server(f"http://127.0.0.1:{httpd.server_address[1]}")
    httpd.tissu = server  # type: ignore[attr-defined]
    thread = threading.Thread(target=httpd.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server
    finally:
        server.is_closing.set()
        httpd.shutdown()
        httpd.server_close()
        thread.join()


class _Handler(BaseHTTPRequestHandler):
    def do_HEAD(self) -> None:
        self._answer(is_head=True)

    def do_GET(self) -> None:
        self._answer(is_head=False)

    def log_message(self, format: str, *args: Any) -> None:
        pass

    def _answer(self, *, is_head: bool) -> None:
        server: Server = self.server.tissu  # type: ignore[attr-defined]
        path, asked = self.path.partition("?")[0], self.headers.get("Range", "")
        server.asked.append((self.command, path, asked))
        server.headers.append(self.headers)
        answer = server.answers.get(path, Answer(status=404))
        first = int(asked[6:].rstrip("-")) if asked and answer.knows_ranges else 0
        body = answer.body[first:]
        self.send_response(206 if first else answer.status)
        if first:
            self.send_header(
                "Content-Range", f"bytes {first}-{len(answer.body) - 1}/{len(answer.body)}"
            )
        if answer.location:
            self.send_header("Location", answer.location)
        self.send_header("Content-Type", answer.kind)
        self.send_header("Content-Length", str(len(body)))
        for name, value in answer.headers.items():
            self.send_header(name, value)
        self.end_headers()
        if is_head:
            return
        if answer.cut_at is not None and answer.cuts != 0:
            answer.cuts = None if answer.cuts is None else answer.cuts - 1
            body = body[: max(0, answer.cut_at - first)]
        self.wfile.write(body)
        if answer.stall_seconds:
            self.wfile.flush()
            self.server.tissu.is_closing.wait(answer.stall_seconds)  # type: ignore[attr-defined]


def make_wheel(
    files: Mapping[str, bytes], change: Callable[[str, ZipInfo], None] = lambda name, info: None
) -> bytes:
    """A wheel of these files; ``change`` may bend what the archive says of one."""
    held = io.BytesIO()
    with ZipFile(held, "w") as archive:
        for name, content in files.items():
            info = ZipInfo(name)
            change(name, info)
            archive.writestr(info, content)
    return held.getvalue()


def offer_wheel(
    server: Server, package: str, wheel: bytes, version: str = "0.1", **facts: Any
) -> Answer:
    """Put a wheel onto the index; ``facts`` replace what the index says of it."""
    filename = f"{package.replace('-', '_')}-{version}-py3-none-any.whl"
    page = server.answers.setdefault(
        f"/simple/{package}/", Answer(body=b'{"files": []}', kind=JSON_INDEX)
    )
    entry = {
        "filename": filename,
        "url": f"../../files/{filename}",
        "hashes": {"sha256": hashlib.sha256(wheel).hexdigest()},
        "size": len(wheel),
    }
    files = [*json.loads(page.body)["files"], entry | facts]
    page.body = json.dumps({"files": files}).encode()
    server.answers[f"/files/{filename}"] = answer = Answer(body=wheel)
    return answer


def offer_repo(
    server: Server, repo: str, files: Mapping[str, bytes], commit: str = "c" * 40
) -> None:
    """Put a repository onto the hub: its files named by SHA-256 and as git does."""
    siblings = []
    for name, content in files.items():
        sha256 = hashlib.sha256(content).hexdigest()
        git = hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()
        is_large = name.endswith(".safetensors")
        entry: dict[str, Any] = {"rfilename": name, "size": len(content), "blobId": git}
        if is_large:
            entry["lfs"] = {"sha256": sha256, "size": len(content), "pointerSize": 134}
        siblings.append(entry)
        headers = {"ETag": f'"{sha256 if is_large else git}"', "X-Repo-Commit": commit}
        server.answers[f"/{repo}/resolve/{commit}/{name}"] = Answer(body=content, headers=headers)
    info = {
        "id": repo,
        "sha": commit,
        "siblings": siblings,
        "tags": [],
        "private": False,
        "downloads": 0,
        "likes": 0,
        "cardData": {"license": "mit"},
    }
    for path in (f"/api/models/{repo}", f"/api/models/{repo}/revision/{commit}"):
        server.answers[path] = Answer(body=json.dumps(info).encode(), kind="application/json")
