"""The console's audit page: for administrators and auditors, of their own clinic."""

from backend.accounts import access, people
from backend.accounts.models import Role
from backend.common import clock
from tests.accounts.trail import events
from tests.cast import Cast
from tests.web.reading import browser, read, words


def test_overseers_see_who_did_what_in_their_clinic(cast: Cast) -> None:
    cast.client(cast.psychiatrist).send("GET", f"patients/{cast.patient.id}/trend")
    cast.client(cast.outsider).send("GET", f"patients/{cast.outside_patient.id}")
    for person in (cast.administrator, cast.auditor):
        page = read(browser(person).get("/audit"))
        said = words(page.xpath("//main")[0])
        assert "Psychiatrist psychiatrist Read patients, trend Patient 127.0.0.1" in said
        assert "Outside" not in said
        assert words(page.xpath("//nav[@aria-label='Main']")[0]) == "Audit"
    assert events(person_id=cast.auditor.id)[-1].object_type == "pages/audit-trail"


def test_nobody_else_does(cast: Cast) -> None:
    for person in (cast.patient, cast.psychiatrist, cast.nurse, cast.outsider):
        assert browser(person).get("/audit").status_code == 403
    assert browser().get("/audit").status_code == 302
    answer = browser(cast.administrator).get("/")
    assert (answer.status_code, b'href="/audit"' in answer.content) == (403, True)


def test_it_is_read_in_pages_and_by_kind(cast: Cast) -> None:
    for _ in range(60):
        cast.client(cast.psychiatrist).send("GET", "patients")
    client = browser(cast.auditor)
    first = read(client.get("/audit?show=reads"))
    older = first.xpath("//p[@class='older']/a/@href")[0]
    second = read(client.get(older))
    assert len(first.xpath("//tbody/tr")) == 50
    assert 10 <= len(second.xpath("//tbody/tr")) < 15
    shown = {*first.xpath("//time/@datetime"), *second.xpath("//time/@datetime")}
    assert {event.done_at.isoformat() for event in events(person_id=cast.psychiatrist.id)} <= shown
    assert "Nothing of this kind yet" in words(read(client.get("/audit?show=emergency")))
    assert client.get("/audit?before=nonsense").status_code == 404
    with access.maintaining("test"):
        people.join(person=cast.outsider, clinic=cast.elsewhere, role=Role.AUDITOR, now=clock.now())
    assert browser(cast.outsider).get(older).status_code == 404
