"""One statement for a trend: everything that a range of days holds, as a few narrow rows of JSON.

Check-ins are put into days by `width_bucket` against boundaries that Python computed, and read from the index
`checkin_for_trend` alone. PostgreSQL writes each kind as one array, which is several times faster to hand over than a
row for each entry.
"""

import uuid
from collections.abc import Container, Sequence
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from typing import Any

import orjson
from django.db import connection

from backend.insights import days as calendar
from backend.insights.days import Span, ZoneHistory
from backend.insights.series import (
    MEAN_WINDOW_DAYS,
    NEAR_SESSION,
    Answer,
    Exercise,
    Marker,
    Nutrition,
    Readings,
    Series,
    Sleep,
    build,
)

_LEAD_DAYS = MEAN_WINDOW_DAYS - 1

# Each branch answers one row: its name and JSON. Days are counted from 0 at the first boundary.
# A night, or a day's food, has one value: the patient's own entry before an imported one, the newest before the older.
_GIVEN = """
WITH given AS (
    SELECT %(patient)s::uuid AS patient, %(starts)s::timestamptz[] AS starts, %(first_day)s::date AS first_day)
"""

_BY_DAY = """
SELECT 'moods', (
    SELECT json_build_array(array_agg(day), array_agg(total), array_agg(count)) FROM (
        SELECT width_bucket(felt_at, starts) - 1 AS day, sum(mood) AS total, count(*) AS count
        FROM given JOIN aftercare_moodcheckin ON patient_id = patient AND deleted_at IS NULL
        WHERE felt_at >= %(opens)s AND felt_at < %(closes)s GROUP BY 1
    ) AS rows)::text
"""

_ONE_BY_ONE = """
SELECT 'answers', (
    SELECT json_build_array(array_agg(day), array_agg(epoch), array_agg(mood)) FROM (
        SELECT width_bucket(felt_at, starts) - 1 AS day, date_part('epoch', felt_at) AS epoch, mood
        FROM given JOIN aftercare_moodcheckin ON patient_id = patient AND deleted_at IS NULL
        WHERE felt_at >= %(opens)s AND felt_at < %(closes)s ORDER BY felt_at
    ) AS rows)::text
"""

_REST = """
UNION ALL SELECT 'near', (
    SELECT json_build_array(array_agg(width_bucket(felt_at, starts) - 1), array_agg(date_part('epoch', felt_at)))
    FROM given JOIN treatment_session AS s ON s.patient_id = patient AND s.deleted_at IS NULL
        AND started_at < %(closes)s AND started_at > %(opens)s - %(near)s AND status <> 'cancelled'
        AND (%(clinic)s::uuid IS NULL OR clinic_id = %(clinic)s)
    JOIN aftercare_moodcheckin AS m ON m.patient_id = patient AND m.deleted_at IS NULL
        AND felt_at >= started_at AND felt_at < started_at + %(near)s
    WHERE felt_at >= %(opens)s AND felt_at < %(closes)s)::text
UNION ALL SELECT 'ends', json_build_array(
    (SELECT date_part('epoch', felt_at) FROM aftercare_moodcheckin
     WHERE patient_id = %(patient)s AND deleted_at IS NULL ORDER BY felt_at LIMIT 1),
    (SELECT date_part('epoch', felt_at) FROM aftercare_moodcheckin
     WHERE patient_id = %(patient)s AND deleted_at IS NULL AND felt_at < %(closes)s
     ORDER BY felt_at DESC LIMIT 1))::text
UNION ALL SELECT 'exercise', (
    SELECT json_build_array(array_agg(day), array_agg(minutes)) FROM (
        SELECT width_bucket(started_at, starts) - 1 AS day, sum(minutes) AS minutes
        FROM given JOIN aftercare_exerciselog ON patient_id = patient AND deleted_at IS NULL
        WHERE started_at >= %(opens)s AND started_at < %(closes)s GROUP BY 1
    ) AS rows)::text
UNION ALL SELECT 'sleep', (
    SELECT json_build_array(array_agg(day), array_agg(minutes), array_agg(quality)) FROM (
        SELECT DISTINCT ON (night_of) night_of - first_day AS day, quality,
            coalesce(minutes_asleep, round(date_part('epoch', awake_at - asleep_at) / 60))::int AS minutes
        FROM given JOIN aftercare_sleeplog ON patient_id = patient AND deleted_at IS NULL
        WHERE night_of >= first_day AND night_of < %(last_day)s
        ORDER BY night_of, source = 'import', updated_at DESC, id
    ) AS rows)::text
UNION ALL SELECT 'nutrition', (
    SELECT json_build_array(array_agg(on_day), array_agg(meals), array_agg(water_ml), array_agg(quality)) FROM (
        SELECT DISTINCT ON (day) day - first_day AS on_day, meals, water_ml, quality
        FROM given JOIN aftercare_nutritionlog ON patient_id = patient AND deleted_at IS NULL
        WHERE day >= first_day AND day < %(last_day)s
        ORDER BY day, source = 'import', updated_at DESC, id
    ) AS rows)::text
UNION ALL SELECT 'substances', (
    SELECT json_agg(json_build_array(substance, used, days)) FROM (
        SELECT substance, used, array_agg(on_day ORDER BY on_day) AS days FROM (
            SELECT substance, day - first_day AS on_day, bool_or(used) AS used
            FROM given JOIN aftercare_substancelog ON patient_id = patient AND deleted_at IS NULL
            WHERE day >= first_day AND day < %(last_day)s GROUP BY 1, 2
        ) AS answers GROUP BY 1, 2 ORDER BY 1
    ) AS rows)::text
UNION ALL SELECT 'sessions', (
    SELECT json_agg(json_build_array(
        id, date_part('epoch', started_at), date_part('epoch', ended_at), route, dose_mg::float8) ORDER BY started_at)
    FROM given JOIN treatment_session ON patient_id = patient AND deleted_at IS NULL
    WHERE started_at < %(closes)s AND status <> 'cancelled'
        AND (%(clinic)s::uuid IS NULL OR clinic_id = %(clinic)s))::text
UNION ALL SELECT 'annotations', (
    SELECT json_agg(json_build_array(
        id, date_part('epoch', placed_at), about_until_on, private_at IS NOT NULL) ORDER BY placed_at, id)
    FROM given JOIN treatment_annotation ON patient_id = patient AND deleted_at IS NULL
    WHERE placed_at < %(closes)s AND (placed_at >= %(opens)s OR about_until_on > first_day)
        AND CASE WHEN %(clinic)s::uuid IS NULL THEN private_at IS NULL ELSE clinic_id = %(clinic)s END)::text
"""


def series_of(
    *, patient_id: uuid.UUID, clinic_id: uuid.UUID | None, zones: ZoneHistory, span: Span, now: datetime, answers: bool
) -> Series:
    """The series of a patient's days, with each answer by itself where `answers`. The caller has opened the record.

    A clinic sees the sessions that it held itself; None, for the patient, sees all.
    """
    since = span.since - timedelta(days=_LEAD_DAYS)
    starts = calendar.day_starts(zones=zones, since=since, until=span.until)
    return build(
        patient=patient_id,
        time_zone=calendar.zone_at(zones=zones, at=now),
        since=span.since,
        until=span.until,
        starts=starts,
        lead_days=_LEAD_DAYS,
        readings=read(
            patient_id=patient_id,
            clinic_id=clinic_id,
            zones=zones,
            starts=starts,
            since=since,
            until=span.until,
            answers=answers,
        ),
        now=now,
    )


def read(
    *,
    patient_id: uuid.UUID,
    clinic_id: uuid.UUID | None,
    zones: ZoneHistory,
    starts: Sequence[datetime],
    since: date,
    until: date,
    answers: bool,
) -> Readings:
    """What the database holds of the patient's days from `since` to before `until`, whose boundaries are `starts`."""
    given: dict[str, Any] = {
        "patient": patient_id,
        "clinic": clinic_id,
        "starts": _literal(tuple(starts)),
        "opens": starts[0],
        "closes": starts[-1],
        "first_day": since,
        "last_day": until,
        "near": NEAR_SESSION,
    }
    with connection.cursor() as cursor:
        cursor.execute(_GIVEN + (_ONE_BY_ONE if answers else _BY_DAY) + _REST, given)
        told: dict[str, Any] = {name: orjson.loads(text) if text else [] for name, text in cursor.fetchall()}
    near = _rows(told["near"])
    one_by_one = _answers(told.get("answers", ()), near={epoch for _, epoch in near})
    moods = {day: (sum(answer.mood for answer in said), len(said)) for day, said in one_by_one.items()}
    moods.update((day, (total, count)) for day, total, count in _rows(told.get("moods", ())))
    used, abstained = _substances(told["substances"])
    first_at, last_at = (None if epoch is None else datetime.fromtimestamp(epoch, UTC) for epoch in told["ends"])
    return Readings(
        moods=moods,
        answers=one_by_one,
        near_days=frozenset(day for day, _ in near),
        exercise={day: Exercise(minutes) for day, minutes in _rows(told["exercise"])},
        sleep={day: Sleep(minutes, quality) for day, minutes, quality in _rows(told["sleep"])},
        nutrition={day: Nutrition(*values) for day, *values in _rows(told["nutrition"])},
        used=used,
        abstained=abstained,
        sessions=[_session(*row) for row in told["sessions"]],
        annotations=[_annotation(zones, *row) for row in told["annotations"]],
        first_at=first_at,
        last_at=last_at,
    )


@lru_cache(maxsize=128)
def _literal(starts: tuple[datetime, ...]) -> str:
    """The boundaries as PostgreSQL writes an array; patients of one zone share it, and quoting 730 costs 2 ms."""
    return "{" + ",".join(start.isoformat() for start in starts) + "}"


def _rows(columns: Sequence[Sequence[Any] | None]) -> list[tuple[Any, ...]]:
    """Arrays side by side as rows; PostgreSQL aggregates no row to null."""
    return list(zip(*columns, strict=True)) if columns and columns[0] is not None else []


def _answers(columns: Sequence[Sequence[Any] | None], *, near: Container[float]) -> dict[int, list[Answer]]:
    days: dict[int, list[Answer]] = {}
    for day, epoch, mood in _rows(columns):
        days.setdefault(day, []).append(Answer(mood, epoch in near))
    return days


def _substances(rows: Sequence[Any]) -> tuple[dict[int, tuple[str, ...]], dict[int, tuple[str, ...]]]:
    """(used, abstained) by day. Two answers for one substance and day are one, and yes wins."""
    used: dict[int, tuple[str, ...]] = {}
    abstained: dict[int, tuple[str, ...]] = {}
    for substance, was_used, days in rows:
        into = used if was_used else abstained
        for day in days:
            into[day] = (*into.get(day, ()), substance)
    return used, abstained


def _session(session: str, started: float, ended: float | None, route: str, dose_mg: float | None) -> Marker:
    return Marker(
        kind="session",
        at=datetime.fromtimestamp(started, UTC),
        session=uuid.UUID(session),
        ended_at=None if ended is None else datetime.fromtimestamp(ended, UTC),
        route=route,
        dose_mg=dose_mg,
    )


def _annotation(zones: ZoneHistory, annotation: str, placed: float, until: str | None, private: bool) -> Marker:
    day = None if until is None else date.fromisoformat(until)
    return Marker(
        kind="annotation",
        at=datetime.fromtimestamp(placed, UTC),
        annotation=uuid.UUID(annotation),
        ended_at=None if day is None else calendar.day_starts(zones=zones, since=day, until=day)[0],
        private=private,
    )
