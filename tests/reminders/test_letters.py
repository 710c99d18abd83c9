"""What a mail says, by default nothing clinical; its calendar file; what changes for who wants to be told more."""

import re
import uuid
from datetime import UTC, datetime, timedelta

import pytest
from icalendar import Calendar

from backend.accounts.models import Clinic, Person
from backend.common import clock
from backend.reminders import claiming, dispatch, letters
from backend.reminders.models import Purpose, Rule
from tests.reminders.engine import DUE, appointment, check_in_rule, door

CLINIC = Clinic(id=uuid.uuid4(), name="Ketamine Centre", short_name="Sea Face", phone="+91 22 5550 0100")
CLINICAL = ("ketamine", "mood", "depress", "psychiatr", "therap", "treatment", "session", "clinical", "suicid", "phq")


def compose(purpose, *, zone="Asia/Kolkata", event_at=None, detailed=False, due_at=DUE):
    person = Person(
        id=uuid.uuid4(), full_name="Asha Rao", email="asha@example.org", time_zone=zone,
        detailed_messages_at=DUE - timedelta(days=1) if detailed else None,
    )  # fmt: skip
    at = event_at or due_at + timedelta(minutes=purpose.facts.window)
    matter = letters.Matter(
        uuid.uuid4(),
        person.id,
        CLINIC.id,
        purpose,
        due_at,
        at,
        at if purpose.facts.announces else None,
        uuid.uuid4(),
        3,
    )
    return letters.compose(matter=matter, person=person, clinic=CLINIC, now=due_at)


def said(letter):
    """All of it; of its links without the signed part, where chance writes any three letters."""
    files = [f"{each.name} {each.text} {dict(each.parameters)}" for each in letter.attachments]
    return re.sub(r"/r/([a-z]+)\.[\w.-]+", r"/r/\1", "\n".join([letter.subject, letter.text, letter.html, *files]))


@pytest.mark.parametrize("purpose", Purpose)
def test_by_default_no_mail_says_anything_clinical_or_a_name(purpose):
    letter = compose(purpose)
    for word in (*CLINICAL, "Asha", "Rao", "asha@example.org", "Ketamine Centre"):
        assert word.lower() not in said(letter).lower()
    first = letter.subject.partition(",")[0]
    assert first in {"Appointment", "A reminder", "Alert"}
    assert letter.subject.endswith("(Sea Face)")
    assert len(letter.attachments) == purpose.facts.announces
    assert letter.text.strip()
    assert "None" not in said(letter)


@pytest.mark.parametrize("purpose", Purpose)
def test_both_forms_of_a_mail_carry_the_same_links(purpose):
    letter = compose(purpose)
    found = {word for word in letter.text.split() if word.startswith("http")}
    assert found
    assert all(f'href="{link}"' in letter.html for link in found)
    assert letter.html.count("href=") == len(found)
    assert max(len(line) for line in letter.text.splitlines() if "http" not in line) <= 78


def test_who_wants_to_be_told_more_reads_what_it_is_about():
    at = DUE + timedelta(hours=26)
    letter = compose(Purpose.SESSION, detailed=True, event_at=at)
    assert letter.subject == "Treatment session, Wed 25 Nov, 23:00 (Sea Face)"
    assert "SUMMARY:Treatment session (Sea Face)" in letter.attachments[0].text
    assert letter.attachments[0].name == "appointment.ics"
    assert compose(Purpose.CHECK_IN, detailed=True).subject == "Daily check-in, 21:00 (Sea Face)"
    assert compose(Purpose.SESSION, event_at=at).subject == "Appointment, Wed 25 Nov, 23:00 (Sea Face)"


def test_an_open_end_on_another_day_names_the_day():
    assert "Wednesday, 21:00" in compose(Purpose.QUESTIONNAIRE).html
    assert "until 23:30" in compose(Purpose.CHECK_IN).html


@pytest.mark.parametrize(
    ("zone", "local", "instant"),
    [
        ("America/New_York", "Sun 14 Mar, 10:00", datetime(2027, 3, 14, 14, tzinfo=UTC)),
        ("America/New_York", "Sat 13 Mar, 10:00", datetime(2027, 3, 13, 15, tzinfo=UTC)),
        ("Europe/London", "Sun 25 Oct, 01:30", datetime(2026, 10, 25, 0, 30, tzinfo=UTC)),
        ("Australia/Lord_Howe", "Sun 4 Oct, 02:45", datetime(2026, 10, 3, 15, 45, tzinfo=UTC)),
    ],
)
def test_the_calendar_file_names_the_instant_on_both_sides_of_a_clock_change(zone, local, instant):
    letter = compose(Purpose.APPOINTMENT, zone=zone, event_at=instant, due_at=instant - timedelta(days=1))
    assert local in letter.subject
    (event,) = Calendar.from_ical(letter.attachments[0].text).walk("VEVENT")
    assert event["DTSTART"].dt == instant
    assert event["DTSTAMP"].dt == instant - timedelta(days=1)
    assert set(event) == {"UID", "DTSTAMP", "DTSTART", "SEQUENCE", "SUMMARY", "CLASS"}


def calendar_of(mail):
    (part,) = mail.iter_attachments()
    assert (part.get_content_type(), part.get_filename()) == ("text/calendar", "appointment.ics")
    assert part["Content-Type"].params["method"] == "PUBLISH"
    calendar = Calendar.from_ical(part.get_content())
    assert (calendar["METHOD"], calendar["VERSION"]) == ("PUBLISH", "2.0")
    (event,) = calendar.walk("VEVENT")
    return str(event["UID"]), event["SEQUENCE"], event["DTSTART"].dt


def test_an_event_that_moved_moves_in_calendars_too(cast, post):
    about = ("occurrence", uuid.uuid4())
    first, second = DUE + timedelta(hours=24), DUE + timedelta(hours=48)
    appointment(cast.patient, first, clinic=cast.clinic.id, about=about)
    claiming.claim(now=DUE)
    dispatch.deliver(now=DUE)
    appointment(cast.patient, second, clinic=cast.clinic.id, about=about, now=DUE + timedelta(minutes=1))
    claiming.claim(now=first)
    dispatch.deliver(now=first)
    before, after = (calendar_of(mail) for mail in post.mails)
    assert before[0] == after[0]
    assert before[1] < after[1]
    assert (before[2], after[2]) == (first, second)


def test_a_single_appointment_that_the_clinic_moves_is_the_same_event(cast):
    doctor, id = cast.client(cast.psychiatrist), uuid.uuid4()
    found = []
    for days in (4, 6, 4):
        at = clock.now() + timedelta(days=days)
        body = {"patient": str(cast.patient.id), "kind": "therapy", "starts_at": at.isoformat(), "minutes": 50}
        assert doctor.send("PUT", f"appointments/{id}", body).status_code in {200, 201}
        with door(cast.patient):
            found.append(Rule.objects.get(person=cast.patient, ended_at=None))
    assert len({rule.id for rule in found}) == 1
    assert found[0].version < found[1].version < found[2].version


def test_a_mail_without_an_event_has_no_file(cast, post):
    check_in_rule(cast.patient)
    claiming.claim(now=DUE)
    dispatch.deliver(now=DUE)
    assert list(post.mails[0].iter_attachments()) == []
