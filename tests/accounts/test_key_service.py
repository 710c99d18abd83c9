"""Master keys behind a service that wraps and unwraps and never hands them out: one over HTTP on loopback."""

import json
import threading
import uuid
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar
from urllib.request import Request, urlopen

import pytest
from django.conf import settings

from backend.accounts import keys, resealing
from backend.accounts.masters import MasterKeyUnavailable
from backend.common import sealing
from tests.cast import Cast

BODY = {"felt_at": "2026-03-02T21:15:00+05:30", "time_zone": "Asia/Kolkata", "mood": 6, "note": "Kept elsewhere."}


class Vault(BaseHTTPRequestHandler):
    """The service: the keys stay in it."""

    keys: ClassVar[dict[str, bytes]] = {"vault-1": sealing.draw()}
    asked: ClassVar[list[str]] = []

    def do_POST(self) -> None:
        """`/current`, `/wrap` and `/unwrap`."""
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.asked.append(self.path)
        newest = max(self.keys)
        if self.path == "/current":
            answer = {"id": newest}
        elif self.path == "/wrap":
            secret = bytes.fromhex(asked["secret"])
            answer = {"wrapped": sealing.wrap(secret, master=self.keys[newest], master_id=newest, bound=asked["bound"])}
        else:
            master = self.keys[sealing.master_of(asked["wrapped"])]
            answer = {"secret": sealing.unwrap(asked["wrapped"], master=master, bound=asked["bound"]).hex()}
        body = json.dumps(answer).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Quiet."""


class Service:
    """What an operator writes: the three calls of `Masters`."""

    port: ClassVar[int] = 0

    @property
    def current(self) -> str:
        """Asked of the service."""
        return self._ask("current")["id"]

    def wrap(self, secret: bytes, *, bound: str) -> str:
        """By the service."""
        return self._ask("wrap", secret=secret.hex(), bound=bound)["wrapped"]

    def unwrap(self, wrapped: str, *, bound: str) -> bytes:
        """By the service."""
        return bytes.fromhex(self._ask("unwrap", wrapped=wrapped, bound=bound)["secret"])

    def _ask(self, what: str, **given: str) -> dict[str, Any]:
        request = Request(f"http://127.0.0.1:{self.port}/{what}", data=json.dumps(given).encode())
        try:
            with urlopen(request, timeout=5) as answer:  # noqa: S310 - loopback
                found: dict[str, Any] = json.load(answer)
                return found
        except OSError as error:
            raise MasterKeyUnavailable("The key service does not answer.") from error


@pytest.fixture
def vault() -> Iterator[ThreadingHTTPServer]:
    """The service, running, and the program told to use it."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Vault)
    Service.port = server.server_port
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    settings.NOTE_KEYS_SERVICE = f"{__name__}.Service"
    keys.masters.cache_clear()
    keys.forget_unwrapped()
    yield server
    settings.NOTE_KEYS_SERVICE = ""
    keys.masters.cache_clear()
    keys.forget_unwrapped()
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.usefixtures("vault")
def test_notes_are_kept_with_a_service_that_is_asked_seldom_and_rotates(cast: Cast) -> None:
    phone = cast.client(cast.patient)
    Vault.asked.clear()
    for _ in range(5):
        assert phone.send("PUT", f"mood-check-ins/{uuid.uuid4()}", BODY).status_code == 201
    assert {row["note"] for row in phone.send("GET", "mood-check-ins").json()["results"]} == {"Kept elsewhere."}
    assert Vault.asked == ["/wrap", "/unwrap"]
    Vault.keys["vault-2"] = sealing.draw()
    assert resealing.rotate().done == 1
    assert resealing.rotate().done == 0
    assert phone.send("GET", "mood-check-ins").json()["results"][0]["note"] == "Kept elsewhere."


def test_while_the_service_is_away_records_are_shown_and_no_note_is_stored(
    cast: Cast, vault: ThreadingHTTPServer
) -> None:
    phone, id = cast.client(cast.patient), uuid.uuid4()
    assert phone.send("PUT", f"mood-check-ins/{id}", BODY).status_code == 201
    vault.shutdown()
    vault.server_close()
    assert phone.send("PUT", f"mood-check-ins/{uuid.uuid4()}", BODY).status_code == 201, "what is known is used"
    keys.forget_unwrapped()
    shown = phone.send("GET", f"mood-check-ins/{id}").json()
    assert (shown["note"], shown["unreadable"], shown["mood"]) == (None, ["note"], 6)
    assert phone.send("PUT", f"mood-check-ins/{uuid.uuid4()}", BODY).status_code == 503
    assert phone.send("PUT", f"mood-check-ins/{uuid.uuid4()}", BODY | {"note": ""}).status_code == 201
