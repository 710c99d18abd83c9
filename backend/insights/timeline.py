"""One list of what happened to a patient, newest first, read by one statement that costs the same at any depth.

Each kind of entry is a branch that walks its own index from where the page begins and stops at the page's length. What
has a date and no hour (a substance log) stands at the start of that day where the patient lived; that place is computed
here and never in the database (GOALS.md, traps). Notes are not read by the statement but by those who keep them.
"""

import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from operator import itemgetter
from typing import Annotated, Any, NamedTuple

import orjson
from django.db import connection, models
from msgspec import Meta, Struct

from backend.accounts import notes
from backend.accounts.access import Record
from backend.aftercare.entries import CLOCK_GRACE
from backend.aftercare.models import MoodCheckIn, SubstanceLog
from backend.insights import days as calendar
from backend.insights import telling
from backend.insights.telling import Facts
from backend.treatment import annotations
from backend.treatment.models import Annotation, SideEffect

# Ours, as in `attention.LOW_WEEK`: a check-in at or below this stands in the timeline without a note too.
LOW_MOOD = 3


class Pointer(Struct, frozen=True):
    """The record that an entry tells of."""

    type: Annotated[str, Meta(examples=["mood_check_in"])]
    id: uuid.UUID


class TimelineEntry(Struct, frozen=True):
    """Something that happened. `on` is the day of what has no hour; `at` is then where that day began."""

    id: uuid.UUID
    kind: str
    at: datetime
    on: date | None
    title: str
    detail: str | None
    about: Pointer


class Place(NamedTuple):
    """Where an entry stands; no two share one. `day` is the first day there is for what has an hour."""

    at: datetime
    kind: str
    day: date
    id: uuid.UUID


class Branch(NamedTuple):
    """How one kind of entry is read, told and named; `time` is an instant's column, or a date's with `by_date`."""

    source: str
    time: str
    facts: str
    tell: Callable[[Facts], tuple[str, str | None]]
    about: str
    model: type[models.Model] | None = None
    id: str = "t.id"
    by_date: bool = False


_HERE = "(%(clinic)s::uuid IS NULL OR {0}.clinic_id = %(clinic)s)"
_MINUTES = "'minutes', round(date_part('epoch', t.ended_at - t.started_at) / 60)::int"
BRANCHES: Mapping[str, Branch] = {
    "annotation": Branch(
        "treatment_annotation t WHERE t.patient_id = %(patient)s AND t.deleted_at IS NULL "
        f"AND {_HERE.format('t')} AND (%(clinic)s::uuid IS NOT NULL OR t.private_at IS NULL)",
        "t.placed_at",
        "'noted', true",
        lambda facts: ("", None),
        "annotation",
    ),
    "appointment": Branch(
        "aftercare_occurrence t JOIN aftercare_appointment a ON a.id = t.appointment_id AND a.deleted_at IS NULL "
        f"AND {_HERE.format('a')} WHERE t.patient_id = %(patient)s",
        "t.starts_at",
        "'kind', a.kind, 'status', t.status, 'place', a.place, 'about', a.id",
        telling.appointment,
        "appointment",
    ),
    "check_in": Branch(
        "aftercare_moodcheckin t WHERE t.patient_id = %(patient)s AND t.deleted_at IS NULL "
        f"AND (t.mood <= {LOW_MOOD} OR t.note <> '')",
        "t.felt_at",
        "'mood', t.mood, 'noted', t.note <> ''",
        telling.check_in,
        "mood_check_in",
        MoodCheckIn,
    ),
    "session": Branch(
        f"treatment_session t WHERE t.patient_id = %(patient)s AND t.deleted_at IS NULL AND {_HERE.format('t')}",
        "coalesce(t.started_at, t.planned_at)",
        f"'status', t.status, 'route', t.route, 'dose_mg', t.dose_mg::float8, 'began', t.started_at, {_MINUTES}",
        telling.session,
        "session",
    ),
    "side_effect": Branch(
        "treatment_sideeffect t WHERE t.patient_id = %(patient)s AND t.deleted_at IS NULL",
        "t.started_at",
        f"'kind', t.kind, 'severity', t.severity, 'noted', t.note <> '', {_MINUTES}",
        telling.side_effect,
        "side_effect",
        SideEffect,
    ),
    "substance_use": Branch(
        "aftercare_substancelog t WHERE t.patient_id = %(patient)s AND t.deleted_at IS NULL AND t.used",
        "t.day",
        "'substance', t.substance, 'amount', t.amount::float8, 'unit', t.unit, 'noted', t.note <> ''",
        telling.substance_use,
        "substance_log",
        SubstanceLog,
        by_date=True,
    ),
    # Where the patient lived first is no change.
    "zone_change": Branch(
        "accounts_zonestay t WHERE t.person_id = %(patient)s "
        "AND t.since_at > (SELECT min(s.since_at) FROM accounts_zonestay s WHERE s.person_id = %(patient)s)",
        "t.since_at",
        "'zone', t.time_zone",
        telling.zone_change,
        "patient",
        id="NULL::uuid",
    ),
}
KINDS = tuple(BRANCHES)


class Found(NamedTuple):
    """A row of the statement, put in its place."""

    place: Place
    on: date | None
    facts: Facts


def page(
    record: Record,
    *,
    now: datetime,
    limit: int,
    kind: str | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
    beyond: Place | None = None,
    backwards: bool = False,
) -> tuple[list[tuple[Place, TimelineEntry]], bool]:
    """Up to `limit` entries of an opened record, newest first, and whether more lie beyond them.

    Entries begin after `beyond`, or end before it when read `backwards`. What lies ahead has not happened: an entry
    from a phone whose clock runs ahead by up to `CLOCK_GRACE` is the latest that is told.
    """
    latest = now + CLOCK_GRACE
    closes = latest if until is None else min(until, latest)
    bounds = _Bounds(record, since=since, closes=closes, beyond=beyond, backwards=backwards)
    kinds = KINDS if kind is None else (kind,)
    given: dict[str, Any] = {"patient": record.patient.id, "clinic": record.clinic_id, "count": limit + 1}
    with connection.cursor() as cursor:
        cursor.execute(_statement(kinds, bounds, given), given)
        rows = [(_placed(record, *row[:4]), row[3], row[4]) for row in cursor.fetchall()]
    rows.sort(key=itemgetter(0), reverse=not backwards)
    more, chosen = len(rows) > limit, [Found(place, on, orjson.loads(facts)) for place, on, facts in rows[:limit]]
    if backwards:
        chosen.reverse()
    return list(zip([row.place for row in chosen], _told(record, chosen), strict=True)), more


class _Bounds(NamedTuple):
    """From where to where a page may reach; `closes` is not included."""

    record: Record
    since: datetime | None
    closes: datetime
    beyond: Place | None
    backwards: bool

    def conditions(self, kind: str, branch: Branch, given: dict[str, Any]) -> list[str]:
        """The same bounds as the branch's column says them."""
        limits: list[tuple[str, datetime]] = [("<", self.closes), *([(">=", self.since)] if self.since else [])]
        word = ">" if self.backwards else "<"
        found = []
        if self.beyond is not None and kind == self.beyond.kind and branch.id == "t.id":
            edge = self.beyond.day if branch.by_date else self.beyond.at
            given |= {"edge": edge, "edge_id": self.beyond.id}
            # The first condition says nothing new; it lets the index begin where the page does.
            found.append(f"{branch.time} {word}= %(edge)s AND ({branch.time}, t.id) {word} (%(edge)s, %(edge_id)s)")
        elif self.beyond is not None:
            # Of another kind at the same instant: its name decides.
            ahead = kind > self.beyond.kind if self.backwards else kind < self.beyond.kind
            limits.append((f"{word}=" if ahead else word, self.beyond.at))
        for position, (sign, at) in enumerate(limits):
            name = f"{kind}_{position}"
            sign, given[name] = self._by_date(sign, at) if branch.by_date else (sign, at)
            found.append(f"{branch.time} {sign} %({name})s")
        return found

    def _by_date(self, sign: str, at: datetime) -> tuple[str, date]:
        """A bound for the starts of days as one for the days themselves."""
        last = first = calendar.day_of(zones=self.record.zones, at=at)
        if _starts(self.record, last) < at:
            return ("<=" if sign in {"<", "<="} else ">"), last
        while _starts(self.record, first - timedelta(days=1)) == at:  # a date that the calendar skipped has no length
            first -= timedelta(days=1)
        return sign, first if sign in {"<", ">="} else last


def _statement(kinds: Iterable[str], bounds: _Bounds, given: dict[str, Any]) -> str:
    """The branches as one statement: those with hours are put in order by the database, the others join them here."""
    by_hour = [_select(kind, bounds, given) for kind in kinds if not BRANCHES[kind].by_date]
    by_date = [_select(kind, bounds, given) for kind in kinds if BRANCHES[kind].by_date]
    if len(by_hour) > 1:
        way = "" if bounds.backwards else " DESC"
        together = " UNION ALL ".join(by_hour)
        by_hour = [f"(SELECT * FROM ({together}) AS t ORDER BY at{way}, kind{way}, id{way} LIMIT %(count)s)"]  # noqa: S608
    return " UNION ALL ".join([*by_hour, *by_date])


def _select(kind: str, bounds: _Bounds, given: dict[str, Any]) -> str:
    branch = BRANCHES[kind]
    time = f"NULL::timestamptz AS at, {branch.time}" if branch.by_date else f"{branch.time} AS at, NULL::date"
    where = " AND ".join(bounds.conditions(kind, branch, given))
    falling = "" if bounds.backwards else " DESC"
    tie = f", t.id{falling}" if branch.id == "t.id" else ""
    return (
        f"(SELECT '{kind}' COLLATE \"C\" AS kind, {branch.id} AS id, {time} AS day, "  # noqa: S608
        f"json_build_object({branch.facts})::text AS facts "
        f"FROM {branch.source} AND {where} ORDER BY {branch.time}{falling}{tie} LIMIT %(count)s)"
    )


def _placed(record: Record, kind: str, id: uuid.UUID | None, at: datetime | None, on: date | None) -> Place:
    if at is None:
        assert on is not None  # noqa: S101 - a row has the one or the other
        at = _starts(record, on)
    return Place(at, kind, on or date.min, id or uuid.uuid5(record.patient.id, at.isoformat()))


def _starts(record: Record, day: date) -> datetime:
    return calendar.day_starts(zones=record.zones, since=day, until=day)[0]


def _told(record: Record, rows: Sequence[Found]) -> list[TimelineEntry]:
    """The rows as entries, with their notes: at most one query for each kind that has any on this page."""
    said: dict[uuid.UUID, str] = {}
    for kind, branch in BRANCHES.items():
        if branch.model and (noted := [row.place.id for row in rows if row.place.kind == kind and row.facts["noted"]]):
            held = list(branch.model._default_manager.filter(id__in=noted).values("id", "patient_id", "note"))
            opened = notes.opened(branch.model._meta.db_table, held, ("note",))
            said |= {row["id"]: _read(text["note"]) for row, text in zip(held, opened, strict=True)}
    written = {
        row.id: row
        for row in annotations.visible(record)
        .select_related("author")
        .filter(id__in=[row.place.id for row in rows if row.place.kind == "annotation"])
    }
    authors = annotations.authors(list(written.values()), own=record.own)
    said |= {id: _read(text) for id, text in annotations.texts(list(written.values())).items()}
    return [
        _annotated(row, written[row.place.id], authors[row.place.id]["name"], said[row.place.id])
        if row.place.kind == "annotation"
        else _entry(record, row, said.get(row.place.id))
        for row in rows
    ]


def _read(text: str | None) -> str:
    return telling.UNREADABLE if text is None else text


def _entry(record: Record, row: Found, note: str | None) -> TimelineEntry:
    branch = BRANCHES[row.place.kind]
    title, detail = branch.tell(row.facts)
    about = record.patient.id if branch.about == "patient" else uuid.UUID(row.facts.get("about") or str(row.place.id))
    return TimelineEntry(
        row.place.id, row.place.kind, row.place.at.astimezone(UTC), row.on, title, note or detail,
        Pointer(branch.about, about),
    )  # fmt: skip


def _annotated(row: Found, annotation: Annotation, author: str, text: str) -> TimelineEntry:
    title = telling.annotation(
        author=author,
        since_on=annotation.about_since_on,
        until_on=annotation.about_until_on,
        private=annotation.private_at is not None,
    )
    return TimelineEntry(
        row.place.id, row.place.kind, row.place.at.astimezone(UTC), annotation.about_since_on, title, text,
        Pointer("annotation", annotation.id),
    )  # fmt: skip
