"""Bad input gets a clear error that names the field, and nothing is stored."""

import gzip
import uuid

import pytest

from backend.accounts import access
from backend.aftercare import kinds
from tests.aftercare.test_logs import BODIES, KINDS
from tests.cast import Cast

TIME_FIELDS = {"mood-check-ins": "felt_at", "exercise-logs": "started_at", "side-effects": "started_at"}
DATE_FIELDS = {"sleep-logs": "night_of", "nutrition-logs": "day", "substance-logs": "day"}
NUMBER_FIELDS = {
    "mood-check-ins": "mood", "sleep-logs": "quality", "exercise-logs": "minutes",
    "nutrition-logs": "meals", "substance-logs": "craving", "side-effects": "severity",
}  # fmt: skip


def _stored() -> int:
    with access.maintaining("test"):
        return sum(kind.model._default_manager.count() for kind in kinds.kinds())


@pytest.mark.parametrize("kind", KINDS)
def test_bodies_that_are_no_record(cast: Cast, kind: str) -> None:
    phone = cast.client(cast.patient)
    number = NUMBER_FIELDS[kind]
    raw = [
        b"", b"null", b"[]", b'"x"', b"[" * 200_000, b"{" * 200_000, b'{"a":' * 100_000, b"\xff\xfe",
        b'{"a": "\xc3\x28"}', b'{"a": "\\ud800"}',
        *(b'{"%s": %s}' % (number.encode(), value) for value in (b"NaN", b"1e400", b"Infinity", b"-Infinity", b"01")),
    ]  # fmt: skip
    for body in raw:
        for verb, path in (("PUT", f"/{uuid.uuid4()}"), ("POST", "/batch"), ("POST", "")):
            answer = phone.generic(verb, f"/api/v1/{kind}{path}", body, content_type="application/json")
            assert answer.status_code == 400, (body[:40], path, answer.status_code)
            assert answer["Content-Type"] == "application/problem+json"
            assert answer.json()["errors"]
    assert _stored() == 0


@pytest.mark.parametrize("kind", KINDS)
def test_sizes_and_media_types(cast: Cast, kind: str) -> None:
    phone = cast.client(cast.patient)
    big = b'{"note": "' + b"x" * 10_000_000 + b'"}'
    for verb, path in (("PUT", f"/{uuid.uuid4()}"), ("POST", "/batch"), ("POST", "")):
        address = f"/api/v1/{kind}{path}"
        assert phone.generic(verb, address, big, content_type="application/json").status_code == 413
        assert (
            phone.generic(verb, address, b"mood=3", content_type="application/x-www-form-urlencoded").status_code == 415
        )
        assert phone.generic(verb, address, gzip.compress(b"{}"), content_type="application/json").status_code == 400
    assert _stored() == 0


@pytest.mark.parametrize("kind", KINDS)
def test_fields_that_cannot_be(cast: Cast, kind: str) -> None:
    phone = cast.client(cast.patient)
    number = NUMBER_FIELDS[kind]
    wrong: list[tuple[str, object]] = [
        (number, -1), (number, 100_000), (number, "6"), (number, True), (number, 6.5), (number, [6]), (number, {}),
        (number, 12345678901234567890), (number, 10**30),
        ("no_such_field", 1), ("note", "a\x00b"), ("note", "x" * 4001), ("note", 3), ("id", "1"), ("id", 7),
        ("sent_at", "noon"),
    ]  # fmt: skip
    if kind in TIME_FIELDS:
        name = TIME_FIELDS[kind]
        wrong += [
            (name, value)
            for value in (
                None, "", "yesterday", 1_700_000_000, "2026-03-02T21:15:00", "2026-03-02", "2026-02-30T10:00:00Z",
                "2026-03-02T21:15:00+25:00", "0000-01-01T00:00:00Z", "0001-01-01T00:00:00Z", "2026-03-02T24:61:00Z",
                "9999-12-31T23:59:59-12:00", "9999-12-31T23:59:59Z", "2199-01-01T00:00:00Z",
            )
        ]  # fmt: skip
    else:
        name = DATE_FIELDS[kind]
        wrong += [
            (name, v)
            for v in (None, "", "2026-02-30", "0000-01-01", "9999-12-31", "2026-13-01", 20260302, "2199-01-01")
        ]
    if "time_zone" in BODIES[kind]:
        wrong += [
            ("time_zone", v) for v in ("Mars/Olympus", "", "asia/kolkata", "UTC+5", None, 5, "../etc/passwd", "Factory")
        ]
    for field, value in wrong:
        id = uuid.uuid4()
        answer = phone.send("PUT", f"{kind}/{id}", BODIES[kind] | {field: value})
        assert answer.status_code == 400, (field, value, answer.status_code, answer.content)
        assert answer.json()["errors"][0]["pointer"].startswith(f"/{field}"), (field, value, answer.json())
        record = BODIES[kind] | {"id": str(id)} | {field: value}
        (result,) = phone.send("POST", f"{kind}/batch", {"records": [record]}).json()["results"]
        assert (result["outcome"], result["errors"][0]["pointer"].startswith(f"/{field}")) == ("rejected", True)
    print(f"{kind}: {2 * len(wrong)} records with one impossible field, each refused by its name")
    missing = phone.send("PUT", f"{kind}/{uuid.uuid4()}", {})
    assert missing.status_code == 400
    assert {e["code"] for e in missing.json()["errors"]} == {"required"}
    assert _stored() == 0


def test_every_fault_is_named_at_once(cast: Cast) -> None:
    body = {"felt_at": "noon", "mood": 12, "time_zone": 3, "colour": "red"}
    answer = cast.client(cast.patient).send("PUT", f"mood-check-ins/{uuid.uuid4()}", body).json()
    assert {e["pointer"] for e in answer["errors"]} == {"/felt_at", "/mood", "/time_zone", "/colour"}


def test_a_path_that_is_no_id_and_an_id_that_differs(cast: Cast) -> None:
    phone = cast.client(cast.patient)
    assert phone.send("PUT", "mood-check-ins/17", BODIES["mood-check-ins"]).status_code == 404
    body = BODIES["mood-check-ins"] | {"id": str(uuid.uuid4())}
    answer = phone.send("PUT", f"mood-check-ins/{uuid.uuid4()}", body)
    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (400, "/id")
