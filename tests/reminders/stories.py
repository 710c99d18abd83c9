"""One scenario of the tests of faults: what is due, what goes wrong meanwhile, and whether the balance is right."""

import time
import uuid
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

from backend.accounts.models import Person
from backend.common import clock
from backend.reminders import escalation
from backend.reminders.models import Purpose
from backend.reminders.planning import About
from tests.cast import Cast
from tests.reminders.crowds import Balance, Crowd, Mailroom, Phones
from tests.reminders.engine import door
from tests.reminders.faults import Machinery, Site, forget_connections

Act = Callable[[], None]
# Processes that may have a mail in hand at the same time: two of the pool, the one kept for safety, beat's sweep.
SENDERS = 4

_CHAIN = """
SELECT r.id FROM reminders_reminder r JOIN reminders_escalation e ON e.id = r.about_id
WHERE r.about_type = 'escalation' AND e.about_id = %s ORDER BY r.due_at LIMIT 1
"""


class Story:
    """A scenario on running parts."""

    def __init__(self, site: Site, clinic: Cast, machinery: Machinery, mailroom: Mailroom, phones: Phones) -> None:
        self._site, self._clinic, self._machinery = site, clinic, machinery
        self._mailroom, self._phones = mailroom, phones
        self._crowd = Crowd(site, clinic, phones)
        self._alerts: dict[uuid.UUID, datetime] = {}
        self.balance = Balance()

    def begins(
        self,
        each: int,
        *,
        pushes: int | None = None,
        by_mail: Sequence[Act] = (),
        by_push: Sequence[Act] = (),
        spread: timedelta = timedelta(seconds=2),
    ) -> None:
        """So many mails and pushes are due now. Evenly over the mails, and over the pushes, the acts happen in turn,
        each just as one was taken."""
        forget_connections()
        self._began = time.monotonic()
        pushes = each if pushes is None else pushes
        self._mailroom.strikes.plan(by_mail, among=each)
        self._phones.strikes.plan(by_push, among=pushes)
        self._crowd.has_due(spread=spread, email=each, push=pushes)

    def ends(self, name: str) -> None:
        """All is over: the balance is right, and its figures are told.

        At most one mail for each fault may come twice, and not more are in doubt than can have been in hand then.
        """

        def over() -> bool:
            self._machinery.let_leases_end()
            return self._crowd.open() == 0

        try:
            self._machinery.until(over, seconds=60 + self._crowd.count / 50)
        except AssertionError as error:
            error.add_note(f"left: {self._crowd.left()}, faults: {self._machinery.faults}, {self._machinery.ended}")
            raise
        forget_connections()
        struck = self._strikes()
        seconds = time.monotonic() - self._began
        found = self.balance = self._crowd.balance(self._mailroom, self._phones)
        ended = f"; ended by itself: {', '.join(self._machinery.ended)}" if self._machinery.ended else ""
        print(f"\n{name}: {struck} faults, {seconds:.0f} s; {found.told}{ended}")
        assert not found.wrong, found.wrong[:5]
        assert found.claimed == self._crowd.count
        assert (found.lost, found.twice_on_a_screen) == (0, 0)
        broken = struck + len(self._machinery.ended)
        assert found.twice_by_mail <= broken
        assert found.unknown <= SENDERS * broken
        assert found.in_doubt <= self._in_doubt_for(self._clinic.psychiatrist)
        assert not self._in_doubt_for(self._clinic.outsider)
        for about in self._alerts:
            escalation.stop(about=About("test", about), clinic_id=self._clinic.clinic.id, now=clock.now())

    def _strikes(self) -> int:
        struck = 0
        for receiver in (self._mailroom, self._phones):
            assert not receiver.strikes.errors, receiver.strikes.errors
            assert not receiver.strikes.left, "not all that was to happen did"
            struck += receiver.strikes.struck
        return struck

    def _in_doubt_for(self, person: Person) -> set[uuid.UUID]:
        client, found, path = self._clinic.client(person), set(), "reminders?delivery_status=unknown&limit=500"
        while path:
            page = client.send("GET", path).json()
            found |= {uuid.UUID(each["id"]) for each in page["results"]}
            path = page["next"]
        return found

    def raises_alert(self) -> None:
        """The nurse is told at once, by push and by mail."""
        nurse, about = self._clinic.nurse, uuid.uuid4()
        self._alerts[about] = clock.now()
        with door(self._clinic.patient):
            escalation.open(
                person=self._clinic.patient,
                clinic_id=self._clinic.clinic.id,
                purpose=Purpose.ALERT,
                about=About("test", about),
                steps=[escalation.Step([nurse.id], 60)],
                now=self._alerts[about],
            )

    def alerts_arrived(self) -> bool:
        """Whether each alert came to the nurse's phone."""
        return all(reminder in self._phones.at for reminder in self._told())

    def waits_of_alerts(self) -> list[timedelta]:
        """How long each took from being raised to being taken, the longest last."""
        raised = self._alerts.values()
        return sorted(self._phones.at[id] - at for id, at in zip(self._told(), raised, strict=True))

    def _told(self) -> list[uuid.UUID]:
        return [self._site.ask(_CHAIN, [about])[0][0] for about in self._alerts]

    def half_a_minute_passes(self) -> None:
        """For what is about to leave, once all of it is claimed, and none of it has left."""
        self._machinery.until(lambda: self._crowd.waiting() == self._crowd.count, seconds=20)
        self._site.ask("UPDATE reminders_delivery SET try_at = try_at - interval '30 seconds' WHERE status = 'pending'")
