"""A rule is understood exactly or refused with a message that says why."""

import contextlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backend.reminders.rrule import Rule, RuleError, parse


def test_every_supported_part_is_read():
    rule = parse(
        "RRULE:FREQ=MONTHLY;INTERVAL=2;BYDAY=2MO,-1FR,SU;BYMONTHDAY=1,-1;BYHOUR=9,21;BYMINUTE=30;BYSETPOS=-1;COUNT=5"
    )
    assert rule == Rule(
        freq="MONTHLY",
        interval=2,
        by_day=((-1, 4), (0, 6), (2, 0)),
        by_month_day=(-1, 1),
        by_hour=(9, 21),
        by_minute=(30,),
        by_set_pos=(-1,),
        count=5,
    )


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "not a part of a rule"),
        ("BYDAY=MO", "FREQ must be one of"),
        ("FREQ=YEARLY", "FREQ must be one of"),
        ("FREQ=HOURLY", "FREQ must be one of"),
        ("FREQ=DAILY;FREQ=DAILY", "FREQ is given twice"),
        ("FREQ=DAILY;BYMONTH=1", "BYMONTH is not supported"),
        ("FREQ=DAILY;BYSECOND=1", "BYSECOND is not supported"),
        ("FREQ=DAILY;BYWEEKNO=1", "BYWEEKNO is not supported"),
        ("FREQ=DAILY;BYYEARDAY=1", "BYYEARDAY is not supported"),
        ("FREQ=WEEKLY;WKST=SU", "WKST is not supported"),
        ("FREQ=DAILY;X-THING=1", "X-THING is not supported"),
        ("FREQ=DAILY;INTERVAL=0", "INTERVAL"),
        ("FREQ=DAILY;INTERVAL=1,2", "INTERVAL takes one number"),
        ("FREQ=DAILY;INTERVAL=-1", "INTERVAL"),
        ("FREQ=DAILY;INTERVAL=1.5", "INTERVAL"),
        ("FREQ=DAILY;INTERVAL=\u0661", "INTERVAL"),
        ("FREQ=DAILY;COUNT=0", "COUNT"),
        ("FREQ=DAILY;COUNT=2;UNTIL=20261231T210000", "exclude each other"),
        ("FREQ=DAILY;UNTIL=20261231", "UNTIL"),
        ("FREQ=DAILY;UNTIL=20260231T000000", "UNTIL"),
        ("FREQ=DAILY;UNTIL=2026-12-31T21:00:00", "UNTIL"),
        ("FREQ=DAILY;UNTIL=22000101T000000", "UNTIL.*between 1900 and 2200"),
        ("FREQ=DAILY\nRDATE:00010101T000000", "RDATE.*between 1900 and 2200"),
        ("FREQ=DAILY\nRDATE:99991231T233000Z", "RDATE.*between 1900 and 2200"),
        ("FREQ=DAILY\nEXDATE:99991231T235959", "EXDATE.*between 1900 and 2200"),
        ("FREQ=WEEKLY;BYDAY=XX", "BYDAY"),
        ("FREQ=WEEKLY;BYDAY=1MO", "needs FREQ=MONTHLY"),
        ("FREQ=MONTHLY;BYDAY=6MO", "BYDAY"),
        ("FREQ=MONTHLY;BYDAY=0MO", "BYDAY"),
        ("FREQ=WEEKLY;BYMONTHDAY=1", "BYMONTHDAY cannot"),
        ("FREQ=MONTHLY;BYMONTHDAY=0", "BYMONTHDAY"),
        ("FREQ=MONTHLY;BYMONTHDAY=32", "BYMONTHDAY"),
        ("FREQ=DAILY;BYHOUR=24", "BYHOUR"),
        ("FREQ=DAILY;BYHOUR=-1", "BYHOUR"),
        ("FREQ=DAILY;BYMINUTE=60", "BYMINUTE"),
        ("FREQ=DAILY;BYSETPOS=1", "BYSETPOS needs another"),
        ("FREQ=DAILY;BYHOUR=9;BYSETPOS=0", "BYSETPOS"),
        ("FREQ=DAILY\nEXDATE;TZID=Asia/Kolkata:20261231T210000", "without parameters"),
        ("FREQ=DAILY\nDTSTART:20261231T210000", "not a part of a rule"),
        ("FREQ=DAILY;" + "BYHOUR=1" * 1000, "longer than"),
    ],
)
def test_what_is_not_supported_is_refused_with_a_reason(text, said):
    with pytest.raises(RuleError, match=said):
        parse(text)


@settings(max_examples=500, deadline=None)
@given(st.text(alphabet="FREQDAILYWKMONTHBSPCU=;,:0123456789-+\n\x00é", max_size=60) | st.text(max_size=60))
def test_no_text_breaks_the_reader(text):
    with contextlib.suppress(RuleError):
        assert parse(text).freq in ("DAILY", "WEEKLY", "MONTHLY")
