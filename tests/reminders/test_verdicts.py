"""Whatever rules and answers come together: no reminder in quiet hours, no more than the cap, safety always goes."""

import uuid
from dataclasses import dataclass, replace
from datetime import UTC, datetime, time, timedelta
from itertools import count

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from backend.common import clock
from backend.reminders import schedule, verdicts
from backend.reminders.codes import Purpose, ReminderClass, Status
from backend.reminders.walltime import instant, wall

PERSON, CLINIC = uuid.uuid4(), uuid.uuid4()
START = datetime(2026, 4, 3, tzinfo=UTC)  # a weekend on which Lord Howe turns its clocks back
ZONES = ("Asia/Kolkata", "America/New_York", "Australia/Lord_Howe")


@dataclass(frozen=True)
class Row:
    """A due reminder as the claim reads it."""

    purpose: str
    due_at: datetime
    time_zone: str = "Asia/Kolkata"
    home_zone: str = ""
    quiet_from: time | None = None
    quiet_until: time | None = None
    window_minutes: int = 120
    channels: tuple[str, ...] = ("email",)
    status: str = Status.PLANNED
    send_at: datetime | None = None
    expires_at: datetime | None = None
    daily_cap: int | None = None
    nudge_minutes: int | None = None
    muted_at: datetime | None = None
    paused_from_at: datetime | None = None
    paused_until_at: datetime | None = None
    unanswered_since_at: datetime | None = None
    clinic_id: uuid.UUID | None = CLINIC
    person_id: uuid.UUID = PERSON
    rrule: str | None = "FREQ=DAILY"
    start_local: datetime | None = None
    anchor_at: datetime | None = None
    offsets: tuple = ()
    id: int = 0

    @property
    def reminder_class(self):
        return Purpose(self.purpose).facts.reminder_class


def planned(purpose, due_at, **facts):
    row = Row(purpose, due_at, window_minutes=Purpose(purpose).facts.window, **facts)
    slot = schedule.place(row, due_at=due_at)
    return replace(row, send_at=slot.send_at, expires_at=slot.expires_at)


def judge(row, now=None, told=()):
    now = now or row.send_at
    return verdicts.judge(row, now=now, tally=verdicts.Tally({verdicts.day_of(row, now): number for number in told}))


def at(hour, minute=0, *, zone="Asia/Kolkata", day=24):
    return instant(datetime(2026, 11, day, hour, minute), clock.zone(zone))  # noqa: DTZ001  (wall time)


NIGHT = {"quiet_from": time(22), "quiet_until": time(7)}


@pytest.mark.parametrize(
    ("purpose", "hour", "leaves_at", "verdict"),
    [
        ("check_in", 5, at(7), ("due", "")),
        ("own", 5, at(5), ("skipped", "quiet_hours")),  # its two hours end with the quiet hours
        ("check_in", 23, at(23), ("skipped", "quiet_hours")),
        ("day_check", 23, at(7, day=25), ("due", "")),
        ("questionnaire", 23, at(7, day=25), ("due", "")),
        ("alert", 3, at(3), ("due", "")),
    ],
)
def test_what_falls_into_quiet_hours_waits_while_it_makes_sense_then(purpose, hour, leaves_at, verdict):
    row = planned(purpose, at(hour), **NIGHT)
    assert row.send_at == leaves_at
    assert (judge(row).status, judge(row).reason) == verdict


def test_what_comes_late_into_quiet_hours_waits_or_is_skipped():
    habit = planned("check_in", at(21, 50), **NIGHT)
    assert judge(habit, at(22, 10)).reason == "quiet_hours"
    care = planned("day_check", at(21, 50), **NIGHT)
    assert judge(care, at(22, 10)).send_at == at(7, day=25)
    told = planned("appointment", at(21, 50), anchor_at=at(21, 50, day=25), **NIGHT)
    assert judge(told, at(22)).status == "due"  # it was made just now, or leaves at the start of the quiet hours
    assert judge(told, at(3, day=25)).send_at == at(7, day=25)


def test_quiet_hours_and_days_are_those_of_where_one_lives():
    row = planned(
        "own", at(15, zone="America/New_York"), time_zone="America/New_York", home_zone="Asia/Kolkata", **NIGHT
    )
    assert judge(row).reason == "quiet_hours"  # half past one at night in Mumbai
    assert verdicts.day_of(row, row.due_at).from_at == at(0, day=25)


@pytest.mark.parametrize("zone", ZONES)
def test_a_day_is_the_persons_own_and_may_have_23_to_25_hours(zone):
    row = planned("own", START, time_zone=zone)
    now, lengths = START - timedelta(days=60), set()
    for _ in range(400):
        day = verdicts.day_of(row, now)
        assert day.from_at <= now < day.until_at
        assert wall(day.from_at, clock.zone(zone)).time() == time()
        lengths.add(day.until_at - day.from_at)
        now += timedelta(hours=23)
    hours = {length.total_seconds() / 3600 for length in lengths}
    assert hours == {"Asia/Kolkata": {24}, "America/New_York": {23, 24, 25}}.get(zone, {23.5, 24, 24.5})


def test_a_pause_skips_habits_and_puts_care_off():
    session = {"paused_from_at": at(10), "paused_until_at": at(12)}
    assert judge(planned("own", at(10), **session)).reason == "in_session"
    assert judge(planned("own", at(11, 59), **session), at(12, 1)).reason == "in_session"
    assert judge(planned("own", at(12), **session)).status == "due"
    assert judge(planned("questionnaire", at(11), **session)).send_at == at(12)
    assert judge(planned("session", at(10), anchor_at=at(11), **session)).reason == "in_session"
    assert judge(planned("appointment", at(11), anchor_at=at(11, day=25), **session)).send_at == at(12)
    assert judge(planned("alert", at(11), **session)).status == "due"


def test_three_silent_days_end_the_nagging_where_there_is_a_clinic_to_be_told():
    silent = {"unanswered_since_at": at(21, day=21)}
    assert judge(planned("check_in", at(21, day=23), **silent)).unanswered_since_at == at(21, day=21)
    verdict = judge(planned("check_in", at(21), **silent))
    assert (verdict.reason, verdict.unanswered_since_at) == ("gone_silent", at(21, day=21))
    assert judge(planned("check_in", at(21), clinic_id=None, **silent)).status == "due"
    assert judge(planned("own", at(21), **silent)).status == "due"
    assert judge(planned("check_in", at(21))).unanswered_since_at == at(21)


@pytest.mark.parametrize(
    ("facts", "nudged"),
    [
        ({}, at(22)),
        ({"nudge_minutes": None}, None),
        ({"nudge_minutes": 150}, None),  # its window is over by then
        ({"quiet_from": time(22), "quiet_until": time(7)}, None),
        ({"channels": ()}, None),  # the inbox needs none
        ({"status": Status.SNOOZED}, None),
    ],
)
def test_one_nudge_within_the_window_and_outside_of_quiet_hours(facts, nudged):
    row = replace(planned("check_in", at(21), nudge_minutes=60), **facts)
    assert judge(row).nudge_at == nudged


def rows():
    zone = st.sampled_from(ZONES)
    hours = st.tuples(st.integers(0, 23), st.integers(0, 23)).map(lambda pair: (time(pair[0]), time(pair[1])))
    return st.fixed_dictionaries(
        {
            "zone": zone,
            "quiet": st.none() | hours,
            "cap": st.none() | st.integers(1, 3),
            "pause": st.none() | st.tuples(st.integers(0, 96), st.integers(1, 8)),
            "rules": st.lists(
                st.tuples(st.sampled_from(["own", "own", "target", "target", "check_in", "questionnaire", "alert"]),
                          st.integers(0, 23), st.integers(0, 3).map(lambda number: number == 3), st.booleans()),
                min_size=4, max_size=14,
            ),
            # Late for a while, then in time: who is always late by more than the waking hours would wait for ever.
            "late": st.lists(st.integers(0, 300), max_size=40),
            "answers": st.sets(st.integers(0, 200), max_size=40),
        }
    )  # fmt: skip


@settings(max_examples=120, deadline=None, phases=[Phase.generate])  # to shrink a world takes minutes
@given(rows())
def test_whatever_comes_together(world):
    """Four days of a person's rules, claimed late now and then and answered at times, as the claim does it."""
    zone = clock.zone(world["zone"])
    start, pause = START, {}
    if world["pause"]:
        pause["paused_from_at"] = start + timedelta(hours=world["pause"][0])
        pause["paused_until_at"] = pause["paused_from_at"] + timedelta(hours=world["pause"][1])
    quiet = dict(zip(("quiet_from", "quiet_until"), world["quiet"], strict=True)) if world["quiet"] else {}
    sent, nudges, safe, lateness, ids = [], {}, 0, iter(world["late"]), count(1)
    waiting, expected = [], 0
    first = wall(start, zone).date()
    for purpose, hour, muted, wants_nudge in world["rules"]:
        for day in range(4):
            due_at = instant(datetime.combine(first + timedelta(days=day), time(hour)), zone)
            waiting.append(
                replace(
                    planned(
                        purpose, due_at, time_zone=world["zone"], daily_cap=world["cap"], **quiet, **pause,
                        muted_at=start if muted else None, nudge_minutes=60 if wants_nudge else None,
                    ),
                    id=next(ids),
                )
            )  # fmt: skip
            expected += purpose == "alert"
    while waiting:
        waiting.sort(key=lambda row: row.send_at)
        now = waiting[0].send_at + timedelta(minutes=next(lateness, 0))
        batch = sorted((row for row in waiting if row.send_at <= now), key=verdicts.importance)
        waiting = [row for row in waiting if row.send_at > now]
        told = {}
        for row in batch:
            if verdicts.is_capped(row):
                day = verdicts.day_of(row, now)
                ranks = [verdicts._IMPORTANCE.get(each.purpose, 9) < verdicts._IMPORTANCE[row.purpose]
                         and each.send_at < day.until_at for each in [*waiting, *batch]]  # fmt: skip
                earlier = [1 for each, when in sent if day.from_at <= when < day.until_at
                           and each.reminder_class == ReminderClass.HABIT]  # fmt: skip
                told[day] = sum(ranks) + len(earlier)
        tally = verdicts.Tally(told)
        for row in batch:
            verdict = verdicts.judge(row, now=now, tally=tally)
            if verdict.put_off:
                assert verdict.send_at > now
                waiting.append(replace(row, send_at=verdict.send_at, expires_at=verdict.expires_at or row.expires_at))
            elif verdict.goes_out:
                sent.append((row, now))
                safe += row.purpose == "alert"
                if verdict.nudge_at and row.id not in world["answers"]:
                    nudges[row.id] = nudges.get(row.id, 0) + 1
                    assert now < verdict.nudge_at < row.expires_at
                    assert schedule.quiet_span(row, verdict.nudge_at) is None
            else:
                assert verdict.reason
    assert safe == expected
    assert all(number == 1 for number in nudges.values())
    days = {}
    for row, now in sent:
        if row.reminder_class == ReminderClass.SAFETY:
            continue
        assert row.muted_at is None
        assert schedule.quiet_span(row, now) is None
        assert not (pause and pause["paused_from_at"] <= now < pause["paused_until_at"])
        if row.purpose in {"own", "target"}:
            day = wall(now, zone).date()
            days[day] = days.get(day, 0) + 1
    assert all(number <= (world["cap"] or verdicts.DAILY_CAP) for number in days.values())
