"""Keys are changed while people write and read: always the right text, and never an error."""

import json
import os
import threading
import uuid
from collections.abc import Iterator
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.core.management import CommandError, call_command
from django.db import connections

from backend.accounts import access, keys, masters, resealing
from backend.accounts.models import DataKey
from backend.aftercare.models import MoodCheckIn
from backend.common import clock
from tests.cast import Cast

ROUNDS = 40 if os.environ.get("TORTURE") else 4
BODY = {"felt_at": "2026-03-02T21:15:00+05:30", "time_zone": "Asia/Kolkata", "mood": 6}


@pytest.fixture(autouse=True)
def key_file(tmp_path: Path) -> Iterator[Path]:
    """A file of master keys of the test's own."""
    path = tmp_path / "note_keys.json"
    path.write_text(masters.drawn("one"))
    before, settings.NOTE_KEYS_FILE = settings.NOTE_KEYS_FILE, str(path)
    keys.masters.cache_clear()
    keys.forget_unwrapped()
    yield path
    settings.NOTE_KEYS_FILE = before
    keys.masters.cache_clear()
    keys.forget_unwrapped()


class Traffic:
    """Writers and readers over HTTP, with patients' phones, until the block ends; `wrong` is what was not right."""

    def __init__(self, cast: Cast) -> None:
        self.stop, self.moved = threading.Event(), threading.Condition()
        self.written = self.read = 0
        self.wrong: list[Any] = []
        patients = (cast.patient, cast.other_patient)
        self.phones = [(str(person.id), cast.client(person)) for person in patients for _ in range(2)]
        self.doctor = cast.client(cast.psychiatrist)
        work = [*((self._write, *phone) for phone in self.phones), *((self._read, id) for id, _ in self.phones[::2])]
        self.threads = [threading.Thread(target=self._until_told, args=each) for each in work]

    def __enter__(self) -> "Traffic":
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop.set()
        for thread in self.threads:
            thread.join()

    def _until_told(self, act: Any, *given: Any) -> None:
        try:
            turn = 0
            while not self.stop.is_set() and not self.wrong:
                act(turn, *given)
                turn += 1
        except Exception as error:  # whatever it is, the test shall tell it
            self.wrong.append(repr(error))
        finally:
            connections.close_all()

    def _write(self, turn: int, patient: str, phone: Any) -> None:
        """A new note; every third time the same again, and a change of it."""
        id = str(uuid.uuid4())
        first, second = f"{patient} {id} first", f"{patient} {id} second"
        for note, status in ((first, 201), *(((first, 200), (second, 200), (first, 200)) if turn % 3 == 0 else ())):
            answer = phone.send("PUT", f"mood-check-ins/{id}", BODY | {"note": note})
            expected = (
                second if turn % 3 == 0 and answer.status_code == 200 and answer.json()["version"] == 2 else first
            )
            if answer.status_code != status or answer.json()["note"] != expected:
                self.wrong.append((answer.status_code, answer.json()))
            with self.moved:
                self.written += 1
                self.moved.notify_all()

    def _read(self, turn: int, patient: str) -> None:
        """The newest 500 as the clinic sees them: each note names its own patient and row."""
        answer = self.doctor.send("GET", f"mood-check-ins?patient={patient}&limit=500")
        for row in answer.json()["results"]:
            if row["note"] is None or not row["note"].startswith(f"{patient} {row['id']} "):
                self.wrong.append(row)
        with self.moved:
            self.read += len(answer.json()["results"])
            self.moved.notify_all()

    def wait_for_more(self, *, writes: int, notes: int) -> None:
        """Until so much more was written and read, or something was wrong."""
        with self.moved:
            written, read = self.written + writes, self.read + notes
            assert self.moved.wait_for(lambda: self.wrong or (self.written >= written and self.read >= read), 120)


def test_keys_are_rotated_and_notes_sealed_anew_under_traffic(cast: Cast) -> None:
    wrapped = sealed = dropped = 0
    with Traffic(cast) as traffic:
        for turn in range(ROUNDS):
            traffic.wait_for_more(writes=20, notes=60)
            call_command("rotate_keys", "--draw", f"round-{turn}", stdout=StringIO())
            wrapped += 2
            tally = resealing.reencrypt(made_before=clock.now(), now=clock.now())
            assert tally.failed == []
            sealed += tally.notes
            gone, left = resealing.drop_retired(patience_s=30)
            assert left == 0
            dropped += gone
    print(
        f"{ROUNDS} rounds: {wrapped} wraps and {sealed:,} notes made anew, {dropped} old keys deleted, while "
        f"{traffic.written:,} writes and {traffic.read:,} notes read: {len(traffic.wrong)} wrong or in error"
    )
    assert traffic.wrong == []
    assert traffic.written >= ROUNDS * 20
    assert traffic.read >= ROUNDS * 60
    assert dropped >= ROUNDS
    resealing.reencrypt(made_before=clock.now(), now=clock.now())
    resealing.drop_retired(patience_s=30)
    with access.maintaining("test"):
        assert DataKey.objects.count() == 2
        assert {row.wrapped.split(".")[1] for row in DataKey.objects.all()} == {f"round-{ROUNDS - 1}"}
        generations = {note.split(".")[1] for note in MoodCheckIn.objects.values_list("note", flat=True)}
        assert generations <= {str(n) for n in DataKey.objects.values_list("generation", flat=True)}
    for patient, phone in traffic.phones[::2]:
        for row in phone.send("GET", "mood-check-ins?limit=500").json()["results"]:
            assert row["note"].startswith(f"{patient} {row['id']} ")


def _put(cast: Cast, note: str) -> str:
    id = str(uuid.uuid4())
    assert cast.client(cast.patient).send("PUT", f"mood-check-ins/{id}", BODY | {"note": note}).status_code == 201
    return id


def test_the_rotation_can_be_broken_off_and_the_old_master_key_is_needed_no_more(cast: Cast, key_file: Path) -> None:
    id, said = _put(cast, "mine"), StringIO()
    call_command("rotate_keys", "--draw", "two", stdout=said)
    assert "1 wrapped anew" in said.getvalue()
    assert (key_file.stat().st_mode & 0o777) == 0o600
    call_command("rotate_keys", stdout=(again := StringIO()))
    assert "0 wrapped anew" in again.getvalue()
    document = json.loads(key_file.read_text())
    assert (document["current"], set(document["keys"])) == ("two", {"one", "two"})
    del document["keys"]["one"]
    key_file.write_text(json.dumps(document))
    keys.forget_unwrapped()
    assert cast.client(cast.patient).send("GET", f"mood-check-ins/{id}").json()["note"] == "mine"


def test_a_data_key_that_no_master_key_opens_is_told_and_stays(cast: Cast, key_file: Path) -> None:
    _put(cast, "mine")
    key_file.write_text(masters.drawn("stranger"))
    with pytest.raises(CommandError, match="0 wrapped anew, 1 not"):
        call_command("rotate_keys", stdout=StringIO())
    with access.maintaining("test"):
        assert [row.wrapped.split(".")[1] for row in DataKey.objects.all()] == ["one"]


def test_a_new_data_key_seals_all_notes_of_the_patient_and_makes_no_new_version(cast: Cast) -> None:
    id, said = _put(cast, "mine"), StringIO()
    phone = cast.client(cast.patient)
    phone.send("PUT", f"mood-check-ins/{id}", BODY | {"note": "changed"})
    before = phone.send("GET", f"mood-check-ins/{id}").json()
    call_command("reencrypt_notes", "--patient", str(cast.patient.id), stdout=said)
    assert "2 notes of 1 patients sealed anew, 1 old keys deleted" in said.getvalue()
    assert phone.send("GET", f"mood-check-ins/{id}").json() == before
    call_command("reencrypt_notes", "--made-before", "2026-01-01T00:00:00+00:00", stdout=(none := StringIO()))
    assert "0 notes of 0 patients" in none.getvalue()


def test_an_old_key_stays_while_somebody_may_still_need_it(cast: Cast) -> None:
    _put(cast, "mine")
    began, end = threading.Event(), threading.Event()

    def read_slowly() -> None:
        try:
            with access.acting_as(cast.psychiatrist.id, cast.clinic.id, "slow reader"):
                MoodCheckIn.objects.first()
                began.set()
                end.wait(30)
        finally:
            connections.close_all()

    reader = threading.Thread(target=read_slowly)
    reader.start()
    assert began.wait(30)
    resealing.reencrypt(made_before=clock.now(), now=clock.now())
    assert resealing.drop_retired(patience_s=0.2) == (0, 1)
    end.set()
    reader.join()
    assert resealing.drop_retired(patience_s=30) == (1, 0)


def test_a_note_that_cannot_be_opened_stays_as_it_is_and_is_told(cast: Cast) -> None:
    broken, whole = _put(cast, "broken"), _put(cast, "whole")
    with access.maintaining("test"):
        sealed = MoodCheckIn.objects.values_list("note", flat=True).get(id=broken)
        MoodCheckIn.objects.filter(id=broken).update(note=type(sealed)(sealed[:-6] + "AAAA" + sealed[-2:]))
    with pytest.raises(CommandError, match="1 notes could not be opened"):
        call_command("reencrypt_notes", "--patience", "1", stdout=StringIO())
    phone = cast.client(cast.patient)
    assert phone.send("GET", f"mood-check-ins/{whole}").json()["note"] == "whole"
    assert phone.send("GET", f"mood-check-ins/{broken}").json()["unreadable"] == ["note"]
    with access.maintaining("test"):
        assert DataKey.objects.count() == 2, "its key stays, for whoever can mend it"
