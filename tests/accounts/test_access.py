"""The one door: who sees a patient, and what a request leaves behind."""

import uuid

import pytest
from django.db import connection, connections, transaction

from backend.accounts import access, counters
from backend.accounts.models import Person
from backend.common.problems import Problem
from tests.cast import Cast


def test_only_the_care_team_sees_a_patient(cast: Cast) -> None:
    path = f"patients/{cast.patient.id}"
    for person in (cast.patient, cast.psychiatrist, cast.therapist):
        assert cast.client(person).send("GET", path).json()["id"] == str(cast.patient.id)
    for stranger in (
        cast.outsider,
        cast.other_patient,
        cast.outside_patient,
        cast.nurse,
    ):
        assert cast.client(stranger).send("GET", path).status_code == 404
    for wrong_role in (cast.administrator, cast.auditor):
        assert cast.client(wrong_role).send("GET", path).status_code == 403
    assert cast.client().send("GET", path).status_code == 401
    elsewhere = cast.client(cast.psychiatrist).send("GET", f"patients/{cast.unassigned_patient.id}")
    assert (elsewhere.status_code, elsewhere.json()["code"]) == (403, "break_glass_required")
    assert cast.client(cast.psychiatrist).send("GET", f"patients/{uuid.uuid4()}").status_code == 404


def test_the_list_holds_the_own_care_teams_patients(cast: Cast) -> None:
    def names(person: Person, query: str = "") -> list[str]:
        return [row["name"] for row in cast.client(person).send("GET", f"patients{query}").json()["results"]]

    assert names(cast.psychiatrist) == ["Other Patient", "Patient"]
    assert names(cast.psychiatrist, "?name=other") == ["Other Patient"]
    assert names(cast.outsider) == ["Outside Patient"]
    assert names(cast.nurse) == []
    assert cast.client(cast.patient).send("GET", "patients").status_code == 403
    assert cast.client(cast.psychiatrist).send("GET", "patients?name=%00").status_code == 400


def test_the_administrator_builds_the_care_team(cast: Cast) -> None:
    path = f"patients/{cast.unassigned_patient.id}/care-team"
    office = cast.client(cast.administrator)
    added = office.send("POST", path, {"member": str(cast.nurse.id)})
    assert [row["name"] for row in added.json()["results"]] == ["Nurse"]
    assert office.send("POST", path, {"member": str(cast.nurse.id)}).json() == added.json()
    assert cast.client(cast.nurse).send("GET", f"patients/{cast.unassigned_patient.id}").status_code == 200
    assert cast.client(cast.unassigned_patient).send("GET", path).json() == added.json()
    assert office.send("POST", path, {"member": str(cast.outsider.id)}).status_code == 400
    assert office.send("POST", path, {"member": str(cast.other_patient.id)}).status_code == 400
    elsewhere = f"patients/{cast.outside_patient.id}/care-team"
    assert office.send("POST", elsewhere, {"member": str(cast.nurse.id)}).status_code == 404
    assert office.send("GET", elsewhere).status_code == 404
    assert cast.client(cast.psychiatrist).send("POST", path, {"member": str(cast.psychiatrist.id)}).status_code == 403
    assert cast.client(cast.outsider).send("GET", path).status_code == 404
    assert office.send("DELETE", f"{path}/{cast.nurse.id}").status_code == 204
    assert office.send("DELETE", f"{path}/{cast.nurse.id}").status_code == 404
    assert cast.client(cast.nurse).send("GET", f"patients/{cast.unassigned_patient.id}").status_code == 404


def test_a_clinic_is_shown_to_its_own_people(cast: Cast) -> None:
    assert cast.client(cast.patient).send("GET", f"clinics/{cast.clinic.id}").json()["short_name"] == "Sea Face"
    assert cast.client(cast.outsider).send("GET", f"clinics/{cast.clinic.id}").status_code == 404


@pytest.mark.usefixtures("database")
def test_the_database_knows_who_acts_until_the_transaction_ends() -> None:
    person = uuid.uuid4()
    names = ("person", "clinic", "purpose", "device", "request")

    def context() -> list[str | None]:
        with connection.cursor() as cursor:
            cursor.execute("SELECT " + ", ".join(f"current_setting('afterglow.{n}', true)" for n in names))
            return list(cursor.fetchone())

    with access.acting_as(person, None, "test", None, "request-1", isolation="serializable"):
        assert context() == [str(person), "", "test", "", "request-1"]
        with connection.cursor() as cursor:
            cursor.execute("SHOW transaction_isolation")
            assert cursor.fetchone()[0] == "serializable"
    assert not any(context())


@pytest.mark.usefixtures("database")
def test_the_door_does_not_nest() -> None:
    with access.acting_as(None, None, "outer"), pytest.raises(RuntimeError), access.acting_as(None, None, "inner"):
        pass


def test_an_exception_leaves_nothing_behind(cast: Cast) -> None:
    def change_then_refuse() -> None:
        with access.acting_as(cast.patient.id, None, "test"):
            Person.objects.filter(id=cast.patient.id).update(full_name="Changed")
            raise Problem(status=409, code="no", detail="No.")

    with pytest.raises(Problem):
        change_then_refuse()
    with access.maintaining("test"):
        assert Person.objects.get(id=cast.patient.id).full_name == "Patient"


@pytest.mark.usefixtures("database")
def test_three_roles_and_none_is_a_member_of_another() -> None:
    users = {}
    for alias in ("default", "owner", "dispatch"):
        with connections[alias].cursor() as cursor:
            cursor.execute("SELECT current_user, rolsuper, rolbypassrls FROM pg_roles WHERE rolname = current_user")
            users[alias] = cursor.fetchone()
    assert len({user for user, _, _ in users.values()}) == 3
    assert not any(superuser or bypass for _, superuser, bypass in users.values())
    with connections["default"].cursor() as cursor:
        cursor.execute("SELECT count(*) FROM pg_tables WHERE tableowner = current_user")
        assert cursor.fetchone()[0] == 0
        cursor.execute(
            "SELECT count(*) FROM pg_auth_members m JOIN pg_roles r ON r.oid = m.member WHERE r.rolname = current_user"
        )
        assert cursor.fetchone()[0] == 0


def test_change_numbers_commit_in_their_order(cast: Cast) -> None:
    with access.acting_as(cast.patient.id, None, "test"):
        assert counters.next_numbers(patient_id=cast.patient.id, count=3) == 3
        assert counters.next_numbers(patient_id=cast.patient.id) == 4
        transaction.set_rollback(True)
    with access.acting_as(cast.patient.id, None, "test"):
        assert counters.next_numbers(patient_id=cast.patient.id) == 1
