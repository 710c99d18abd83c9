"""Nothing is lost and nothing comes twice, whatever dies while reminders leave: real servers, workers and beat.

Each fault falls in the worst moment: a receiver has just taken a message, and its sender has not heard of it yet.
`make torture` sends some ten thousand for each; `pytest -s` shows the figures.
"""

import os
from collections.abc import Callable, Iterator
from datetime import timedelta

import psycopg
import pytest
from django.conf import settings

from tests import cast as casting
from tests.reminders import faults
from tests.reminders.crowds import Mailroom, Phones, reach
from tests.reminders.faults import Machinery, Site
from tests.reminders.stories import Story

pytestmark = [pytest.mark.slow, pytest.mark.stack]

FULL = bool(os.environ.get("TORTURE"))
EACH = 4_000 if FULL else 150  # mails, and as many pushes
FLOOD = 100_000 if FULL else 2_000
LOCK_SPACE = int.from_bytes(b"remi")  # of the claim
TIMES = 5 if FULL else 1  # of each kind of fault


@pytest.fixture(scope="module")
def mailroom() -> Iterator[Mailroom]:
    """A mail server that counts."""
    made = Mailroom()
    yield made
    made.stop()


@pytest.fixture(scope="module")
def phones() -> Iterator[Phones]:
    """A push service that counts."""
    made = Phones()
    yield made
    made.stop()


@pytest.fixture(scope="module")
def site(django_db_blocker: pytest.FixtureDef) -> Iterator[Site]:
    """Servers of these tests' own, to which this process's connections lead too."""
    with faults.site() as made, django_db_blocker.unblock(), made.pointed():
        yield made


@pytest.fixture(scope="module")
def machinery(site: Site, mailroom: Mailroom) -> Iterator[Machinery]:
    """Workers and beat."""
    made = Machinery(site, smtp=mailroom.port)
    try:
        yield made
    finally:
        made.end()


@pytest.fixture(scope="module")
def clinic(site: Site, machinery: Machinery, phones: Phones) -> casting.Cast:
    """The cast, there; the nurse has a phone."""
    cast = casting.assemble()
    reach(site, cast.nurse, phones)
    return cast


@pytest.fixture
def ready(machinery: Machinery, mailroom: Mailroom, phones: Phones) -> Iterator[Machinery]:
    """All parts run, and nothing is broken."""
    machinery.faults.clear()
    machinery.ended.clear()
    machinery.until_ready()
    mailroom.taken.clear()
    phones.taken.clear()
    yield machinery
    machinery.go_on()
    for receiver in (mailroom, phones):
        receiver.strikes.plan([], among=0)


@pytest.fixture
def story(site: Site, clinic: casting.Cast, ready: Machinery, mailroom: Mailroom, phones: Phones) -> Story:
    """A scenario on running parts."""
    return Story(site, clinic, ready, mailroom, phones)


def test_a_worker_that_is_killed_loses_nothing(story: Story, ready: Machinery) -> None:
    story.begins(
        EACH, by_mail=[_killed(ready, "worker"), _forks_killed(ready)] * TIMES, by_push=[_forks_killed(ready)] * TIMES
    )
    story.ends("worker killed -9")
    assert story.balance.unknown > 0, "no kill met a mail in hand"


def test_two_beats_that_die_in_turn_claim_and_send_once(story: Story, ready: Machinery) -> None:
    ready.start("beat 2")
    ready.until(lambda: ready.threads("beat 2") > 5, seconds=30)
    try:
        story.begins(EACH, by_push=[_killed(ready, "beat"), _killed(ready, "beat 2")] * TIMES)
        story.ends("two beats, killed in turn")
    finally:
        ready.end("beat 2")


def test_a_broker_that_comes_back_empty_loses_nothing(story: Story, site: Site) -> None:
    story.begins(EACH, by_push=[lambda: site.kill("redis")] * (2 * TIMES))
    story.ends("Redis killed, back empty")


def test_connections_that_are_cut_lose_nothing(story: Story, ready: Machinery, site: Site) -> None:
    cut = _noted(ready, site.cut_connections)
    story.begins(EACH, by_mail=[cut] * (2 * TIMES), by_push=[cut] * TIMES)
    story.ends("all connections cut")


def test_a_database_that_is_killed_loses_nothing(story: Story, ready: Machinery, site: Site) -> None:
    killed = _noted(ready, lambda: site.kill("postgres"))
    story.begins(EACH, by_mail=[killed] * TIMES, by_push=[killed] * TIMES)
    story.ends("PostgreSQL killed -9")


def test_a_worker_that_sleeps_longer_than_its_lease_comes_too_late_for_harm(story: Story, ready: Machinery) -> None:
    def sleeps() -> None:
        ready.stop("worker")
        ready.start("worker 2")

    try:
        story.begins(EACH, by_mail=[sleeps, ready.go_on])
        story.ends("worker stopped beyond its lease")
        assert story.balance.unknown == 0, "whoever was only slow still says what became of it"
    finally:
        ready.end("worker 2")


@pytest.mark.skipif(not FULL, reason="ten seconds of waiting: `make torture`")
def test_who_sleeps_in_the_midst_of_a_claim_holds_up_the_others_for_ten_seconds(story: Story, site: Site) -> None:
    options = settings.DATABASES["dispatch"]["OPTIONS"]["options"]
    with psycopg.connect(site.urls["DATABASE_DISPATCH_URL"], options=options) as asleep:
        asleep.execute("SELECT pg_advisory_xact_lock(%s, n) FROM generate_series(0, 9) n", [LOCK_SPACE])
        story.begins(EACH)
        story.ends("asleep in a claim")
        with pytest.raises(psycopg.errors.IdleInTransactionSessionTimeout):
            asleep.execute("SELECT 1")


def test_all_of_it_together_loses_nothing(story: Story, ready: Machinery, site: Site) -> None:
    story.begins(
        EACH,
        by_mail=[_killed(ready, "worker"), _noted(ready, lambda: site.kill("postgres")), _killed(ready, "beat")]
        * TIMES,
        by_push=[lambda: site.kill("redis"), _noted(ready, site.cut_connections), _forks_killed(ready)] * TIMES,
    )
    story.ends("all together")


def test_without_a_broker_alerts_leave_at_once_and_the_rest_within_the_minute(story: Story, ready: Machinery) -> None:
    ready.stop_server("redis")
    story.begins(EACH)
    story.raises_alert()
    ready.until(story.alerts_arrived, seconds=20)
    assert story.waits_of_alerts()[-1] < timedelta(seconds=10)
    if not FULL:
        story.half_a_minute_passes()
    story.ends("no Redis for a whole run")


def test_a_flood_of_habits_holds_up_no_alert(story: Story, ready: Machinery, phones: Phones) -> None:
    story.begins(0, pushes=FLOOD, spread=timedelta(0))
    for place in range(20):
        ready.until(lambda place=place: phones.strikes.taken >= place * 50, seconds=120)
        story.raises_alert()
    ready.until(story.alerts_arrived, seconds=120)
    waits = story.waits_of_alerts()
    print(f"\n20 alerts in a flood of {FLOOD:,}: p50 {waits[10]}, p99 {waits[-1]}")
    story.ends("a flood of habits")
    assert waits[-1] < timedelta(seconds=5)


def _killed(machinery: Machinery, name: str) -> Callable[[], None]:
    return lambda: machinery.kill(name)


def _forks_killed(machinery: Machinery) -> Callable[[], None]:
    return lambda: machinery.kill_forks("worker")


def _noted(machinery: Machinery, act: Callable[[], None]) -> Callable[[], None]:
    def noted() -> None:
        act()
        machinery.note()

    return noted
