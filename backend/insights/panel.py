"""The patients of a care team at a glance, in a fixed number of statements however many they are; never stale.

Nothing is kept: the rows come from the logs and sessions themselves, and what depends on the date is computed at read.
"""

import uuid
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta

import orjson
from django.db import connection
from django.db.models import QuerySet
from msgspec import Struct

from backend.accounts.models import Person, ZoneStay
from backend.insights import attention, words
from backend.insights import days as calendar
from backend.insights.attention import WINDOW_DAYS, Glance, Standing, Visit
from backend.insights.days import ZoneHistory
from backend.insights.series import MEAN_WINDOW_DAYS, rolling_means

COMING_DAYS = 60

# Each patient's calendar is that of the own zones; patients who share one share its boundaries.
_SEEN = """
WITH who AS (SELECT * FROM unnest(%(patients)s::uuid[], %(keys)s::int[]) AS w (patient, key)),
     given AS MATERIALIZED (
        SELECT key::int, ARRAY(SELECT json_array_elements_text(value)::timestamptz) AS starts
        FROM json_each(%(calendars)s::json)),
     calendars AS MATERIALIZED (
        SELECT key, starts, starts[1] AS opens, starts[array_upper(starts, 1)] AS closes FROM given)
SELECT patient, moods.told::text, latest.felt_at, latest.mood, held.count, held.lately::text, held.last_at, held.route,
    use.substance, use.day, worst.kind, worst.started_at, silence.since_at
FROM who JOIN calendars USING (key)
LEFT JOIN LATERAL (
    SELECT json_build_array(array_agg(day), array_agg(total), array_agg(count)) AS told FROM (
        SELECT width_bucket(felt_at, starts) - 1 AS day, sum(mood) AS total, count(*) AS count
        FROM aftercare_moodcheckin
        WHERE patient_id = patient AND deleted_at IS NULL AND felt_at >= opens AND felt_at < closes GROUP BY 1
    ) AS rows) AS moods ON true
LEFT JOIN LATERAL (
    SELECT felt_at, mood FROM aftercare_moodcheckin
    WHERE patient_id = patient AND deleted_at IS NULL AND felt_at < closes ORDER BY felt_at DESC LIMIT 1
) AS latest ON true
LEFT JOIN LATERAL (
    SELECT count(*) AS count, max(started_at) AS last_at, (array_agg(route ORDER BY started_at DESC))[1] AS route,
        to_json(array_agg(width_bucket(started_at, starts) - 1) FILTER (WHERE started_at >= opens)) AS lately
    FROM treatment_session
    WHERE patient_id = patient AND deleted_at IS NULL AND started_at <= %(now)s AND status <> 'cancelled'
        AND clinic_id = %(clinic)s
) AS held ON true
LEFT JOIN LATERAL (
    SELECT substance, day FROM aftercare_substancelog
    WHERE patient_id = patient AND deleted_at IS NULL AND used AND day >= %(lapses_from)s ORDER BY day DESC LIMIT 1
) AS use ON true
LEFT JOIN LATERAL (
    SELECT kind, started_at FROM treatment_sideeffect
    WHERE patient_id = patient AND deleted_at IS NULL AND started_at >= %(severe_from)s
        AND (severity = 3 OR kind = 'loss_of_consciousness') ORDER BY started_at DESC LIMIT 1
) AS worst ON true
LEFT JOIN LATERAL (
    SELECT min(since_at) AS since_at FROM reminders_silence
    WHERE person_id = patient AND clinic_id = %(clinic)s AND ended_at IS NULL
) AS silence ON true
"""

_COMING = """
SELECT patient_id, 'session', planned_at, false, true, NULL::text, NULL::text
FROM treatment_session
WHERE patient_id = ANY(%(patients)s::uuid[]) AND clinic_id = %(clinic)s AND status = 'planned' AND deleted_at IS NULL
    AND planned_at >= %(now)s AND planned_at < %(until)s
UNION ALL (
    SELECT DISTINCT ON (appointment_id) o.patient_id, kind, o.starts_at, o.status = 'move_asked',
        with_person_id IS NULL OR with_person_id = %(reader)s, place, o.status
    FROM aftercare_occurrence AS o JOIN aftercare_appointment AS a ON a.id = appointment_id AND a.deleted_at IS NULL
        AND a.clinic_id = %(clinic)s
    WHERE o.patient_id = ANY(%(patients)s::uuid[]) AND o.starts_at >= %(now)s AND o.starts_at < %(until)s
        AND o.status IN ('planned', 'confirmed', 'move_asked')
    ORDER BY appointment_id, o.starts_at)
ORDER BY 3
"""


class Coming(Struct, frozen=True):
    """A session or appointment to come, as its page tells it."""

    kind: str
    at: datetime
    move_asked: bool
    mine: bool
    place: str | None
    status: str | None


class Row(Struct, frozen=True):
    """One patient of the panel. Days are the patient's own; `last_at` is the last check-in."""

    patient: uuid.UUID
    name: str
    zone: str
    glance: Glance
    standing: Standing
    sessions_held: int
    route: str | None
    last_at: datetime | None


def rows(*, patients: QuerySet[Person], clinic_id: uuid.UUID, reader: Person, now: datetime) -> list[Row]:
    """The patients in the order in which they need someone (`attention.rank`), then by name."""
    people = list(patients.order_by("full_name", "id"))
    if not people:
        return []
    zones = zone_histories(people)
    seen = _seen(people=people, clinic_id=clinic_id, zones=zones, now=now)
    visits = coming([person.id for person in people], clinic_id=clinic_id, reader=reader, now=now)
    found = []
    for person in people:
        history = zones[person.id]
        told = seen[person.id]
        glance = _glance(told, history=history, visits=visits.get(person.id, ()), now=now)
        found.append(
            Row(
                patient=person.id,
                name=person.full_name,
                zone=calendar.zone_at(zones=history, at=now),
                glance=glance,
                standing=attention.standing(glance, now=now, zone=reader.time_zone),
                sessions_held=told.sessions,
                route=words.route(told.route) if told.route else None,
                last_at=told.felt_at,
            )
        )
    return sorted(found, key=lambda row: attention.rank(row.standing))


def zone_histories(people: Iterable[Person]) -> dict[uuid.UUID, ZoneHistory]:
    """Where each person lived, oldest first; for who has no history, the present zone."""
    people = list(people)
    stays: dict[uuid.UUID, list[tuple[str, datetime]]] = {}
    known = ZoneStay.objects.filter(person_id__in=[person.id for person in people]).order_by("since_at")
    for person_id, zone, since_at in known.values_list("person_id", "time_zone", "since_at"):
        stays.setdefault(person_id, []).append((zone, since_at))
    return {person.id: stays.get(person.id) or [(person.time_zone, person.created_at)] for person in people}


def coming(
    patients: Sequence[uuid.UUID], *, clinic_id: uuid.UUID, reader: Person, now: datetime
) -> dict[uuid.UUID, list[Coming]]:
    """The sessions and appointments of the next 60 days by patient, soonest first; of a recurring one only the next."""
    found: dict[uuid.UUID, list[Coming]] = {}
    with connection.cursor() as cursor:
        cursor.execute(
            _COMING,
            {
                "patients": list(patients),
                "clinic": clinic_id,
                "reader": reader.id,
                "now": now,
                "until": now + timedelta(days=COMING_DAYS),
            },
        )
        for patient, *visit in cursor.fetchall():
            found.setdefault(patient, []).append(Coming(*visit))
    return found


class _Told(Struct, frozen=True):
    """What the database says of one patient; days are positions from the first boundary of the window."""

    moods: Mapping[int, tuple[int, int]]
    felt_at: datetime | None
    mood: int | None
    sessions: int
    session_days: Sequence[int]
    session_at: datetime | None
    route: str | None
    use: tuple[str, date] | None
    severe: tuple[str, datetime] | None
    unanswered_at: datetime | None


def _window(history: ZoneHistory, now: datetime) -> tuple[date, list[datetime]]:
    """Today, and the boundaries of the days that a glance needs: its window, and six more for the first 7-day mean."""
    today = calendar.day_of(zones=history, at=now)
    since = today - timedelta(days=WINDOW_DAYS + MEAN_WINDOW_DAYS - 2)
    return today, calendar.day_starts(zones=history, since=since, until=today + timedelta(days=1))


def _seen(
    *, people: Sequence[Person], clinic_id: uuid.UUID, zones: Mapping[uuid.UUID, ZoneHistory], now: datetime
) -> dict[uuid.UUID, _Told]:
    keys: dict[tuple[tuple[str, datetime], ...], int] = {}
    # Whoever never moved shares a calendar with everyone else of the same zone.
    shared = {p: tuple(h) if len(h) > 1 else ((h[0][0], datetime.min.replace(tzinfo=UTC)),) for p, h in zones.items()}
    for history in shared.values():
        keys.setdefault(history, len(keys))
    calendars = {str(key): _window(history, now)[1] for history, key in keys.items()}
    with connection.cursor() as cursor:
        cursor.execute(
            _SEEN,
            {
                "patients": [person.id for person in people],
                "clinic": clinic_id,
                "keys": [keys[shared[person.id]] for person in people],
                "calendars": orjson.dumps(calendars).decode(),
                "now": now,
                "severe_from": now - timedelta(days=attention.SEVERE_KNOWN_DAYS + 2),
                "lapses_from": (now - timedelta(days=attention.LAPSE_KNOWN_DAYS + 2)).date(),
            },
        )
        return {row[0]: _told(*row[1:]) for row in cursor.fetchall()}


def _told(
    moods: str,
    felt_at: datetime | None,
    mood: int | None,
    sessions: int,
    lately: str | None,
    session_at: datetime | None,
    route: str | None,
    substance: str | None,
    day: date | None,
    effect: str | None,
    effect_at: datetime | None,
    unanswered_at: datetime | None,
) -> _Told:
    days, totals, counts = orjson.loads(moods)
    return _Told(
        moods={at: (total, count) for at, total, count in zip(days or (), totals or (), counts or (), strict=True)},
        felt_at=felt_at,
        mood=mood,
        sessions=sessions,
        session_days=orjson.loads(lately) if lately else (),
        session_at=session_at,
        route=route,
        use=(substance, day) if substance is not None and day is not None else None,
        severe=(effect, effect_at) if effect is not None and effect_at is not None else None,
        unanswered_at=unanswered_at,
    )


def _glance(told: _Told, *, history: ZoneHistory, visits: Sequence[Coming], now: datetime) -> Glance:
    today, starts = _window(history, now)
    lead = len(starts) - 1 - WINDOW_DAYS
    means: list[float | None] = [None] * (len(starts) - 1)
    answers = [0] * (len(starts) - 1)
    for at, (total, count) in told.moods.items():
        means[at], answers[at] = total / count, count
    return Glance(
        today=today,
        means=means[lead:],
        answers=answers[lead:],
        means_7d=rolling_means(means)[lead:],
        session_days=frozenset(at - lead for at in told.session_days if at >= lead),
        last_at=told.felt_at,
        last_on=calendar.day_of(zones=history, at=told.felt_at) if told.felt_at else None,
        last_mood=told.mood,
        last_session_on=calendar.day_of(zones=history, at=told.session_at) if told.session_at else None,
        last_use=told.use,
        severe_effect=(told.severe[0], calendar.day_of(zones=history, at=told.severe[1])) if told.severe else None,
        visits=[Visit(visit.kind, visit.at, visit.move_asked, visit.mine) for visit in visits],
        unanswered_since=calendar.day_of(zones=history, at=told.unanswered_at) if told.unanswered_at else None,
    )
