"""The database itself shows nobody what is not theirs: every table, every way to forget a filter."""

import os
import random
import threading
import uuid

import pytest
from django.db import connection, connections, transaction
from django.db.utils import ProgrammingError

from backend.accounts import access, people
from backend.accounts.models import Caregiver, Membership, Person
from backend.aftercare.models import MoodCheckIn, SleepLog
from backend.common import clock
from backend.config import roles
from tests.cast import Cast

CHECK_IN = {"felt_at": "2026-11-20T08:00:00+05:30", "time_zone": "Asia/Kolkata", "mood": 4, "note": "mine alone"}
# Nobody's: what the frameworks and the machinery keep about themselves.
NOBODYS = {
    "auth_group", "auth_group_permissions", "auth_permission", "django_content_type", "django_migrations",
    "reminders_heartbeat",
}  # fmt: skip
NOBODYS_PREFIXES = ("django_celery_beat_",)
SOMEBODYS_COLUMNS = {"patient_id", "person_id", "clinic_id", "member_id", "user_id", "email", "recipient"}


def _tables() -> dict[str, tuple[str, bool, bool, set[str], int]]:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT c.relname, c.relkind::text, c.relrowsecurity, c.relforcerowsecurity, "
            "(SELECT array_agg(attname::text) FROM pg_attribute WHERE attrelid = c.oid AND attnum > 0), "
            "(SELECT count(*) FROM pg_policy WHERE polrelid = c.oid AND polroles = "
            "  ARRAY(SELECT oid FROM pg_roles WHERE rolname = %s)) "
            "FROM pg_class c WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p', 'v', 'm')",
            [roles.APPLICATION],
        )
        return {row[0]: (row[1], row[2], row[3], set(row[4]), row[5]) for row in cursor.fetchall()}


def _is_nobodys(table: str) -> bool:
    return table in NOBODYS or table.startswith(NOBODYS_PREFIXES)


def test_every_table_with_something_of_somebody_is_closed_and_closed_to_its_owner_too(database: str) -> None:
    for name, (kind, enabled, forced, columns, policies) in _tables().items():
        if _is_nobodys(name):
            assert not columns & SOMEBODYS_COLUMNS, f"{name} holds something of somebody and needs a policy"
            continue
        assert kind in {"r", "p"}, f"{name} is a view: it would look with its owner's eyes"
        assert enabled, f"{name}: protect it in a migration (backend.accounts.isolation.protect)"
        assert forced, f"{name}: its owner is not closed out"
        assert policies, f"{name}: nobody could ever see a row of it"


def test_without_context_no_table_shows_a_row_to_any_of_the_three_roles(cast: Cast) -> None:
    phone = cast.client(cast.patient)
    phone.send("PUT", f"mood-check-ins/{uuid.uuid4()}", CHECK_IN)
    for alias in ("default", "owner", "dispatch"):
        for name in _tables():
            if _is_nobodys(name):
                continue
            with connections[alias].cursor() as cursor:
                try:
                    cursor.execute(f'SELECT count(*) FROM "{name}"')
                except ProgrammingError as refused:
                    assert "permission denied" in str(refused)  # noqa: PT017 - the dispatcher has no right at all
                else:
                    assert cursor.fetchone() == (0,), f"{alias} sees rows of {name}"


def test_the_application_owns_nothing_and_is_no_member_of_the_owner(database: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT current_user")
        assert cursor.fetchone() == (roles.APPLICATION,)
        cursor.execute("SELECT count(*) FROM pg_class WHERE pg_get_userbyid(relowner) IN (%s, %s)", roles.ALL[1:])
        assert cursor.fetchone() == (0,)
        cursor.execute("SELECT rolsuper, rolbypassrls FROM pg_roles WHERE rolname = ANY(%s)", [list(roles.ALL)])
        assert set(cursor.fetchall()) == {(False, False)}
        cursor.execute("SELECT pg_has_role(%s, %s, 'member')", [roles.APPLICATION, roles.OWNER])
        assert cursor.fetchone() == (False,)


def test_an_unscoped_query_sees_what_its_actor_may_see_and_no_more(cast: Cast) -> None:
    for person in (cast.patient, cast.other_patient, cast.unassigned_patient, cast.outside_patient):
        cast.client(person).send("PUT", f"mood-check-ins/{uuid.uuid4()}", CHECK_IN)
    seen = {}
    for who, clinic in (
        (cast.patient, cast.clinic), (cast.psychiatrist, cast.clinic), (cast.therapist, cast.clinic),
        (cast.nurse, cast.clinic), (cast.administrator, cast.clinic), (cast.auditor, cast.clinic),
        (cast.outsider, cast.elsewhere),
    ):  # fmt: skip
        with access.acting_as(who.id, clinic.id, "forgot to filter"):
            seen[who.full_name] = set(MoodCheckIn.objects.values_list("patient__full_name", flat=True))
    assert seen == {
        "Patient": {"Patient"},
        "Psychiatrist": {"Patient", "Other Patient"},
        "Therapist": {"Patient"},
        "Nurse": set(),
        "Administrator": set(),
        "Auditor": set(),
        "Outsider": {"Outside Patient"},
    }


def test_a_clinic_that_one_is_no_member_of_shows_nothing_whatever_the_context_claims(cast: Cast) -> None:
    cast.client(cast.patient).send("PUT", f"mood-check-ins/{uuid.uuid4()}", CHECK_IN)
    with access.acting_as(cast.outsider.id, cast.clinic.id, "claims to work there"):
        assert not MoodCheckIn.objects.exists()
        assert set(Person.objects.values_list("id", flat=True)) == {cast.outsider.id}
        assert not Membership.objects.filter(clinic=cast.clinic).exists()


def test_names_are_seen_by_those_who_have_to_do_with_the_person(cast: Cast) -> None:
    def names(who: Person) -> set[str]:
        with access.acting_as(who.id, cast.clinic.id, "names"):
            return set(Person.objects.values_list("full_name", flat=True))

    staff = {"Psychiatrist", "Therapist", "Nurse", "Administrator", "Auditor"}
    assert names(cast.patient) == {"Patient", "Psychiatrist", "Therapist"}
    assert names(cast.nurse) == staff
    assert names(cast.therapist) == staff | {"Patient"}
    assert names(cast.administrator) == staff | {"Patient", "Other Patient", "Unassigned Patient"}


def test_what_ended_is_closed_in_the_next_statement(cast: Cast) -> None:
    cast.client(cast.patient).send("PUT", f"mood-check-ins/{uuid.uuid4()}", CHECK_IN)
    with access.acting_as(cast.therapist.id, cast.clinic.id, "care"):
        assert MoodCheckIn.objects.exists()
    with access.acting_as(None, cast.clinic.id, "job"):
        people.take_off_care_team(
            clinic_id=cast.clinic.id, patient_id=cast.patient.id, member_id=cast.therapist.id, now=clock.now()
        )
    with access.acting_as(cast.therapist.id, cast.clinic.id, "care"):
        assert not MoodCheckIn.objects.exists()


def test_a_caregiver_sees_the_kinds_that_the_patient_chose_and_only_those(cast: Cast) -> None:
    phone = cast.client(cast.patient)
    phone.send("PUT", f"mood-check-ins/{uuid.uuid4()}", CHECK_IN)
    phone.send("PUT", f"sleep-logs/{uuid.uuid4()}", {"night_of": "2026-11-20", "minutes_asleep": 400, "quality": 5})
    with access.maintaining("test"):
        Caregiver.objects.create(
            clinic=cast.clinic, patient=cast.patient, person=cast.outside_patient, shares=["sleep"],
            since_at=clock.now(),
        )  # fmt: skip
    with access.acting_as(cast.outside_patient.id, cast.elsewhere.id, "care"):
        assert SleepLog.objects.count() == 1
        assert not MoodCheckIn.objects.exists()
        assert Person.objects.filter(id=cast.patient.id).exists()


def test_nobody_writes_into_a_record_that_is_closed_to_them(cast: Cast) -> None:
    row = {
        "patient_id": cast.patient.id, "felt_at": clock.now(), "time_zone": "Asia/Kolkata", "mood": 5,
        "change_number": 1, "received_at": clock.now(), "updated_at": clock.now(),
    }  # fmt: skip
    for who in (cast.other_patient, cast.nurse, cast.administrator):
        with (
            pytest.raises(ProgrammingError, match="row-level security"),
            access.acting_as(who.id, cast.clinic.id, "write"),
        ):
            MoodCheckIn.objects.create(**row)
    with access.acting_as(cast.patient.id, cast.clinic.id, "write"):
        mine = MoodCheckIn.objects.create(**row)
    with access.acting_as(cast.outsider.id, cast.elsewhere.id, "write"):
        assert MoodCheckIn.objects.filter(id=mine.id).update(mood=0) == 0
        assert MoodCheckIn.objects.filter(id=mine.id).delete()[0] == 0


def test_the_context_ends_with_its_transaction_also_when_that_breaks(cast: Cast) -> None:
    with pytest.raises(RuntimeError, match="broke"), access.acting_as(cast.patient.id, cast.clinic.id, "break"):
        raise RuntimeError("broke")
    with transaction.atomic():
        assert not Person.objects.exists()


def test_the_machine_of_a_clinic_acts_for_that_clinic_and_gives_the_context_back(cast: Cast) -> None:
    with access.acting_as(cast.patient.id, cast.clinic.id, "join"):
        with access.machine_of(cast.elsewhere.id):
            assert set(Person.objects.values_list("id", flat=True)) == {cast.outsider.id, cast.outside_patient.id}
        assert Person.objects.filter(id=cast.patient.id).exists()
        assert not Person.objects.filter(id=cast.outsider.id).exists()


@pytest.mark.torture
def test_a_hundred_thousand_queries_at_once_show_no_foreign_row(cast: Cast) -> None:
    _ask_at_once(cast, 100_000)


def test_many_queries_at_once_show_no_foreign_row(cast: Cast) -> None:
    _ask_at_once(cast, int(os.environ.get("QUERIES", "2000")))


def _ask_at_once(cast: Cast, total: int) -> None:
    """Eight threads on connections of their own: with context, without, after a rolled-back one."""
    theirs = {cast.patient: cast.clinic, cast.other_patient: cast.clinic, cast.outside_patient: cast.elsewhere}
    for person in theirs:
        cast.client(person).send("PUT", f"mood-check-ins/{uuid.uuid4()}", CHECK_IN)
    foreign: list[object] = []
    asked = [0] * 8

    def ask(worker: int) -> None:
        dice = random.Random(worker)  # noqa: S311
        try:
            while asked[worker] < total // 8:
                person = dice.choice(list(theirs))
                way = dice.random()
                expected: set[uuid.UUID] = set()
                if way < 0.4:
                    found = set(MoodCheckIn.objects.values_list("patient_id", flat=True))
                elif way < 0.8:
                    with access.acting_as(person.id, theirs[person].id, "mine"):
                        found = set(MoodCheckIn.objects.values_list("patient_id", flat=True))
                    expected = {person.id}
                else:
                    with access.acting_as(person.id, theirs[person].id, "mine"):
                        transaction.set_rollback(True)
                    found = set(MoodCheckIn.objects.values_list("patient_id", flat=True))
                if found != expected:
                    foreign.append((way, found))
                asked[worker] += 1
        finally:
            connection.close()

    threads = [threading.Thread(target=ask, args=[n]) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    print(f"isolation: {sum(asked):,} queries at once, {len(foreign)} showed a foreign row")
    assert foreign == []
