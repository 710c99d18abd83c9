"""The naive way: one Celery message for each reminder, which a task then sends, marks and plans on, row by row."""

import os
import sys
import time
import uuid
from datetime import timedelta
from typing import Any

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "backend.config.settings")


def _app() -> Any:
    from celery import Celery

    app = Celery("naive", broker=os.environ["REDIS_URL"], set_as_current=False)
    app.conf.update(
        task_ignore_result=True, task_default_queue="naive", task_acks_late=True, worker_prefetch_multiplier=1
    )

    @app.task(name="naive.send")
    def send(id: str) -> None:
        """One reminder."""
        from backend.accounts import access
        from backend.accounts.models import Person
        from backend.common import clock
        from backend.reminders import schedule
        from backend.reminders.models import Delivery, Reminder, Status

        with access.maintaining("bench"):
            row = Reminder.objects.select_for_update().select_related("rule").get(id=id)
            if row.status != Status.PLANNED:
                return
            person, now = Person.objects.get(id=row.person_id), clock.now()
            delivery = Delivery.objects.create(
                reminder=row, person=person, clinic_id=row.clinic_id, reminder_class=row.reminder_class, channel="push",
                status="sending", try_at=now, created_at=now, changed_at=now, lease_token=uuid.uuid4(),
                lease_ends_at=now + timedelta(minutes=2),
            )  # fmt: skip
            _sink().send(delivery.id)
            delivery.status = "sent"
            delivery.save(update_fields=["status"])
            row.status, row.sent_at = Status.SENT, now
            row.save(update_fields=["status", "sent_at"])
            slot = schedule.next_slot(row.rule, after=now)
            if slot is not None:
                Reminder.objects.get_or_create(
                    rule=row.rule, due_at=slot.due_at,
                    defaults={
                        "person_id": row.person_id, "clinic_id": row.clinic_id, "purpose": row.purpose,
                        "reminder_class": row.reminder_class, "send_at": slot.send_at, "expires_at": slot.expires_at,
                        "created_at": now, "updated_at": now,
                    },
                )  # fmt: skip

    app.send = send
    return app


class _Line:
    def __init__(self) -> None:
        import socket

        self._line = socket.create_connection(("127.0.0.1", int(os.environ["BENCH_COUNTER"])))

    def send(self, key: uuid.UUID) -> None:
        self._line.sendall(key.bytes + b"A reminder".ljust(40))


_lines: dict[int, _Line] = {}


def _sink() -> _Line:
    if os.getpid() not in _lines:
        _lines[os.getpid()] = _Line()
    return _lines[os.getpid()]


def take_due(count: int) -> list[str]:
    """The ids of so many planned reminders."""
    from django.db import connections

    with connections["owner"].cursor() as cursor:
        cursor.execute("SET afterglow.purpose = 'maintenance: bench'")
        cursor.execute(
            "SELECT id FROM reminders_reminder "
            "WHERE status = 'planned' AND send_at > now() + interval '2 days' LIMIT %s",
            [count],
        )
        found = [str(id) for (id,) in cursor.fetchall()]
        cursor.execute("RESET afterglow.purpose")
    return found


def wait_for_worker() -> None:
    """Until it listens."""
    app, until = _app(), time.monotonic() + 60
    while not app.control.ping(timeout=0.5):
        if time.monotonic() > until:
            sys.exit("the naive worker did not come up")


def send_all(ids: list[str]) -> None:
    """A message for each."""
    app = _app()
    with app.producer_pool.acquire(block=True) as producer:
        for id in ids:
            app.send.apply_async((id,), producer=producer)


def main() -> None:
    """The worker, of as many processes as ours."""
    import django

    django.setup()
    worker = _app().Worker(
        pool_cls="prefork", concurrency=int(os.environ["WORKER_PROCESSES"]), loglevel="ERROR", quiet=True,
        without_mingle=True, without_gossip=True, without_heartbeat=True,
    )  # fmt: skip
    worker.start()


if __name__ == "__main__":
    main()
