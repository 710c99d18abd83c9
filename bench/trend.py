"""A patient's trend over 730 days, in tables of growing size: the naive way, one SQL statement and ours, in turns.

`python -m bench.trend [--sizes 100000,1000000] [--rounds 5]`; add 10000000 for the full aim (loading takes minutes).
Every size is a database of its own with the same patients; only what surrounds them grows. Milliseconds, medians.
"""

import argparse
import gc
import json
import os
import sys
import time
import uuid
from collections import defaultdict
from collections.abc import Callable
from datetime import datetime, timedelta
from statistics import median
from typing import Any

from bench import stage

DAYS = 730
PATIENTS = 8
CALLS = 6

# The limit: what one statement gives when the database itself cuts the days (in one zone, and wrong in overlaps).
ONE_SQL = """
WITH span AS (SELECT generate_series(%(first)s::date, %(last)s::date, interval '1 day')::date AS day),
mood AS (
    SELECT (felt_at AT TIME ZONE 'Asia/Kolkata')::date AS day, avg(mood) AS mean, count(*) AS count
    FROM aftercare_moodcheckin WHERE patient_id = %(who)s AND felt_at >= %(since)s AND deleted_at IS NULL GROUP BY 1),
sleep AS (
    SELECT night_of AS day, max(minutes_asleep) AS minutes, max(quality) AS quality FROM aftercare_sleeplog
    WHERE patient_id = %(who)s AND night_of >= %(first)s AND deleted_at IS NULL GROUP BY 1),
moved AS (
    SELECT (started_at AT TIME ZONE 'Asia/Kolkata')::date AS day, sum(minutes) AS minutes FROM aftercare_exerciselog
    WHERE patient_id = %(who)s AND started_at >= %(since)s AND deleted_at IS NULL GROUP BY 1)
SELECT json_build_object(
    'days', json_agg(json_build_object('on', day, 'mean', mood.mean, 'count', mood.count, 'mean_7d', week.mean,
        'sleep', sleep.minutes, 'quality', sleep.quality, 'exercise', moved.minutes) ORDER BY day),
    'markers', (SELECT json_agg(started_at) FROM treatment_session
        WHERE patient_id = %(who)s AND started_at >= %(since)s AND deleted_at IS NULL))::text
FROM (SELECT day, avg(mood.mean) OVER (ORDER BY day ROWS 6 PRECEDING) AS mean
    FROM span LEFT JOIN mood USING (day)) AS week
LEFT JOIN mood USING (day) LEFT JOIN sleep USING (day) LEFT JOIN moved USING (day)
"""


def naive(person: uuid.UUID, now: datetime) -> bytes:
    """Every row as an object of the ORM, days and means in Python, JSON by the standard library."""
    from backend.aftercare.models import ExerciseLog, MoodCheckIn, SleepLog
    from backend.common import clock
    from backend.treatment.models import Session

    zone = clock.zone("Asia/Kolkata")
    first = now.astimezone(zone).date() - timedelta(days=DAYS - 1)
    since = datetime.combine(first, datetime.min.time(), zone)
    moods, moved = defaultdict(list), defaultdict(int)
    for row in MoodCheckIn.objects.filter(patient_id=person, felt_at__gte=since, deleted_at=None).order_by("felt_at"):
        moods[row.felt_at.astimezone(zone).date()].append(row.mood)
    for bout in ExerciseLog.objects.filter(patient_id=person, started_at__gte=since, deleted_at=None):
        moved[bout.started_at.astimezone(zone).date()] += bout.minutes
    nights = {
        row.night_of: row for row in SleepLog.objects.filter(patient_id=person, night_of__gte=first, deleted_at=None)
    }
    sessions = Session.objects.filter(patient_id=person, started_at__gte=since, deleted_at=None).order_by("started_at")
    days, means = [], []
    for number in range(DAYS):
        on = first + timedelta(days=number)
        told, night = moods.get(on), nights.get(on)
        means.append(sum(told) / len(told) if told else None)
        week = [mean for mean in means[-7:] if mean is not None]
        days.append(
            {
                "on": on.isoformat(),
                "mood": {"mean": means[-1], "count": len(told)} if told else None,
                "mean_7d": sum(week) / len(week) if len(week) >= 4 else None,
                "sleep": {"minutes": night.minutes_asleep, "quality": night.quality} if night else None,
                "exercise": {"minutes": moved[on]} if on in moved else None,
            }
        )
    markers = [{"kind": "session", "at": row.started_at.isoformat()} for row in sessions if row.started_at]
    return json.dumps({"days": days, "markers": markers}).encode()


def one_sql(person: uuid.UUID, now: datetime) -> bytes:
    """JSON text from the database, untouched."""
    from django.db import connection

    last = now.date()
    first = last - timedelta(days=DAYS - 1)
    with connection.cursor() as cursor:
        cursor.execute(ONE_SQL, {"who": person, "first": first, "last": last, "since": now - timedelta(days=DAYS)})
        return str(cursor.fetchone()[0]).encode()


def ours(person: uuid.UUID, now: datetime) -> bytes:
    """What the view does once it knows who asks: door, record, series with silences and marks, JSON."""
    import msgspec

    from backend.accounts import access
    from backend.accounts.models import Person
    from backend.insights import days as calendar
    from backend.insights import queries

    with access.acting_as(person, None, "bench"):
        zones = access.zones_of(Person.objects.get(id=person))
        span = calendar.span_of(today=calendar.day_of(zones=zones, at=now), days=DAYS)
        series = queries.series_of(patient_id=person, clinic_id=None, zones=zones, span=span, now=now, answers=False)
        return msgspec.json.encode(series.trend)


class Asked:
    """The whole request inside the process: sign-in, roles, door, view, headers; only the socket is missing."""

    def __init__(self) -> None:
        self.tokens: dict[uuid.UUID, str] = {}

    def sign_in(self, person: uuid.UUID, now: datetime) -> None:
        """A token in the database at which the connections point."""
        from backend.accounts import access, tokens
        from backend.accounts.models import Person

        with access.maintaining("bench"):
            who = Person.objects.get(id=person)
            self.tokens[person] = tokens.issue(person=who, now=now, lifetime=timedelta(hours=6))

    def __call__(self, person: uuid.UUID, now: datetime) -> bytes:
        from django.test import Client

        answer = Client().get(
            f"/api/v1/me/trend?days={DAYS}", HTTP_AUTHORIZATION=f"Bearer {self.tokens[person]}", SERVER_NAME="localhost"
        )
        if answer.status_code != 200:
            sys.exit(f"me/trend: {answer.status_code} {answer.content[:300]!r}")
        return bytes(answer.content)


WAYS = ("naive", "one SQL", "ours", "whole request")


def measure(sizes: list[int], rounds: int, first: str) -> dict[int, dict[str, float]]:
    """{size: {way: median in ms}}."""
    from backend.common import clock
    from backend.demo import volume
    from backend.demo.cast import id_of

    now = clock.now()
    persons = [id_of("person", volume.key_of(number)) for number in range(PATIENTS)]
    owner, names, asked = os.environ["DATABASE_OWNER_URL"], {}, {}
    times: dict[int, dict[str, list[float]]] = {size: {way: [] for way in WAYS} for size in sizes}
    try:
        for size in sizes:
            point_at(first)  # nobody is connected to the template while it is copied
            close_all()
            names[size] = f"{first}_{size}"
            stage.make(owner, names[size], template=first)
            point_at(names[size])
            began = time.perf_counter()
            total = volume.load(check_ins=size, now=now)
            lasted = time.perf_counter() - began
            said = f"  loaded {size:,} check-ins, {total:,} rows in {lasted:.0f} s ({total / lasted:,.0f} rows/s)"
            print(said, file=sys.stderr, flush=True)
            asked[size] = Asked()
            for person in persons:
                asked[size].sign_in(person, now)
        gc.collect()
        for _ in range(rounds):
            for size in sizes:
                point_at(names[size])
                ways: dict[str, Callable[[uuid.UUID, datetime], bytes]] = dict(
                    zip(WAYS, (naive, one_sql, ours, asked[size]), strict=True)
                )
                for call in range(-1, CALLS):
                    for way, act in ways.items():
                        began = time.perf_counter()
                        act(persons[call % PATIENTS], now)
                        if call >= 0:  # the first is for the connection and the caches
                            times[size][way].append(1000 * (time.perf_counter() - began))
    finally:
        point_at(first)
        for name in names.values():
            stage.drop(owner, name)
    return {size: {way: median(some) for way, some in ways.items()} for size, ways in times.items()}


def point_at(name: str) -> None:
    """All connections of this process go to that database from now on."""
    from django.db import connections

    close_all()
    for alias in connections:
        connections[alias].settings_dict["NAME"] = name


def close_all() -> None:
    """Ends every connection."""
    from django.db import connections

    for alias in connections:
        connections[alias].close()


def main() -> None:
    """Measures and prints."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--sizes", default="100000,1000000", help="check-ins in all, smallest first")
    options.add_argument("--rounds", type=int, default=5)
    given = options.parse_args()
    sizes = [int(size) for size in given.sizes.split(",")]
    with stage.database() as name:
        print(f"a trend of {DAYS} days, {given.rounds} rounds of {CALLS} calls each way; {stage.machine()}")
        found = measure(sizes, given.rounds, name)
    rows: list[Any] = [
        (f"{size:,} check-ins", *(f"{found[size][way]:.1f}" for way in WAYS),
         f"{found[size]['ours'] / found[size]['one SQL']:.2f}", f"{found[size]['naive'] / found[size]['ours']:.1f}")
        for size in sizes
    ]  # fmt: skip
    low, high = found[sizes[0]], found[sizes[-1]]
    rows.append(("growth", *(f"{high[way] / low[way]:.2f}x" for way in WAYS), "", ""))
    print(stage.table(("ms a trend", *WAYS, "ours/one SQL", "naive/ours"), rows))
    print("aim (GOALS.md): under 7 ms at the server at 10,000,000, growth from 100,000 at most 1.1x.")
    print(
        "one SQL cuts days by the database's own zone data and knows no silences; ours also reads food and substances."
    )


if __name__ == "__main__":
    main()
