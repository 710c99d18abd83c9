"""What the dispatcher may read of persons: of deliveries in hand under the token that it shows, and of nobody else."""

import uuid
from datetime import timedelta

import pytest
from django.db import connections
from django.db.utils import ProgrammingError

from backend.accounts import access, consents
from backend.accounts.consent_texts import Purpose as Consent
from backend.accounts.models import ConsentDocument, ConsentRecord, Device, Person
from backend.reminders import batches, claiming, contents, leases
from backend.reminders.codes import ReminderClass
from tests.reminders.engine import DUE, appointment, check_in_rule, door, later

NOBODY = uuid.UUID(int=7)


def in_hand(token, *, now=DUE):
    claiming.claim(now=now)
    lane = {"reminder_class": ReminderClass.HABIT, "channel": "email"}
    leased, _ = leases.lease(**lane, most=10, token=token, before=now, now=now)
    return leased


def read(ids, token, *, now=DUE):
    with access.dispatching(), batches.cursor() as cursor:
        return contents.read(cursor, ids=ids, token=token, now=now)


def test_a_whole_lease_is_read_at_once_and_holds_what_a_letter_needs(cast):
    with access.maintaining("test"):
        push = {"fcm_token": "a token"}
        device = Device.objects.create(person=cast.patient, platform="android", push=push, seen_at=DUE)
        Device.objects.create(person=cast.patient, platform="ios", seen_at=DUE)
    for person in (cast.patient, cast.other_patient):
        check_in_rule(person)
    leased = in_hand(uuid.uuid4())
    by_person = {each.content.person.id: each.content for each in leased}
    assert set(by_person) == {cast.patient.id, cast.other_patient.id}
    found = by_person[cast.patient.id]
    assert (found.person.email, found.person.time_zone, found.person.is_active) == (
        cast.patient.email, "Asia/Kolkata", True,
    )  # fmt: skip
    assert (found.clinic.id, found.clinic.short_name, found.agreed) == (cast.clinic.id, "Sea Face", True)
    assert [(each.id, each.push) for each in found.devices] == [(device.id, push)]
    assert by_person[cast.other_patient.id].devices == []


def test_without_the_token_and_without_a_lease_nothing_is_told(cast):
    check_in_rule(cast.patient)
    token = uuid.uuid4()
    ids = [each.id for each in in_hand(token)]
    assert list(read(ids, token)) == ids
    assert read(ids, NOBODY) == {}
    leases.release(ids=ids, token=token, try_at=DUE, now=DUE)
    assert read(ids, token) == {}


def test_a_lease_tells_of_no_delivery_of_somebody_else(cast):
    check_in_rule(cast.patient)
    token = uuid.uuid4()
    mine = [each.id for each in in_hand(token)]
    check_in_rule(cast.outside_patient)
    theirs = [each.id for each in in_hand(uuid.uuid4())]
    assert list(read([*mine, *theirs], token)) == mine


def test_the_applications_role_may_not_ask(cast):
    with access.acting_as(cast.psychiatrist.id, cast.clinic.id, "test"), connections["default"].cursor() as cursor:
        for call in (
            "reminders_contents('{}', gen_random_uuid(), now(), '{}', '{}')",
            "reminders_take_numbers('{}', '{}')",
        ):
            with pytest.raises(ProgrammingError, match="permission denied"):
                cursor.execute(f"SAVEPOINT before; SELECT * FROM {call}")
            cursor.execute("ROLLBACK TO SAVEPOINT before")


def _withdrawn(cast):
    _act(cast, "withdrawn", 1)


def _agreed_anew(cast):
    _act(cast, "withdrawn", 1)
    _act(cast, "agreed", 1)


def _new_words(cast, binding_at=DUE - timedelta(days=1)):
    with access.maintaining("test"):
        ConsentDocument.objects.create(
            clinic=cast.clinic, purpose=Consent.MESSAGES_EMAIL, version=2, language="en", title="t", text="t",
            published_at=DUE - timedelta(days=2), binding_at=binding_at, published_by_id=cast.administrator.id,
        )  # fmt: skip


def _new_words_that_do_not_bind_yet(cast):
    _new_words(cast, binding_at=later(days=1))


def _new_words_agreed_to(cast):
    _new_words(cast)
    _act(cast, "agreed", 2)


def _as_it_is(cast):
    pass


def _act(cast, act, version):
    with access.maintaining("test"):
        ConsentRecord.objects.create(
            patient=cast.patient, clinic=cast.clinic, purpose=Consent.MESSAGES_EMAIL, act=act, version=version,
            language="en", text_sha256="0" * 64, recorded_at=DUE,
        )  # fmt: skip


@pytest.mark.parametrize(
    "change", [_as_it_is, _withdrawn, _agreed_anew, _new_words, _new_words_that_do_not_bind_yet, _new_words_agreed_to]
)
def test_whoever_agrees_by_the_rule_of_consents_agrees_here(cast, change):
    check_in_rule(cast.patient)
    token = uuid.uuid4()
    ids = [each.id for each in in_hand(token)]
    change(cast)
    with door(cast.patient):
        person = Person.objects.get(id=cast.patient.id)
        wanted = consents.channels_of(person, clinic_id=cast.clinic.id, now=DUE)
    assert read(ids, token)[ids[0]].agreed == ("email" in wanted)


def test_staff_are_not_asked(cast):
    with access.maintaining("test"):
        Person.objects.filter(id=cast.psychiatrist.id).update(channels=["email"])
    cast.psychiatrist.channels = ["email"]
    appointment(cast.psychiatrist, later(hours=2), clinic=cast.clinic.id)
    claiming.claim(now=DUE)
    token = uuid.uuid4()
    lane = {"reminder_class": ReminderClass.CARE, "channel": "email"}
    leased, _ = leases.lease(**lane, most=10, token=token, before=DUE, now=DUE)
    assert [each.content.agreed for each in leased] == [True]
