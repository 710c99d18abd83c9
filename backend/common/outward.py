"""Connections to addresses that somebody else chose: only to public ones, asked where the connection is made.

A URL that a client names must not become a way into the clinic's own network (SSRF). `refuse` looks at the words of a
URL and asks no resolver; `session` looks at the addresses behind its name and connects to the very ones that it saw.
"""

import ipaddress
import re
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any
from urllib.parse import urlsplit

import requests
from requests.adapters import HTTPAdapter
from urllib3 import HTTPSConnectionPool
from urllib3.connection import HTTPSConnection

CONNECT_SECONDS, READ_SECONDS = 3.05, 10.0
# A receiver that answers a byte at a time is cut off after so long altogether.
PATIENCE_SECONDS = 15.0
_HTTPS = 443
_INNER = ("localhost", "local", "localdomain", "internal", "intranet", "lan", "home", "corp", "private", "home.arpa")
_NUMERIC = re.compile(r"^(0[xX][0-9a-fA-F]*|[0-9]+)$")  # as a last label: an address in disguise, 127.1 or 0x7f000001
_NAT64 = ipaddress.ip_network("64:ff9b::/96")
IP = ipaddress.IPv4Address | ipaddress.IPv6Address


class NotPublic(ValueError):
    """The URL leads, or may lead, into a private network."""


def refuse(url: str, *, loopback: bool = False) -> None:
    """Raises NotPublic unless this is https to a public host on port 443; `loopback` allows this machine itself."""
    try:
        parts = urlsplit(url)
        host, port = (parts.hostname or "").rstrip("."), parts.port
    except ValueError:
        raise NotPublic("This is no URL.") from None
    if parts.username is not None or parts.password is not None:
        raise NotPublic("Neither name nor password stands in the URL.")
    if loopback and parts.scheme in {"http", "https"} and host == "127.0.0.1":
        return
    if parts.scheme != "https" or port not in {None, _HTTPS}:
        raise NotPublic("Only https on port 443.")
    if (literal := _literal(host)) is not None:
        if not is_public(literal):
            raise NotPublic("This address is not public.")
        return
    labels = host.lower().split(".")
    if len(labels) < 2 or _NUMERIC.match(labels[-1]) or any(f".{host.lower()}".endswith(f".{name}") for name in _INNER):
        raise NotPublic("This host is not public.")


def is_public(address: IP) -> bool:
    """Whether an address is anybody's, also when it is wrapped in one of the next generation."""
    if isinstance(address, ipaddress.IPv6Address):
        inner = address.ipv4_mapped or address.sixtofour or (address.teredo[1] if address.teredo else None)
        if address in _NAT64:
            inner = ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
        if inner is not None:
            return is_public(inner)
    return address.is_global and not (address.is_multicast or address.is_reserved or address.is_unspecified)


def session(*, loopback: bool = False) -> requests.Session:
    """A session whose connections go to public addresses only; `loopback` also opens http, to be used after `refuse`.

    No proxy of the environment is used: it would resolve the names instead of us.
    """
    made = requests.Session()
    made.trust_env = False
    made.mount("https://", _PublicAdapter())
    if not loopback:
        made.adapters.pop("http://")
    return made


def _literal(host: str) -> IP | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None


def _connected(host: str, port: int) -> socket.socket:
    """A connection to a public address behind the name. Raises NotPublic if any of them is not, and OSError."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    if not all(is_public(ipaddress.ip_address(str(place[0]).partition("%")[0])) for *_, place in found):
        raise NotPublic("The name leads to an address that is not public.")
    failed: OSError = OSError("no address")
    for _, _, _, _, place in found[:4]:
        try:
            return socket.create_connection((str(place[0]), port), timeout=CONNECT_SECONDS)
        except OSError as error:
            failed = error
    raise failed


class _PublicConnection(HTTPSConnection):
    """Connects to what was checked, and ends what takes too long."""

    def _new_conn(self) -> socket.socket:
        return _connected(self._dns_host, self.port)

    def connect(self) -> None:
        with self._for_so_long():
            super().connect()

    def getresponse(self) -> Any:
        with self._for_so_long():
            return super().getresponse()

    @contextmanager
    def _for_so_long(self) -> Iterator[None]:
        guard = threading.Timer(PATIENCE_SECONDS, self._cut)
        guard.daemon = True
        guard.start()
        try:
            yield
        finally:
            guard.cancel()

    def _cut(self) -> None:
        line = self.sock
        if line is not None:
            with suppress(OSError):
                socket.socket.shutdown(line, socket.SHUT_RDWR)  # past TLS: whoever reads gets the end at once


class _PublicPool(HTTPSConnectionPool):
    ConnectionCls = _PublicConnection


class _PublicAdapter(HTTPAdapter):
    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = {"https": _PublicPool}
