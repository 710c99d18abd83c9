"""The patient's page: what the care team noted, a form to note more, and what happened."""

import uuid
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
import time_machine
from django.test import Client

from backend.accounts import access
from backend.accounts.models import Person
from backend.treatment.models import Annotation
from tests.cast import Cast
from tests.insights.diary import Diary
from tests.web.reading import browser, read, words

NOW = datetime(2026, 11, 24, 18, 38, tzinfo=ZoneInfo("Asia/Kolkata"))


@pytest.fixture(autouse=True)
def evening() -> Any:
    with time_machine.travel(NOW, tick=False):
        yield


def page(cast: Cast, client: Client) -> Any:
    return read(client.get(f"/patients/{cast.patient.id}"))


def filled(form: Any, **more: str) -> dict[str, str]:
    """What a browser would send: the fields of the form with what was typed."""
    fields = {field.get("name"): field.get("value") or "" for field in form.xpath(".//input[not(@type='checkbox')]")}
    return {**fields, **more}


def test_an_annotation_is_written_in_the_form_and_read_beside_the_trend(cast: Cast) -> None:
    client = browser(cast.psychiatrist)
    form = page(cast, client).xpath("//form[@class='annotate']")[0]
    sent = filled(form, text="Sleeps at her sister's <b>this week</b>.\r\nCalmer.", on="2026-11-20", private="yes")
    for _ in range(2):  # a second press stores nothing twice
        answer = client.post(form.get("action"), sent)
        assert (answer.status_code, answer["Location"]) == (302, f"/patients/{cast.patient.id}#annotations")
    shown = page(cast, client)
    notes = shown.xpath("//section[@id='annotations']//li")
    assert [words(note) for note in notes] == [
        "20 Nov 2026 Psychiatrist, care team only Sleeps at her sister's <b>this week</b>. Calmer."
    ]
    assert "Annotation by Psychiatrist on 20 Nov, for the care team only" in words(shown.xpath("//ol")[0])
    assert len(shown.xpath("//*[@class='c-note']")) == 3  # in the wide drawing, the narrow one and the legend
    noted = [row for row in shown.xpath("//table//tbody/tr") if words(row).endswith("1 note")]
    assert [words(row.xpath("th")[0]) for row in noted] == ["Fri 20 Nov"]


@pytest.mark.parametrize(
    ("more", "fault"),
    [
        ({"text": " "}, "Write something first."),
        ({"text": "x" * 4001}, "At most 4,000 characters"),
        ({"text": "kept", "on": "2026-02-30"}, "Choose the day"),
        ({"text": "kept", "on": "0001-01-01"}, "Choose the day"),
        ({"text": "kept", "id": "nonsense"}, "Choose the day"),
    ],
)
def test_what_cannot_be_stored_stays_in_the_form_with_the_reason(cast: Cast, more: dict[str, str], fault: str) -> None:
    client = browser(cast.psychiatrist)
    form = page(cast, client).xpath("//form[@class='annotate']")[0]
    answer = client.post(form.get("action"), filled(form, **more))
    assert answer.status_code == 400
    shown = read(answer)
    assert fault in words(shown.xpath("//*[@id='note-fault']")[0])
    assert words(shown.xpath("//textarea")[0]) == " ".join(more["text"].split())
    with access.maintaining("test"):
        assert not Annotation.objects.exists()


def test_a_form_of_another_site_changes_nothing(cast: Cast) -> None:
    client = browser(cast.psychiatrist)
    client.handler.enforce_csrf_checks = True
    form = page(cast, client).xpath("//form[@class='annotate']")[0]
    stolen = filled(form, text="Not mine.", csrfmiddlewaretoken="0" * 64)
    assert client.post(form.get("action"), stolen).status_code == 403
    assert client.post(form.get("action"), filled(form, text="Mine.")).status_code == 302


def test_only_the_care_team_writes_and_reads_there(cast: Cast) -> None:
    address = f"/patients/{cast.patient.id}/annotate"
    sent = {"id": str(uuid.uuid4()), "on": "2026-11-20", "text": "Not for me to say."}

    def status(person: Person) -> int:
        return browser(person).post(address, sent).status_code

    assert [status(person) for person in (cast.outsider, cast.nurse)] == [404, 404]
    assert [status(person) for person in (cast.administrator, cast.auditor, cast.patient)] == [403, 403, 403]
    assert browser().post(address, sent)["Location"].startswith("/sign-in")
    assert words(read(browser(cast.psychiatrist).get(address)).xpath("//h1")[0]) == "Patient"
    with access.maintaining("test"):
        assert not Annotation.objects.exists()


def test_what_happened_is_told_in_the_patients_zone(cast: Cast) -> None:
    diary = Diary(cast.patient, cast.clinic)
    diary.mood(NOW - timedelta(minutes=5), 2, note="Could not face the gym.")
    diary.session(NOW - timedelta(days=28))
    told = [words(entry) for entry in page(cast, browser(cast.therapist)).xpath("//ol[@class='happened']/li")]
    assert told == ["today 18:33 Check-in, mood 2 Could not face the gym.", "Tue 27 Oct 18:38 Session, 40 mg IV"]
