"""With the broker gone for good, beat alone still claims and sends: the broker only wakes workers."""

import sys
import uuid
from datetime import timedelta

import pytest

from backend.common import clock
from backend.reminders import planning, watch
from backend.reminders.models import Purpose
from tests.live import environment, free_port, process
from tests.reminders.engine import deliveries, door, ledger, until

pytestmark = pytest.mark.stack


@pytest.fixture
def beat_alone(database, post, settings, tmp_path):
    """Beat on this database and this post office, with a broker's address where nobody listens."""
    variables = environment(
        database,
        REDIS_URL=f"redis://127.0.0.1:{free_port()}/0",
        EMAIL_URL=f"smtp://127.0.0.1:{settings.EMAIL_PORT}",
        LOCAL_DIR=str(tmp_path),
    )
    command = [sys.executable, "-m", "backend.config.parts", "beat"]
    with process(*command, env=variables, log=tmp_path / "beat.log") as child:
        yield child
        child.kill()  # it would wait for its broker first


def test_what_is_urgent_leaves_within_seconds_and_the_rest_is_claimed(cast, post, beat_alone):
    until(lambda: watch.readiness(now=clock.now())["beat"]["well"], seconds=30)
    now = clock.now()
    with door(cast.patient):
        for purpose in (Purpose.ALERT, Purpose.DAY_CHECK):
            planning.set_anchor(
                person=cast.patient, purpose=purpose, about=("thing", uuid.uuid4()),
                anchor_at=now + timedelta(seconds=1), offsets=[{}], now=now,
            )  # fmt: skip
    until(lambda: len(post.mails) == 1)
    assert clock.now() - now < timedelta(seconds=10)
    until(lambda: "sent" in {row.status for row in ledger(cast.patient, purpose=Purpose.ALERT)})
    until(lambda: len(deliveries(cast.patient)) == 2)
    assert {row.status for row in ledger(cast.patient, purpose=Purpose.DAY_CHECK)} == {"due"}
    assert beat_alone.poll() is None
