"""Bodies that are no bodies, sent to every address that there is: 4xx, a problem document, and never a 500."""

import orjson
import pytest

from tests.cast import Cast, Client
from tests.config import addresses

BODIES = {
    "nothing": b"", "null": b"null", "a list": b"[]", "a text": b'"x"', "a number": b"7",
    "200,000 brackets": b"[" * 200_000, "200,000 braces": b"{" * 200_000, "100,000 levels": b'{"a":' * 100_000,
    "bad UTF-8": b'{"a": "\xc3\x28"}', "half a letter": b'{"a": "\\ud800"}', "a NUL": b'{"a\\u0000": "\\u0000"}',
    "NaN": b'{"a": NaN}', "1e400": b'{"a": 1e400}', "20 digits": b'{"a": 12345678901234567890, "id": 1e999}',
    "1.5 MB": b'{"note": "' + b"x" * 1_500_000 + b'"}', "many fields": orjson.dumps({f"f{n}": n for n in range(5000)}),
}  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("who", ["patient", "psychiatrist", "administrator", "nobody"])
def test_no_body_breaks_any_address(cast: Cast, who: str) -> None:
    client = cast.client(getattr(cast, who)) if who != "nobody" else Client()
    sent, refused = 0, 0
    for route in addresses.routes():
        if not route.startswith("/api/") or (route.startswith("/api/v1/auth/") and who != "nobody"):
            continue
        values = {"id": str(getattr(cast, who).id)} if who != "nobody" else {}
        for verb in ("POST", "PUT", "PATCH"):
            for name, body in BODIES.items():
                answer = client.generic(verb, addresses.filled(route, values), body, content_type="application/json")
                assert answer.status_code < 500, (verb, route, name, answer.status_code)
                if answer.status_code == 405:
                    break
                sent += 1
                refused += answer.status_code >= 400
                if not route.startswith("/api/v1/auth/") and answer.status_code >= 400:
                    assert answer["Content-Type"] == "application/problem+json", (verb, route, name)
                if name == "1.5 MB" and not route.endswith("/batch"):
                    assert answer.status_code == 413, (verb, route)
    print(f"bad bodies as {who}: {sent} sent, {refused} refused, the others where none is asked for; no 500")
