"""Bodies that are too large are turned away by the real server before they are kept anywhere."""

import contextlib
import os
import uuid
from collections.abc import Iterator

import psutil
import pytest
import requests

from tests.aftercare.test_logs import KINDS
from tests.cast import Cast
from tests.live import App, serve

MIB = 1024 * 1024
CHUNKED_MIB = 1024 if os.environ.get("TORTURE") else 64
GROWTH_MIB = 20


@pytest.fixture
def app(django_db_setup: str) -> Iterator[App]:
    with serve(django_db_setup) as app:
        yield app


def _resident(app: App) -> int:
    """Bytes that the server and its workers hold."""
    server = psutil.Process(app.pid)
    return sum(process.memory_info().rss for process in [server, *server.children(recursive=True)])


def _stream(mib: int) -> Iterator[bytes]:
    block = b'{"note": "' + b"x" * (MIB - 10)
    for _ in range(mib):
        yield block


def test_large_and_endless_bodies_are_refused_and_not_kept(app: App, cast: Cast) -> None:
    headers = {"Authorization": f"Bearer {cast.client(cast.patient).token}", "Content-Type": "application/json"}
    addresses = [
        (verb, f"{app.base_url}/api/v1/{kind}{path}")
        for kind in KINDS
        for verb, path in (("PUT", f"/{uuid.uuid4()}"), ("POST", "/batch"), ("POST", ""))
    ]
    for verb, url in addresses:  # warm: what the first requests load is not the bodies' fault
        requests.request(verb, url, data=b"[]", headers=headers, timeout=30)
    before = _resident(app)
    for verb, url in addresses:
        answer = requests.request(verb, url, data=b"x" * (10 * MIB), headers=headers, timeout=60)
        assert answer.status_code == 413, (verb, url, answer.status_code)
        assert answer.json()["detail"]
    refused = 0
    for verb, url in addresses[:3]:
        # The server may close while we still send, as it should: then there is no answer to read.
        with contextlib.suppress(requests.ConnectionError):
            answer = requests.request(verb, url, data=_stream(CHUNKED_MIB), headers=headers, timeout=300)
            assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (400, "Content-Length")
        refused += 1
    grown = (_resident(app) - before) / MIB
    print(f"10 MiB x {len(addresses)}, {CHUNKED_MIB} MiB chunked x {refused}: resident growth {grown:.1f} MiB")
    assert grown < GROWTH_MIB
    assert cast.client(cast.patient).send("GET", "mood-check-ins").json()["results"] == []
    assert requests.get(f"{app.base_url}/healthz", timeout=10).status_code == 200
