"""Opening addresses of the network, and which ones are never asked."""

import base64
import ipaddress
import socket
from email.message import Message
from http.client import HTTPException, HTTPResponse
from typing import IO
from urllib.error import HTTPError, URLError
from urllib.parse import SplitResult, unquote, urlsplit
from urllib.request import HTTPRedirectHandler, Request, build_opener

from tissu_core.errors import ConfigError, NetworkError

_TIMEOUT_SECONDS = 30.0
"""Silence for so long is a connection that was lost."""
_PUBLIC_INDEX, _ITS_FILES = "pypi.org", "files.pythonhosted.org"
"""The public index and where it keeps its files: both may be a mirror in a private network, whose
certificate vouches for either name."""


class Web:
    """Opens addresses on behalf of one index.

    The index's own host may stand in a private network, as a person configured it. Every other
    address, and everything the index redirects to, must be public: otherwise a page could make
    this machine ask the ones around it.
    """

    def __init__(self, index: str) -> None:
        parts = urlsplit(index)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ConfigError(
                f"the package index is {without_password(index)!r}; only http and https are read",
                field="PIP_INDEX_URL",
                hint="PIP_INDEX_URL=https://pypi.org/simple",
            )
        self._index = parts
        self._opener = build_opener(_Redirects(self))

    def open(self, url: str, headers: dict[str, str], method: str = "GET") -> HTTPResponse:
        """The answer to a request, its body still to be read.

        Raises:
            NetworkError: If there is none, it is an error, or the address must not be asked.
        """
        self.check(url)
        parts = urlsplit(url)
        request = Request(without_password(url), headers=headers, method=method)
        if self._index.username and self._is_of_index(parts):
            # A redirect's target does not get it.
            request.add_unredirected_header("Authorization", _basic(self._index))
        try:
            answer: HTTPResponse = self._opener.open(request, timeout=_TIMEOUT_SECONDS)
        except HTTPError as error:
            raise NetworkError(
                f"{request.full_url} answers {error.code} {error.reason}",
                hint="check the name, or try again later",
            ) from error
        except (OSError, HTTPException, ValueError) as error:
            reason = error.reason if isinstance(error, URLError) else error
            raise NetworkError(
                f"cannot reach {parts.hostname}: {reason}", hint="the same command with a network"
            ) from error
        return answer

    def check(self, url: str) -> None:
        """Refuse an address that is neither public nor of the index itself.

        Raises:
            NetworkError: Naming the address.
        """
        try:
            is_allowed = self._is_allowed(urlsplit(url))
        except ValueError:  # a port or a host that is none
            is_allowed = False
        if not is_allowed:
            raise NetworkError(
                f"{self._index.hostname} leads to {url}, which is not a public address; refused",
                hint="name an index that you trust in PIP_INDEX_URL",
            )

    def _is_allowed(self, parts: SplitResult) -> bool:
        if self._is_of_index(parts):
            return True
        hosts = (self._index.hostname, parts.hostname)
        if parts.scheme == "https" and hosts == (_PUBLIC_INDEX, _ITS_FILES):
            return True
        is_as_safe = parts.scheme in ("https", self._index.scheme)
        return is_as_safe and bool(parts.hostname) and _is_public(str(parts.hostname))

    def _is_of_index(self, parts: SplitResult) -> bool:
        ours = (self._index.scheme, self._index.hostname, self._index.port)
        return (parts.scheme, parts.hostname, parts.port) == ours


class _Redirects(HTTPRedirectHandler):
    """Looks at where a redirect leads before it is followed."""

    def __init__(self, web: Web) -> None:
        self._web = web

    def redirect_request(
        self, req: Request, fp: IO[bytes], code: int, msg: str, headers: Message, newurl: str
    ) -> Request | None:
        self._web.check(newurl)
        return super().redirect_request(req, fp, code, msg, headers, newurl)  # type: ignore[arg-type]


def without_password(url: str) -> str:
    """The address as it may be shown.

    >>> without_password("https://me:secret@host:8/simple")
    'https://host:8/simple'
    """
    parts = urlsplit(url)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()


def _basic(parts: SplitResult) -> str:
    pair = f"{unquote(parts.username or '')}:{unquote(parts.password or '')}"
    return "Basic " + base64.b64encode(pair.encode()).decode()


def _is_public(host: str) -> bool:
    try:
        found = {str(entry[4][0]) for entry in socket.getaddrinfo(host, None)}
    except OSError:
        return True  # opening it says that there is no such host
    for text in found:
        address = ipaddress.ip_address(text.partition("%")[0])
        mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
        if not (mapped or address).is_global:
            return False
    return True
