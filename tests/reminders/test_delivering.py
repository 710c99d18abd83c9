"""Deliveries leave once, are looked at again before they leave, and a crash leaves a trace instead of a doubt."""

import uuid
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import timedelta

import pytest

from backend.accounts import access
from backend.reminders import batches, channels, claiming, dispatch, doorbell, leases, planning
from backend.reminders.channels.base import Address
from backend.reminders.channels.email import Email
from backend.reminders.models import Delivery, Purpose, Reminder, ReminderClass
from tests.live import free_port
from tests.reminders.engine import (
    DUE,
    NOON,
    apart,
    appointment,
    check_in_rule,
    deliveries,
    door,
    later,
    ledger,
    statuses,
    until,
    waiting,
)


def claimed(person):
    check_in_rule(person)
    claiming.claim(now=DUE)


def two_due(cast):
    for _ in range(2):
        appointment(cast.patient, later(hours=2), clinic=cast.clinic.id)
    claiming.claim(now=DUE)
    return sorted(row.id for row in ledger(cast.patient, status="due"))


def free(model, **which):
    return bool(model.objects.select_for_update(no_key=True, skip_locked=True).filter(**which))


def emails(person):
    return [(each.attempt, each.status, each.error) for each in deliveries(person, channel="email")]


def test_a_claimed_reminder_arrives_by_mail_and_is_sent(cast, post):
    claimed(cast.patient)
    assert dispatch.deliver(now=later(seconds=1)) == 1
    assert dispatch.deliver(now=later(seconds=2)) == 0
    (mail,) = post.mails
    assert mail["To"] == cast.patient.email
    assert mail["Message-ID"].startswith(f"<{deliveries(cast.patient, channel='email')[0].id}@")
    sent = ledger(cast.patient)[0]
    assert (sent.status, sent.sent_at is not None, sent.version) == ("sent", True, 2)
    assert statuses(cast.patient) == [("email", "sent")]


def test_who_has_sent_one_and_begins_the_next_takes_the_reminder_of_the_lower_id_first(cast, post):
    low, high = two_due(cast)
    with access.maintaining("test"):  # the higher one leaves first
        Delivery.objects.filter(reminder=high).update(try_at=later(minutes=-1))

    with ThreadPoolExecutor() as pool:
        with door(cast.patient):
            Reminder.objects.select_for_update(no_key=True).get(id=low)
            handed = pool.submit(apart, lambda: dispatch.deliver(now=DUE))
            until(lambda: len(post.mails) == 1 and waiting() == 1)
            assert free(Reminder, id=high)
        assert handed.result() == 2
    assert [row.status for row in ledger(cast.patient, id__in=[low, high])] == ["sent", "sent"]


def test_a_mail_says_the_time_where_the_person_is_and_nothing_clinical(cast, post):
    appointment(cast.patient, later(hours=2), clinic=cast.clinic.id)
    check_in_rule(cast.patient)
    claiming.claim(now=DUE)
    dispatch.deliver(now=DUE)
    subjects = sorted(mail["Subject"] for mail in post.mails)
    assert subjects == ["A reminder, 21:00 (Sea Face)", "Appointment, Tue 24 Nov, 23:00 (Sea Face)"]
    for mail in post.mails:
        for part in (mail.get_body(("plain",)), mail.get_body(("html",))):
            said = part.get_content()
            assert "Asia/Kolkata" in said
            for word in (cast.patient.full_name, cast.patient.email, "ketamine", "mood", "depress", "psychiatr"):
                assert word.lower() not in said.lower()


def test_one_that_was_settled_after_the_claim_does_not_leave(cast, post):
    claimed(cast.patient)
    with door(cast.patient):
        planning.settle(
            person_id=cast.patient.id, purpose=Purpose.CHECK_IN, from_at=NOON, until_at=later(hours=1),
            reason="already_logged", now=DUE,
        )  # fmt: skip
    assert dispatch.deliver(now=later(seconds=1)) == 0
    assert post.mails == []
    assert emails(cast.patient) == [(1, "failed", "no longer due")]
    assert ledger(cast.patient)[0].status == "done"


def test_one_whose_window_closed_meanwhile_expires(cast, post):
    claimed(cast.patient)
    dispatch.deliver(now=later(hours=3))
    assert post.mails == []
    assert (ledger(cast.patient)[0].status, ledger(cast.patient)[0].reason) == ("expired", "window_closed")


def lease(now, token):
    habit = ReminderClass.HABIT
    leased, _ = leases.lease(reminder_class=habit, channel="email", most=10, token=token, before=now, now=now)
    return leased


def test_what_a_killed_worker_had_leased_goes_again_when_the_lease_ends(cast, post):
    claimed(cast.patient)
    assert len(lease(DUE, uuid.uuid4())) == 1
    assert dispatch.deliver(now=later(seconds=60)) == 0
    assert leases.recover(now=later(seconds=121)) == 1
    assert dispatch.deliver(now=later(seconds=122)) == 1
    assert len(post.mails) == 1


def test_who_lost_the_lease_sends_nothing(cast, post):
    claimed(cast.patient)
    stale = uuid.uuid4()
    (held,) = lease(DUE, stale)
    leases.recover(now=later(seconds=121))
    lease(later(seconds=121), uuid.uuid4())
    with access.dispatching(), batches.cursor() as cursor:
        assert leases.start(cursor, ids=[held.id], token=stale, now=later(seconds=122)) == []


def test_what_is_parked_is_taken_reminder_by_reminder_in_the_order_of_their_ids(cast, post):
    low, high = two_due(cast)
    with access.maintaining("test"):
        Delivery.objects.filter(reminder__in=[low, high]).update(
            status="sending", lease_token=uuid.uuid4(), lease_ends_at=DUE
        )

    with ThreadPoolExecutor() as pool:
        with door(cast.patient):
            Reminder.objects.select_for_update(no_key=True).get(id=low)
            recovered = pool.submit(apart, lambda: leases.recover(now=later(seconds=1)))
            until(lambda: waiting() == 1)
            assert free(Reminder, id=high)
            assert free(Delivery, reminder=low)
            assert free(Delivery, reminder=high)
        assert recovered.result() == 0
    assert [row.reason for row in ledger(cast.patient, id__in=[low, high])] == ["unconfirmed", "unconfirmed"]


def test_a_mail_whose_sender_died_while_sending_is_parked_for_staff_and_not_sent_again(cast, post):
    claimed(cast.patient)
    token = uuid.uuid4()
    (held,) = lease(DUE, token)
    with access.dispatching(), batches.cursor() as cursor:
        assert len(leases.start(cursor, ids=[held.id], token=token, now=DUE)) == 1
    told = ledger(cast.patient)[0]
    leases.recover(now=later(seconds=121))
    assert emails(cast.patient) == [(1, "unknown", "lease expired")]
    dispatch.number()
    row = ledger(cast.patient)[0]
    assert (row.status, row.reason) == ("sent", "unconfirmed")
    assert (row.version, row.change_number > told.change_number) == (told.version + 1, True)  # the patient is told so
    assert dispatch.deliver(now=later(seconds=200)) == 0
    assert post.mails == []


def test_a_temporary_refusal_is_tried_again_later(cast, post):
    claimed(cast.patient)
    post.answer = "451 come again"
    dispatch.deliver(now=DUE)
    assert [each[:2] for each in emails(cast.patient)] == [(1, "failed"), (2, "pending")]
    assert dispatch.deliver(now=later(seconds=5)) == 0
    post.answer = "250 OK"
    assert dispatch.deliver(now=later(seconds=40)) == 1
    assert len(post.mails) == 1
    assert ledger(cast.patient)[0].status == "sent"


def test_a_permanent_refusal_fails_and_says_so(cast, post):
    claimed(cast.patient)
    post.answer = "550 no such address"
    dispatch.deliver(now=DUE)
    assert emails(cast.patient) == [(1, "failed", "SMTP 550")]
    assert (ledger(cast.patient)[0].status, ledger(cast.patient)[0].reason) == ("failed", "undeliverable")


def everyone_claimed(cast):
    people = (cast.patient, cast.other_patient, cast.unassigned_patient)
    for person in people:
        check_in_rule(person)
    claiming.claim(now=DUE)
    return people


def test_a_post_office_that_hangs_up_after_each_mail_gets_all_of_them_once(cast, post):
    people = everyone_claimed(cast)
    post.hangs_up = True
    assert dispatch.deliver(now=later(seconds=1)) == 3
    assert sorted(mail["To"] for mail in post.mails) == sorted(person.email for person in people)
    assert [emails(person) for person in people] == [[(1, "sent", "")]] * 3


def test_a_mail_whose_answer_is_lost_after_its_words_left_is_in_doubt_and_not_sent_again(cast, post):
    claimed(cast.patient)
    post.hangs_up, post.answer = True, ""
    dispatch.deliver(now=later(seconds=1))
    dispatch.deliver(now=later(minutes=5))
    assert emails(cast.patient) == [(1, "unknown", "SMTPServerDisconnected")]
    assert (ledger(cast.patient)[0].status, ledger(cast.patient)[0].reason) == ("sent", "unconfirmed")


def test_a_refused_sender_is_not_the_patients_fault_and_the_mail_waits(cast, post):
    claimed(cast.patient)
    post.sender_answer = "550 5.7.1 quota exceeded"
    assert dispatch.deliver(now=DUE) == 0
    assert emails(cast.patient) == [(1, "pending", "sender refused, SMTP 550")]
    post.sender_answer = "250 OK"
    assert dispatch.deliver(now=later(minutes=1)) == 1
    assert ledger(cast.patient)[0].status == "sent"


@pytest.mark.parametrize("address", ["a,b@example.org", "x@example.org\n", "x@" + "d" * 70 + ".org"])
def test_an_address_that_no_mail_can_have_stops_nobody_elses(cast, post, address):
    cast.patient.email = address
    with door(cast.patient):
        cast.patient.save(update_fields=["email"])
    people = everyone_claimed(cast)
    dispatch.deliver(now=later(seconds=1))
    assert {mail["To"] for mail in post.mails} == {person.email for person in people[1:]}
    assert emails(cast.patient)[0][:2] == (1, "failed")
    for minutes in range(1, 20):
        dispatch.tick(now=later(minutes=minutes))
        dispatch.deliver(now=later(minutes=minutes))
    assert (ledger(cast.patient)[0].status, ledger(cast.patient)[0].reason) == ("failed", "undeliverable")


class Bewildered:
    """A channel that fails in a way that nobody expected."""

    name, is_brief, at_once, threads, honours_key = "email", False, 1, 1, False

    def is_set_up(self):
        return True

    def address_of(self, person, devices, blocked):
        return Address(person.email)

    @contextmanager
    def open(self, *, now, urgent=False):
        raise ZeroDivisionError
        yield


def test_what_is_leased_when_a_channel_cannot_even_be_opened_goes_back(cast, post, monkeypatch):
    claimed(cast.patient)
    with monkeypatch.context() as patched:
        patched.setitem(channels.OUTWARD, "email", Bewildered())
        with pytest.raises(ZeroDivisionError):
            dispatch.deliver(now=DUE)
    assert emails(cast.patient) == [(1, "pending", "")]
    assert dispatch.deliver(now=later(minutes=1)) == 1


def test_an_unreachable_post_office_costs_no_attempt(cast, settings):
    settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", free_port()
    claimed(cast.patient)
    assert dispatch.deliver(now=DUE) == 0
    (waiting,) = deliveries(cast.patient, channel="email")
    assert (waiting.status, waiting.attempt) == ("pending", 1)
    assert waiting.try_at >= later(seconds=30)


def test_the_sweep_claims_at_once_and_sends_only_what_no_worker_took(cast, post):
    check_in_rule(cast.patient)
    assert dispatch.sweep(now=DUE) == 0
    assert statuses(cast.patient) == [("email", "pending")]
    assert dispatch.sweep(now=later(seconds=29)) == 0
    assert dispatch.sweep(now=later(seconds=31)) == 1
    assert len(post.mails) == 1


def test_a_broker_that_is_away_stops_neither_tick_nor_sweep(cast, post, monkeypatch):
    from backend.config import celery_app

    monkeypatch.setattr(celery_app.conf, "broker_url", f"redis://127.0.0.1:{free_port()}/0")
    celery_app.pool.force_close_all()
    doorbell.forget_silence()
    check_in_rule(cast.patient)
    assert dispatch.tick(now=DUE) == 1
    assert not doorbell.ring()
    assert dispatch.sweep(now=later(seconds=31)) == 1
    assert len(post.mails) == 1
    doorbell.forget_silence()


def test_safety_leaves_before_all_else(cast, post):
    for person in (cast.patient, cast.other_patient, cast.unassigned_patient):
        check_in_rule(person)
    with door(cast.unassigned_patient):
        planning.set_anchor(
            person=cast.unassigned_patient, purpose=Purpose.ALERT, about=("alert", uuid.uuid4()), anchor_at=DUE,
            offsets=[{}], now=NOON,
        )  # fmt: skip
    claiming.claim(now=DUE)
    token = uuid.uuid4()
    before = dict.fromkeys([ReminderClass.SAFETY, ReminderClass.CARE, ReminderClass.HABIT], DUE)
    assert leases.lanes(before=before) == [(ReminderClass.SAFETY, "email"), (ReminderClass.HABIT, "email")]
    (first,), _ = leases.lease(
        reminder_class=ReminderClass.SAFETY, channel="email", most=10, token=token, before=DUE, now=DUE
    )
    leases.release(ids=[first.id], token=token, try_at=DUE, now=DUE)
    dispatch.deliver(now=DUE)
    assert post.mails[0]["To"] == cast.unassigned_patient.email
    assert len(post.mails) == 4


def test_the_mail_channel_promises_what_smtp_can_keep():
    assert (Email().at_once, Email().honours_key) == (1, False)


def test_each_attempt_stays_in_the_ledger(cast, post):
    claimed(cast.patient)
    post.answer = "451 come again"
    now = DUE
    for _ in range(8):
        dispatch.deliver(now=now)
        now += timedelta(minutes=10)
    with access.dispatching():
        assert Delivery.objects.using("dispatch").filter(channel="email", status="failed").count() == 5
    assert ledger(cast.patient)[0].status == "failed"
