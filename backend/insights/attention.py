"""Who needs the care team today, and why: a reason in words before any number. Pure; computed at each read.

Nothing here is a diagnosis. A reason says what was seen and how it compares with the patient's own weeks before; it
never says what it means. All thresholds are ours (DOMAIN.md names the risk window) and stand as constants.
"""

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from enum import StrEnum
from statistics import fmean

import msgspec
from msgspec import Struct

from backend.common import clock
from backend.insights import words
from backend.insights.series import NEAR_SESSION, is_silent, silences
from backend.insights.spark import RISK_FROM_DAY, RISK_TO_DAY

# The last 7 days are held against the 28 before them.
RECENT_DAYS, BEFORE_DAYS = 7, 28
WINDOW_DAYS = RECENT_DAYS + BEFORE_DAYS
RECENT_NEEDS, BEFORE_NEEDS = 4, 10
# Points of 10. A week's mean moves by less than this in most people whose state does not change.
LOWER_BY, MUCH_LOWER_BY = 1.5, 2.5
# A week's mean, or a last answer, at or below this is said even when it is nothing new: low is not the same as well.
LOW_WEEK, LOW_ANSWER, LOW_KNOWN_DAYS = 3.0, 1, 2
SEVERE_KNOWN_DAYS = 3
# DOMAIN.md, 'Adherence': after three silent days tell the clinic.
SILENT_TODAY_DAYS = 3
LAPSE_KNOWN_DAYS = 3
SOON_HOURS = 48


class Level(StrEnum):
    """Where a patient stands in the panel, the most pressing first. `now` is for safety alerts alone."""

    NOW = "now"
    TODAY = "today"
    WATCH = "watch"
    STEADY = "steady"


_ORDER = {level: position for position, level in enumerate(Level)}


class Visit(Struct, frozen=True):
    """A session or appointment to come. `kind`: session, follow_up, therapy or treatment.

    `mine`: a session, or an appointment with the reader or with nobody named.
    """

    kind: str
    at: datetime
    move_asked: bool = False
    mine: bool = True


class Glance(Struct, frozen=True):
    """What the panel knows of one patient. Days are the patient's own and end with `today`.

    `means` and `answers` cover WINDOW_DAYS days, oldest first; `session_days` are positions in them. Since
    `unanswered_since` nobody answers reminders, so that none are sent any more.
    """

    today: date
    means: Sequence[float | None]
    answers: Sequence[int]
    means_7d: Sequence[float | None]
    session_days: frozenset[int] = frozenset()
    last_at: datetime | None = None
    last_on: date | None = None
    last_mood: int | None = None
    last_session_on: date | None = None
    last_use: tuple[str, date] | None = None
    severe_effect: tuple[str, date] | None = None
    visits: Sequence[Visit] = ()
    unanswered_since: date | None = None


class Reason(Struct, frozen=True):
    """Why a patient is where they are: a code for programs, a sentence, a second fact, how pressing."""

    code: str
    text: str
    detail: str
    level: Level


class Standing(Struct, frozen=True):
    """A patient's place in the panel, with the reasons, the most pressing first; there is always one.

    `mood` is the 7-day mean of the last day that was not silent, `mood_on` that day.
    """

    level: Level
    reasons: tuple[Reason, ...]
    silent_days: int
    since_session_days: int | None
    mood: float | None
    mood_on: date | None
    before: float | None
    answered_7: int

    @property
    def in_risk_weeks(self) -> bool:
        """Whether the last session was 10 to 60 days ago."""
        return self.since_session_days is not None and RISK_FROM_DAY <= self.since_session_days <= RISK_TO_DAY


def standing(glance: Glance, *, now: datetime, zone: str) -> Standing:
    """Where the patient stands at `now`; times are told in the reader's `zone`."""
    hushed = is_silent(last_at=glance.last_at, now=now)
    recent, before = _compared(glance)
    mood_on, mood = _latest(glance, silent_now=hushed)
    bare = Standing(
        level=Level.STEADY,
        reasons=(),
        silent_days=(glance.today - glance.last_on).days if hushed and glance.last_on else 0,
        since_session_days=(glance.today - glance.last_session_on).days if glance.last_session_on else None,
        mood=mood,
        mood_on=mood_on,
        before=before,
        answered_7=sum(1 for count in glance.answers[-RECENT_DAYS:] if count),
    )
    found = [
        *_severe(glance),
        *_lower(bare, recent=recent, before=before),
        *([] if _lower(bare, recent=recent, before=before) else _low(glance, bare)),
        *_silent(glance, bare),
        *_soon(glance, now=now, zone=zone),
        *_lapse(glance),
    ]
    found.sort(key=lambda reason: _ORDER[reason.level])
    reasons = tuple(found) or (_steady(glance, bare, recent=recent, now=now, zone=zone),)
    return msgspec.structs.replace(bare, level=reasons[0].level, reasons=reasons)


_WEIGHT = ("severe_effect", "mood_lower", "mood_low", "silent", "no_entry", "move_asked", "soon", "lapse", "steady")
_SEEN = frozenset({"severe_effect", "mood_lower", "mood_low", "silent", "lapse"})


def rank(standing: Standing) -> tuple[int, int, int, int]:
    """The order of a panel: the level, more that was seen in the patient, the weightier reason, the longer silence."""
    seen = sum(1 for reason in standing.reasons if reason.code in _SEEN)
    weight = _WEIGHT.index(standing.reasons[0].code)
    return _ORDER[standing.level], -seen, weight, -standing.silent_days


def _latest(glance: Glance, *, silent_now: bool) -> tuple[date | None, float | None]:
    """The 7-day mean that the thick line ends with, if that is at most a week old, and its day."""
    last = len(glance.means_7d) - 1
    hushed = silences([count > 0 for count in glance.answers], silent_now=silent_now)
    silent = {position for s in hushed for position in range(s.first, s.last + 1)}
    for position in range(last, last - RECENT_DAYS, -1):
        mean = glance.means_7d[position]
        if mean is not None and position not in silent:
            return glance.today - timedelta(days=last - position), mean
    return None, None


def _compared(glance: Glance) -> tuple[float | None, float | None]:
    """Mean mood of the last 7 days and of the 28 before, without the days that a session's 24 hours touch."""
    near = {position + after for position in glance.session_days for after in range(NEAR_SESSION.days + 1)}
    kept = [None if position in near else mean for position, mean in enumerate(glance.means)]
    recent = [mean for mean in kept[-RECENT_DAYS:] if mean is not None]
    before = [mean for mean in kept[:-RECENT_DAYS] if mean is not None]
    return (
        fmean(recent) if len(recent) >= RECENT_NEEDS else None,
        fmean(before) if len(before) >= BEFORE_NEEDS else None,
    )


def _silent(glance: Glance, bare: Standing) -> list[Reason]:
    if glance.last_on is None and glance.unanswered_since is not None:
        text = f"Silent for {words.counted((glance.today - glance.unanswered_since).days, 'day')}"
        return [Reason("silent", text, "No check-in yet, and reminders went unanswered", Level.TODAY)]
    if glance.last_on is None:
        return [Reason("no_entry", "No check-in yet", "The trend begins with the first one", Level.WATCH)]
    if not bare.silent_days:
        return []
    text = f"Silent for {words.counted(bare.silent_days, 'day')}"
    if bare.in_risk_weeks:
        text += ", in the high-risk weeks"
    pressing = bare.in_risk_weeks or bare.silent_days >= SILENT_TODAY_DAYS
    detail = f"Last mood was {glance.last_mood}, on {words.dated(glance.last_on)}"
    return [Reason("silent", text, detail, Level.TODAY if pressing else Level.WATCH)]


def _lower(bare: Standing, *, recent: float | None, before: float | None) -> list[Reason]:
    if recent is None or before is None or before - recent < LOWER_BY:
        return []
    detail = f"Mean of 7 days {words.one_decimal(recent)}, before that {words.one_decimal(before)}"
    if bare.since_session_days is not None:
        detail += f"; day {bare.since_session_days} after the last session"
    pressing = bare.in_risk_weeks or before - recent >= MUCH_LOWER_BY
    return [
        Reason("mood_lower", "Mood lower than the four weeks before", detail, Level.TODAY if pressing else Level.WATCH)
    ]


def _severe(glance: Glance) -> list[Reason]:
    """Severity 3, loss of consciousness (DOMAIN.md, 'Safety alerts'); until alerts exist, the panel is what tells."""
    if glance.severe_effect is None:
        return []
    kind, on = glance.severe_effect
    if not 0 <= (glance.today - on).days <= SEVERE_KNOWN_DAYS:
        return []
    text = f"Severe side effect {_said_on(on, glance)}"
    return [Reason("severe_effect", text, f"{words.substance(kind)}, told by the patient", Level.TODAY)]


def _low(glance: Glance, bare: Standing) -> list[Reason]:
    if bare.mood is not None and bare.mood <= LOW_WEEK:
        return [
            Reason("mood_low", "Mood low, as a mean of 7 days", f"{words.one_decimal(bare.mood)} of 10", Level.WATCH)
        ]
    known = glance.last_on is not None and 0 <= (glance.today - glance.last_on).days <= LOW_KNOWN_DAYS
    if known and glance.last_mood is not None and glance.last_on is not None and glance.last_mood <= LOW_ANSWER:
        text = f"Low mood {_said_on(glance.last_on, glance)}"
        return [Reason("mood_low", text, f"Last answer {glance.last_mood} of 10", Level.WATCH)]
    return []


def _said_on(on: date, glance: Glance) -> str:
    when = words.near(on, today=glance.today)
    return when if when in {"today", "yesterday"} else f"on {when}"


def _lapse(glance: Glance) -> list[Reason]:
    if glance.last_use is None:
        return []
    substance, on = glance.last_use
    if not 0 <= (glance.today - on).days <= LAPSE_KNOWN_DAYS:
        return []
    text = f"Logged a lapse {_said_on(on, glance)}"
    return [Reason("lapse", text, f"{words.substance(substance)}, told by the patient", Level.WATCH)]


def _soon(glance: Glance, *, now: datetime, zone: str) -> list[Reason]:
    found = []
    for visit in glance.visits:
        what = words.visit(visit.kind)
        if visit.at < now or not visit.mine:
            continue
        if visit.move_asked:
            on = words.dated(visit.at.astimezone(clock.zone(zone)).date())
            text = f"Asked to move the {what.lower()} on {on}"
            found.append(Reason("move_asked", text, "Nobody has answered yet", Level.TODAY))
        elif (visit.at - now).total_seconds() <= SOON_HOURS * 3600:
            when = words.moment(visit.at, now=now, zone=zone)
            last = f"Last session {words.short(glance.last_session_on)}" if glance.last_session_on else "No session yet"
            level = Level.TODAY if when.startswith("today") else Level.WATCH
            found.append(Reason("soon", f"{what} {when}", last, level))
    return found


def _steady(glance: Glance, bare: Standing, *, recent: float | None, now: datetime, zone: str) -> Reason:
    text = "Much as in the four weeks before"
    if recent is None or bare.before is None:
        days = sum(1 for mean in glance.means if mean is not None)
        text = f"Too early to compare, {words.counted(days, 'day')} with an entry so far"
    elif recent - bare.before >= LOWER_BY:
        text = "Brighter than the four weeks before"
    coming = min((visit for visit in glance.visits if visit.at >= now), key=lambda visit: visit.at, default=None)
    detail = f"Answered {bare.answered_7} of 7 days"
    if coming is not None:
        detail = f"{words.visit(coming.kind)} {words.moment(coming.at, now=now, zone=zone)}"
    return Reason("steady", text, detail, Level.STEADY)
