"""Logs: never lost, never doubled, changed only by the patient who wrote them."""

import threading
import uuid
from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection, connections

from backend.accounts import access
from backend.common import clock
from tests.cast import Cast

FELT = "2026-03-02T21:15:00+05:30"
DAY = "2026-03-02"
BODIES = {
    "mood-check-ins": {
        "felt_at": FELT,
        "time_zone": "Asia/Kolkata",
        "mood": 6,
        "tags": ["walk", "sun"],
        "note": "Better.",
    },
    "sleep-logs": {"night_of": DAY, "minutes_asleep": 415, "quality": 7},
    "exercise-logs": {
        "started_at": FELT,
        "time_zone": "Asia/Kolkata",
        "kind": "walking",
        "minutes": 30,
        "intensity": "light",
    },
    "nutrition-logs": {"day": DAY, "meals": 3, "water_ml": 1800},
    "substance-logs": {"day": DAY, "substance": "alcohol", "used": False, "amount": 1.5, "triggers": ["party"]},
    "side-effects": {"kind": "dizziness", "severity": 1, "started_at": FELT},
}
KINDS = list(BODIES)


@pytest.mark.parametrize("kind", KINDS)
def test_the_same_put_twice_is_the_same_as_once(cast: Cast, kind: str) -> None:
    phone, id = cast.client(cast.patient), uuid.uuid4()
    first = phone.send("PUT", f"{kind}/{id}", BODIES[kind])
    second = phone.send("PUT", f"{kind}/{id}", BODIES[kind])
    assert (first.status_code, second.status_code) == (201, 200), first.content
    assert first.json() == second.json()
    assert first.json()["version"] == 1
    assert second["ETag"] == '"1"'
    assert phone.send("GET", f"{kind}/{id}").json() == first.json()
    assert [row["id"] for row in phone.send("GET", kind).json()["results"]] == [str(id)]


@pytest.mark.parametrize("kind", KINDS)
def test_a_record_sent_back_as_it_was_read_changes_nothing(cast: Cast, kind: str) -> None:
    phone, id = cast.client(cast.patient), uuid.uuid4()
    read = phone.send("PUT", f"{kind}/{id}", BODIES[kind]).json()
    assert phone.send("PUT", f"{kind}/{id}", read).json() == read


@pytest.mark.parametrize("kind", KINDS)
def test_the_outsider_sees_and_changes_nothing(cast: Cast, kind: str) -> None:
    id = uuid.uuid4()
    cast.client(cast.patient).send("PUT", f"{kind}/{id}", BODIES[kind])
    for stranger in (cast.outsider, cast.outside_patient, cast.other_patient, cast.nurse, cast.administrator):
        client = cast.client(stranger)
        expected = {403, 404} if stranger == cast.administrator else {404}
        assert client.send("GET", f"{kind}/{id}").status_code in expected
        assert client.send("GET", f"{kind}?patient={cast.patient.id}").status_code in expected
        assert client.send("PUT", f"{kind}/{id}", BODIES[kind]).status_code in {403, 404}
        assert client.send("PATCH", f"{kind}/{id}", {}).status_code in {403, 404}
        assert client.send("DELETE", f"{kind}/{id}").status_code in {403, 404}
    assert cast.client().send("GET", f"{kind}/{id}").status_code == 401
    assert cast.client(cast.psychiatrist).send("GET", f"{kind}/{id}").status_code == 200
    assert cast.client(cast.psychiatrist).send("GET", kind).status_code == 400
    listed = cast.client(cast.psychiatrist).send("GET", f"{kind}?patient={cast.patient.id}").json()["results"]
    assert [row["version"] for row in listed] == [1]


def test_an_id_of_another_patient_is_never_overwritten(cast: Cast) -> None:
    id = uuid.uuid4()
    mine = cast.client(cast.patient).send("PUT", f"mood-check-ins/{id}", BODIES["mood-check-ins"]).json()
    thief = cast.client(cast.other_patient)
    assert thief.send("PUT", f"mood-check-ins/{id}", BODIES["mood-check-ins"] | {"mood": 0}).status_code == 404
    record = BODIES["mood-check-ins"] | {"id": str(id), "mood": 0}
    (result,) = thief.send("POST", "mood-check-ins/batch", {"records": [record]}).json()["results"]
    assert (result["outcome"], result["errors"][0]["code"]) == ("rejected", "id_taken")
    assert cast.client(cast.patient).send("GET", f"mood-check-ins/{id}").json() == mine


def test_each_change_makes_a_version_and_keeps_the_old_one(cast: Cast) -> None:
    phone, id = cast.client(cast.patient), uuid.uuid4()
    body = BODIES["mood-check-ins"]
    phone.send("PUT", f"mood-check-ins/{id}", body)
    changed = phone.send("PUT", f"mood-check-ins/{id}", body | {"mood": 3})
    assert (changed.status_code, changed.json()["version"]) == (200, 2)
    late_replay = phone.send("PUT", f"mood-check-ins/{id}", body)
    assert (late_replay.status_code, late_replay.json()["mood"], late_replay.json()["version"]) == (200, 3, 2)
    with access.maintaining("test"), connections["default"].cursor() as cursor:
        cursor.execute(
            "SELECT e.mood, e.version, c.metadata ->> 'person' FROM aftercare_moodcheckinevent e "
            "JOIN pghistory_context c ON c.id = e.pgh_context_id WHERE e.id = %s",
            [id],
        )
        assert cursor.fetchall() == [(6, 1, str(cast.patient.id))]


def test_a_write_names_the_version_that_it_was_made_from(cast: Cast) -> None:
    phone, id = cast.client(cast.patient), uuid.uuid4()
    body = BODIES["mood-check-ins"]
    phone.send("PUT", f"mood-check-ins/{id}", body)
    assert phone.send("PUT", f"mood-check-ins/{id}", body | {"mood": 4}, **{"If-Match": '"1"'}).json()["version"] == 2
    stale = phone.send("PUT", f"mood-check-ins/{id}", body | {"mood": 9}, **{"If-Match": '"1"'})
    assert (stale.status_code, stale.json()["current"]["mood"]) == (412, 4)
    assert phone.send("PATCH", f"mood-check-ins/{id}", {"mood": 5}, **{"If-Match": '"1"'}).status_code == 412
    assert phone.send("PATCH", f"mood-check-ins/{id}", {"mood": 5}).json()["version"] == 3
    assert phone.send("PATCH", f"mood-check-ins/{id}", {"note": None}).json()["note"] == ""
    assert phone.send("DELETE", f"mood-check-ins/{id}", **{"If-Match": '"1"'}).status_code == 412
    assert phone.send("PUT", f"mood-check-ins/{id}", body, **{"If-Match": "three"}).status_code == 400
    assert phone.send("PUT", f"mood-check-ins/{uuid.uuid4()}", body, **{"If-Match": '"1"'}).status_code == 404


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_can_be_changed_deleted_and_brought_back_with_all_its_fields(cast: Cast, kind: str) -> None:
    phone, id = cast.client(cast.patient), uuid.uuid4()
    made = phone.send("PUT", f"{kind}/{id}", BODIES[kind]).json()
    noted = phone.send("PATCH", f"{kind}/{id}", {"note": "Later."}).json()
    assert (noted["version"], noted["note"]) == (2, "Later.")
    assert phone.send("DELETE", f"{kind}/{id}").status_code == 204
    back = phone.send("PUT", f"{kind}/{id}", BODIES[kind], **{"If-Match": '"3"'}).json()
    moving = {"version", "change_number", "updated_at"}
    assert {k: v for k, v in back.items() if k not in moving} == {k: v for k, v in made.items() if k not in moving}


def test_a_deleted_record_is_gone_and_can_be_brought_back(cast: Cast) -> None:
    phone, id = cast.client(cast.patient), uuid.uuid4()
    body = BODIES["mood-check-ins"]
    phone.send("PUT", f"mood-check-ins/{id}", body)
    deleted = phone.send("DELETE", f"mood-check-ins/{id}")
    assert (deleted.status_code, deleted["ETag"]) == (204, '"2"')
    assert phone.send("GET", f"mood-check-ins/{id}").status_code == 410
    assert phone.send("PUT", f"mood-check-ins/{id}", body).status_code == 410
    assert phone.send("PUT", f"mood-check-ins/{id}", body | {"mood": 1}).status_code == 410
    assert phone.send("DELETE", f"mood-check-ins/{id}").status_code == 410
    assert phone.send("GET", "mood-check-ins").json()["results"] == []
    assert cast.client(cast.psychiatrist).send("GET", f"mood-check-ins/{id}").status_code == 404
    restored = phone.send("PUT", f"mood-check-ins/{id}", body, **{"If-Match": '"2"'})
    assert (restored.status_code, restored.json()["version"]) == (200, 3)
    assert phone.send("GET", f"mood-check-ins/{id}").status_code == 200


def test_a_batch_answers_for_each_record_in_the_order_sent(cast: Cast) -> None:
    phone = cast.client(cast.patient)
    body = BODIES["mood-check-ins"]
    ids = [str(uuid.uuid4()) for _ in range(500)]
    records = [body | {"id": id, "mood": i % 11} for i, id in enumerate(ids)]
    first = phone.send("POST", "mood-check-ins/batch", {"records": records})
    assert first.status_code == 200, first.content
    assert [(r["id"], r["outcome"]) for r in first.json()["results"]] == [(id, "created") for id in ids]
    again = phone.send("POST", "mood-check-ins/batch", {"records": records}).json()["results"]
    assert {r["outcome"] for r in again} == {"unchanged"}
    numbers = [r["change_number"] for r in first.json()["results"]]
    assert numbers == sorted(set(numbers))
    too_many = phone.send("POST", "mood-check-ins/batch", {"records": [*records, records[0]]})
    assert (too_many.status_code, too_many.json()["errors"][0]["pointer"]) == (400, "/records")


def test_one_bad_record_refuses_nobody_else(cast: Cast) -> None:
    phone = cast.client(cast.patient)
    body = BODIES["mood-check-ins"]
    good, bad, ahead, twice, unknown = (str(uuid.uuid4()) for _ in range(5))
    tomorrow = (clock.now() + timedelta(minutes=6)).isoformat()
    records = [
        body | {"id": good},
        body | {"id": bad, "mood": 11},
        body | {"id": ahead, "felt_at": tomorrow},
        body | {"id": twice, "mood": 1},
        body | {"id": twice, "mood": 2},
        body | {"id": unknown, "base_version": 4},
        body,
        "no record",
    ]
    results = phone.send("POST", "mood-check-ins/batch", {"records": records}).json()["results"]
    assert [r["outcome"] for r in results] == [
        "created", "rejected", "rejected", "conflict", "created", "rejected", "rejected", "rejected",
    ]  # fmt: skip
    assert results[1]["errors"][0]["pointer"] == "/mood"
    assert results[2]["errors"][0]["pointer"] == "/felt_at"
    assert results[3]["errors"][0]["code"] == "duplicate_in_batch"
    assert results[6]["errors"][0]["pointer"] == "/id"
    assert phone.send("GET", f"mood-check-ins/{twice}").json()["mood"] == 2


def test_a_batch_respects_bases(cast: Cast) -> None:
    phone, id = cast.client(cast.patient), str(uuid.uuid4())
    body = BODIES["mood-check-ins"] | {"id": id}
    phone.send("PUT", f"mood-check-ins/{id}", body)

    def outcome(**more: object) -> tuple[str, int | None]:
        (result,) = phone.send("POST", "mood-check-ins/batch", {"records": [body | more]}).json()["results"]
        return result["outcome"], result.get("version")

    assert outcome(mood=7, base_version=1) == ("updated", 2)
    assert outcome(mood=7, base_version=1) == ("unchanged", 2), "the very same change, sent again"
    assert outcome(mood=8, base_version=1) == ("conflict", 2)
    assert outcome() == ("unchanged", 2), "a late replay of the first version"
    assert outcome(mood=9) == ("updated", 3)


def test_lists_page_by_cursor_and_filter_by_their_own_time(cast: Cast) -> None:
    phone = cast.client(cast.patient)
    start = datetime(2026, 2, 1, tzinfo=UTC)
    records = [
        {
            "id": str(uuid.uuid4()),
            "felt_at": (start + timedelta(hours=i // 2)).isoformat(),
            "time_zone": "UTC",
            "mood": i % 11,
        }
        for i in range(60)
    ]
    phone.send("POST", "mood-check-ins/batch", {"records": records})
    seen, path, pages = [], "/api/v1/mood-check-ins?limit=7", 0
    while path:
        page = phone.send("GET", path).json()
        seen += [row["id"] for row in page["results"]]
        path, pages = page["next"], pages + 1
    assert (len(seen), len(set(seen)), pages) == (60, 60, 9)
    assert seen[0] in {records[58]["id"], records[59]["id"]}
    back, path = [], page["previous"]
    while path:
        page = phone.send("GET", path).json()
        back = [row["id"] for row in page["results"]] + back
        path = page["previous"]
    assert back == seen[: len(back)]
    assert len(back) == 56
    some = phone.send("GET", "mood-check-ins?since=2026-02-01T10:00:00Z&until=2026-02-01T12:00:00Z").json()["results"]
    assert len(some) == 4
    newest = max(row["change_number"] for row in phone.send("GET", "mood-check-ins").json()["results"])
    assert phone.send("GET", f"mood-check-ins?changed_after={newest}").json()["results"] == []
    for wrong in (
        "limit=0",
        "limit=501",
        "limit=x",
        "since=yesterday",
        "cursor=zzz",
        "cursor=cD1h",
        "patient=1",
        "mood=3",
    ):
        answer = phone.send("GET", f"mood-check-ins?{wrong}")
        assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (400, wrong.partition("=")[0]), wrong


def test_what_comes_and_goes_between_two_pages_moves_nothing(cast: Cast) -> None:
    phone = cast.client(cast.patient)
    day = {"day": DAY, "substance": "alcohol", "used": False}
    records = [day | {"id": str(uuid.uuid4())} for _ in range(9)]  # one day, so all of them at the same place in time
    phone.send("POST", "substance-logs/batch", {"records": records})
    first = phone.send("GET", "substance-logs?limit=3").json()
    phone.send("DELETE", f"substance-logs/{first['results'][0]['id']}")
    phone.send("PUT", f"substance-logs/{uuid.UUID(int=2**128 - 1)}", day)
    rest = (
        phone.send("GET", first["next"]).json()["results"]
        + phone.send("GET", f"{first['next']}&limit=500").json()["results"]
    )
    seen = {row["id"] for row in first["results"]} | {row["id"] for row in rest}
    assert seen == {record["id"] for record in records}


def test_two_phones_of_one_patient_at_once_lose_nothing(cast: Cast) -> None:
    tokens = [cast.client(cast.patient) for _ in range(8)]
    ids = [str(uuid.uuid4()) for _ in range(20)]
    failures: list[object] = []

    def send(worker: int) -> None:
        try:
            for id in ids:
                answer = tokens[worker].send("PUT", f"mood-check-ins/{id}", BODIES["mood-check-ins"] | {"mood": worker})
                if answer.status_code not in {200, 201}:
                    failures.append((answer.status_code, answer.content))
        finally:
            connection.close()

    threads = [threading.Thread(target=send, args=[i]) for i in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    rows = tokens[0].send("GET", "mood-check-ins").json()["results"]
    assert len(rows) == 20
    assert len({row["change_number"] for row in rows}) == 20
    for row in rows:
        with access.maintaining("test"), connections["default"].cursor() as cursor:
            cursor.execute("SELECT count(*) FROM aftercare_moodcheckinevent WHERE id = %s", [row["id"]])
            assert cursor.fetchone()[0] == row["version"] - 1


def test_a_side_effect_points_only_at_a_session_of_the_same_patient(cast: Cast) -> None:
    phone = cast.client(cast.patient)
    body = BODIES["side-effects"] | {"session": str(uuid.uuid4())}
    answer = phone.send("PUT", f"side-effects/{uuid.uuid4()}", body)
    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (400, "/session")


def test_the_skew_of_a_phones_clock_is_kept(cast: Cast) -> None:
    sent = (clock.now() - timedelta(minutes=90)).isoformat()
    body = BODIES["mood-check-ins"] | {"sent_at": sent}
    answer = cast.client(cast.patient).send("PUT", f"mood-check-ins/{uuid.uuid4()}", body).json()
    assert 90 * 60_000 <= answer["skew_ms"] < 91 * 60_000
