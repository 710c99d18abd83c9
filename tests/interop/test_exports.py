"""Everything about a person and nothing of anybody else, made by a job, fetched by one person until an hour."""

import csv
import io
import json
import os
import resource
import threading
import uuid
import zipfile
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.db import connections

from backend.accounts import access, people
from backend.accounts.holdings import holdings
from backend.accounts.models import Caregiver
from backend.common import clock
from backend.interop import exports, formats, vault, work
from backend.interop.models import Export
from tests.cast import Cast
from tests.interop.life import LOGS, as_owner, ask, document, fetched, lead, made, word
from tests.reminders.engine import until


def files() -> list[Path]:
    """What lies in the folder."""
    return sorted(Path(settings.EXPORTS_DIR).glob("*"))


def test_an_export_holds_every_table_that_says_something_about_its_person(cast: Cast) -> None:
    lead(cast, cast.patient, doctor=cast.psychiatrist, clinic_id=cast.clinic.id)
    told = document(cast, cast.patient)
    assert set(told) - {"about"} == {holding.section for holding in holdings() if holding.section}
    empty = {name for name, rows in told.items() if not rows}
    assert empty <= {
        "invitations", "caregivers", "cares_for", "emergency_openings", "legal_holds", "erasure_requests", "deliveries",
        "sessions_earlier_versions", "appointments_earlier_versions", "appointment_occurrences_earlier_versions",
        "escalations", "silences", "blocked_addresses", "phone_codes",
    }, "the test's life has something in each of the others"  # fmt: skip
    for path in LOGS:
        kind = path.replace("-", "_")
        assert [row["note"] for row in told[kind]] == [word(cast.patient, f"{path} last")]
        assert [row["note"] for row in told[f"{kind}_earlier_versions"]] == [word(cast.patient, f"{path} first")]
    assert [row["text"] for row in told["annotations"]] == [word(cast.patient, "annotation")], (
        "what is private is not theirs"
    )
    seen = {(row["person_id"], row["action"]) for row in told["who_saw_and_changed_it"]}
    assert {(str(cast.psychiatrist.id), "create"), (str(cast.patient.id), "update")} <= seen
    assert told["profile"][0]["email"] == "patient@example.org"
    assert "password" not in told["profile"][0]
    assert "push" not in told["devices"][0]
    assert {row["member_name"] for row in told["care_team"]} == {"Psychiatrist", "Therapist"}
    assert told["mood_check_ins"][0]["felt_at"].endswith("+00:00")


def test_no_other_persons_data_is_in_an_export(cast: Cast) -> None:
    for patient in (cast.patient, cast.other_patient):
        lead(cast, patient, doctor=cast.psychiatrist, clinic_id=cast.clinic.id)
    for format in ("json", "csv"):
        raw = fetched(cast, cast.patient, made(cast, cast.patient, format)["link"])
        if format == "csv":
            archive = zipfile.ZipFile(io.BytesIO(raw))
            raw = b"".join(archive.read(name) for name in archive.namelist())
        text = raw.decode()
        assert word(cast.patient, "rule") in text
        for stranger in (
            cast.other_patient, cast.unassigned_patient, cast.nurse, cast.administrator, cast.auditor, cast.outsider,
            cast.outside_patient,
        ):  # fmt: skip
            assert str(stranger.id) not in text
            assert stranger.email not in text
            assert word(stranger, "")[1:] not in text
        assert cast.psychiatrist.email not in text, "of the care team the names only"


def test_a_clinician_of_the_care_team_exports_the_own_patient_without_the_account(cast: Cast) -> None:
    lead(cast, cast.patient, doctor=cast.psychiatrist, clinic_id=cast.clinic.id)
    told = document(cast, cast.psychiatrist, str(cast.patient.id))
    assert told["about"]["patient"] == str(cast.patient.id)
    assert [row["note"] for row in told["mood_check_ins"]] == [word(cast.patient, "mood-check-ins last")]
    assert not {"devices", "invitations", "memberships", "exports"} & set(told)


def test_strangers_get_nothing_and_see_nothing(cast: Cast) -> None:
    job = made(cast, cast.patient)
    for stranger in (cast.outsider, cast.nurse, cast.administrator, cast.auditor, cast.other_patient):
        client = cast.client(stranger)
        asked = client.send("POST", "exports", {"about": str(cast.patient.id)})
        assert asked.status_code == 404, stranger
        assert client.send("GET", f"exports/{job['id']}").status_code == 404
        assert client.send("GET", job["link"]).status_code == 404
        assert client.send("GET", "exports").json()["results"] == []
        assert client.send("GET", "me/jobs").json()["results"] == []
    assert cast.client(cast.psychiatrist).send("GET", job["link"]).status_code == 404, "the link is one person's"
    nobody = cast.client()
    for path in ("exports", "me/jobs", f"exports/{job['id']}", job["link"]):
        assert nobody.send("GET", path).status_code == 401
    phone = cast.client(cast.patient)
    assert phone.send("GET", job["link"].replace("signature=", "signature=x")).status_code == 404
    assert phone.send("GET", f"exports/{job['id']}/file").status_code == 400
    assert phone.send("POST", "exports", {"format": "pdf"}).status_code == 400
    assert phone.send("POST", "exports", {"about": "somebody"}).status_code == 400


def test_neither_an_emergency_nor_a_share_is_taken_away_as_a_file(cast: Cast) -> None:
    patient, doctor = cast.unassigned_patient, cast.client(cast.psychiatrist)
    reason = {"reason": "Found unconscious, no one of the team to be reached"}
    assert doctor.send("POST", f"patients/{patient.id}/break-glass", reason).status_code == 201
    assert doctor.send("GET", f"patients/{patient.id}").status_code == 200
    assert doctor.send("POST", "exports", {"about": str(patient.id)}).status_code == 404
    with access.maintaining("test"):
        people.join(person=cast.other_patient, clinic=cast.clinic, role="caregiver", now=clock.now())
        Caregiver.objects.create(
            clinic=cast.clinic, patient=cast.patient, person=cast.other_patient, shares=["mood"], since_at=clock.now()
        )
    friend = cast.client(cast.other_patient)
    assert friend.send("GET", f"mood-check-ins?patient={cast.patient.id}").status_code == 200
    assert friend.send("POST", "exports", {"about": str(cast.patient.id)}).status_code == 404


def test_a_clinician_who_left_the_care_team_fetches_nothing_any_more(cast: Cast) -> None:
    ready = made(cast, cast.therapist, about=str(cast.patient.id))
    waiting = ask(cast, cast.therapist, "csv", str(cast.patient.id))
    with access.acting_as(None, cast.clinic.id, "test"):
        assert people.take_off_care_team(
            clinic_id=cast.clinic.id, patient_id=cast.patient.id, member_id=cast.therapist.id, now=clock.now()
        )
    desk = cast.client(cast.therapist)
    assert desk.send("GET", ready["link"]).status_code == 404
    work.round(now=clock.now())
    refused = desk.send("GET", f"exports/{waiting['id']}").json()
    assert (refused["status"], refused["error"], refused["link"]) == ("failed", "not_found", None)


def test_the_job_shows_how_far_it_is_and_asking_twice_is_asking_once(cast: Cast) -> None:
    phone = cast.client(cast.patient)
    job = ask(cast, cast.patient)
    assert (job["status"], job["done"], job["total"], job["link"]) == ("waiting", 0, None, None)
    again = phone.send("POST", "exports", {})
    assert (again.status_code, again.json()) == (200, job)
    work.round(now=clock.now())
    (shown,) = phone.send("GET", "me/jobs").json()["results"]
    assert (shown["kind"], shown["status"]) == ("export", "ready")
    assert shown["done"] == shown["total"] > 0
    assert phone.send("GET", f"exports/{job['id']}/file?expires=x&signature=y").status_code == 404


def test_the_file_is_noise_without_its_row_and_its_owners_alone(cast: Cast) -> None:
    lead(cast, cast.patient, doctor=cast.psychiatrist, clinic_id=cast.clinic.id)
    ready = made(cast, cast.patient)
    (file,) = files()
    assert file.stat().st_mode & 0o777 == 0o600
    assert file.parent.stat().st_mode & 0o777 == 0o700
    assert b"canary" not in file.read_bytes()
    assert len(fetched(cast, cast.patient, ready["link"])) == ready["size_bytes"]


def test_the_link_expires_and_the_file_goes(cast: Cast) -> None:
    assert cast.client(cast.administrator).send("PATCH", "rights-settings", {"export_hours": 1}).status_code == 200
    ready = made(cast, cast.patient)
    as_owner("UPDATE interop_export SET expires_at = %s", [clock.now() - timedelta(seconds=1)])
    phone = cast.client(cast.patient)
    link = exported_link(ready["id"])
    assert (phone.send("GET", link).status_code, phone.send("GET", link).json()["code"]) == (410, "export_expired")
    work.round(now=clock.now())
    assert files() == []
    assert phone.send("GET", link).status_code == 410
    gone = phone.send("GET", f"exports/{ready['id']}").json()
    assert (gone["status"], gone["link"]) == ("expired", None)
    assert as_owner("SELECT file_key FROM interop_export") == [(None,)], "a copy of the file is noise from now on"


def exported_link(id: str) -> str:
    """The link as it was signed for the hour that the row has."""
    with access.maintaining("test"):
        job = Export.objects.get(id=id)
    return f"exports/{id}/file?expires=x&signature={exports.signature(job)}"


def test_an_hour_that_was_changed_in_the_link_is_refused(cast: Cast) -> None:
    ready = made(cast, cast.patient)
    as_owner("UPDATE interop_export SET expires_at = expires_at + interval '1 day'")
    assert cast.client(cast.patient).send("GET", ready["link"]).status_code == 404


def test_a_job_that_was_killed_half_way_is_done_again_and_never_half_done(
    cast: Cast, monkeypatch: pytest.MonkeyPatch
) -> None:
    lead(cast, cast.patient, doctor=cast.psychiatrist, clinic_id=cast.clinic.id)
    job = ask(cast, cast.patient)

    class Killed(BaseException):
        """As a process dies: nobody cleans up after it."""

    def half(out: Any, head: Any, sections: Iterator[Any]) -> None:
        section = next(sections)
        out.write(b"x" * (vault.CHUNK * 2) + json.dumps(list(section.rows), default=str).encode())
        raise Killed

    with monkeypatch.context() as patch:
        patch.setitem(formats.FORMATS, "json", formats.Format("json", ".json", "application/json", half))  # type: ignore[misc]
        patch.setattr(vault.Writer, "__exit__", lambda self, *_: self._file.close())
        with pytest.raises(Killed):
            work.round(now=clock.now())
    phone = cast.client(cast.patient)
    assert [path.suffix for path in files()] == [".part"]
    shown = phone.send("GET", f"exports/{job['id']}").json()
    assert (shown["status"], shown["link"]) == ("running", None)
    work.round(now=clock.now())
    assert phone.send("GET", f"exports/{job['id']}").json()["status"] == "running", "its lease still runs"
    later = clock.now() + exports.LEASE + timedelta(seconds=1)
    work.round(now=later)
    left = [path for path in files() if path.suffix == ".part"]
    os.utime(left[0], ((later - timedelta(days=2)).timestamp(),) * 2)
    work.round(now=later)
    ready = phone.send("GET", f"exports/{job['id']}").json()
    assert ready["status"] == "ready"
    assert json.loads(fetched(cast, cast.patient, ready["link"]))["profile"]
    assert [path.suffix for path in files()] == [".sealed"], "what the dead one left is gone"


def test_one_that_lost_its_lease_spoils_nothing(cast: Cast, monkeypatch: pytest.MonkeyPatch) -> None:
    ask(cast, cast.patient)
    real = formats.FORMATS["json"]

    def slow(out: Any, head: Any, sections: Iterator[Any]) -> None:
        patch.undo()
        other = threading.Thread(target=_round_on_its_own, args=[clock.now() + exports.LEASE * 2])
        other.start()
        other.join()
        real.write(out, head, sections)

    with monkeypatch.context() as patch:
        patch.setitem(formats.FORMATS, "json", formats.Format("json", ".json", "application/json", slow))  # type: ignore[misc]
        assert exports.run_due(now=clock.now()) == 0
    (ready,) = cast.client(cast.patient).send("GET", "exports").json()["results"]
    assert ready["status"] == "ready"
    assert json.loads(fetched(cast, cast.patient, ready["link"]))["profile"]
    assert len(files()) == 1


def _round_on_its_own(now: Any) -> None:
    try:
        # Again while the other one writes down how far it is and holds the row.
        until(lambda: exports.run_due(now=now))
    finally:
        connections.close_all()


def test_a_failure_is_tried_again_and_then_told(cast: Cast, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(out: Any, head: Any, sections: Iterator[Any]) -> None:
        raise OSError("disk full")

    job = ask(cast, cast.patient)
    monkeypatch.setitem(formats.FORMATS, "json", formats.Format("json", ".json", "application/json", broken))  # type: ignore[misc]
    now = clock.now()
    for _ in range(exports.ATTEMPTS):
        assert exports.run_due(now=now) == 0
        assert files() == []
        now += timedelta(hours=1)
    told = cast.client(cast.patient).send("GET", f"exports/{job['id']}").json()
    assert (told["status"], told["error"]) == ("failed", "OSError")
    assert exports.run_due(now=now) == 0


def test_beats_own_thread_stands_in_when_no_worker_comes(cast: Cast) -> None:
    job = ask(cast, cast.patient)
    work.stand_in(now=clock.now())
    phone = cast.client(cast.patient)
    assert phone.send("GET", f"exports/{job['id']}").json()["status"] == "waiting"
    work.stand_in(now=clock.now() + timedelta(seconds=31))
    assert phone.send("GET", f"exports/{job['id']}").json()["status"] == "ready"


def test_a_table_of_csv_runs_nothing_in_a_spreadsheet(cast: Cast) -> None:
    lead(cast, cast.patient, doctor=cast.psychiatrist, clinic_id=cast.clinic.id)
    archive = zipfile.ZipFile(io.BytesIO(fetched(cast, cast.patient, made(cast, cast.patient, "csv")["link"])))
    assert archive.testzip() is None
    rows = list(csv.DictReader(io.TextIOWrapper(archive.open("mood_check_ins.csv"), "utf-8", newline="")))
    assert [row["note"] for row in rows] == ["'" + word(cast.patient, "mood-check-ins last")]
    assert (rows[0]["mood"], rows[0]["anxiety"], rows[0]["tags"]) == ("3", "", "[]")
    assert json.loads(archive.read("about.json"))["patient"] == str(cast.patient.id)


@pytest.mark.slow
def test_a_hundred_thousand_logs_are_exported_in_little_memory(cast: Cast) -> None:
    count = 100_000
    as_owner(
        "INSERT INTO aftercare_moodcheckin (id, patient_id, source, version, change_number, received_at, updated_at, "
        "felt_at, time_zone, mood, tags, note) SELECT gen_random_uuid(), %s, 'patient', 1, n, now(), now(), "
        "now() - n * interval '1 minute', 'Asia/Kolkata', n %% 11, '{}', '' FROM generate_series(1, %s) n",
        [cast.patient.id, count],
    )
    ask(cast, cast.patient)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    work.round(now=clock.now())
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    (ready,) = cast.client(cast.patient).send("GET", "exports").json()["results"]
    assert ready["status"] == "ready"
    assert ready["done"] == ready["total"] > count
    print(f"export: {ready['done']:,} rows, {ready['size_bytes'] / 2**20:.0f} MB, memory grew by {grown:.0f} MB")
    assert grown < 40, "a page at a time, never all of it"


@pytest.mark.parametrize("size", [0, 1, vault.CHUNK - 1, vault.CHUNK, vault.CHUNK + 1, vault.CHUNK * 3])
def test_a_sealed_file_gives_back_what_was_written_or_nothing(tmp_path: Path, size: int) -> None:
    key, path, data = vault.new_key(), tmp_path / "x.sealed", bytes(range(256)) * (size // 256 + 1)
    with vault.Writer(path, key=key) as out:
        out.write(data[:size])
    assert b"".join(vault.read(path.open("rb"), key=key)) == data[:size]
    sealed = path.read_bytes()
    for damaged in (sealed[:-1], sealed[: len(sealed) // 2], sealed[:10] + b"\x00" + sealed[11:], b"", sealed + sealed):
        path.write_bytes(damaged)
        if damaged != sealed:
            with pytest.raises(vault.Damaged):
                list(vault.read(path.open("rb"), key=key))
    path.write_bytes(sealed)
    with pytest.raises(vault.Damaged):
        list(vault.read(path.open("rb"), key=vault.new_key()))


def test_an_unknown_export_is_no_export(cast: Cast) -> None:
    assert cast.client(cast.patient).send("GET", f"exports/{uuid.uuid4()}").status_code == 404
