"""Reads the text of a recurrence rule: the part of RFC 5545 that a reminder may use, and a refusal of the rest."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache

WEEKDAYS = ("MO", "TU", "WE", "TH", "FR", "SA", "SU")
FREQUENCIES = ("DAILY", "WEEKLY", "MONTHLY")
# What a rule may name; at the ends of the calendar a change of zone alone would leave it.
YEARS = range(1900, 2200)

_NUMBER = re.compile(r"[+-]?[0-9]{1,9}")
_BYDAY = re.compile(r"([+-]?[0-9]{1,2})?(MO|TU|WE|TH|FR|SA|SU)")
_STAMP = re.compile(r"[0-9]{8}T[0-9]{6}Z?")
_LONGEST = 4000  # characters; a rule with a hundred exceptions still fits
_Reader = Callable[[str, str], object]


class RuleError(ValueError):
    """The rule cannot be used; the message says which part and why, in words that can be shown to its author."""


@dataclass(frozen=True, slots=True)
class Rule:
    """A parsed rule. Naive datetimes are wall time in the zone of the series, aware ones are UTC."""

    freq: str
    interval: int = 1
    by_day: tuple[tuple[int, int], ...] = ()  # (ordinal, weekday); ordinal 0: every such day, weekday 0: Monday
    by_month_day: tuple[int, ...] = ()
    by_hour: tuple[int, ...] = ()
    by_minute: tuple[int, ...] = ()
    by_set_pos: tuple[int, ...] = ()
    count: int | None = None
    until: datetime | None = None
    except_at: tuple[datetime, ...] = ()
    extra_at: tuple[datetime, ...] = ()


@lru_cache(maxsize=4096)
def parse(text: str) -> Rule:
    """The rule that `text` means, for example `FREQ=WEEKLY;BYDAY=MO,TH;BYHOUR=21;BYMINUTE=0`.

    `RRULE:` in front is allowed. `EXDATE:` and `RDATE:` follow on lines of their own or as parts of the rule, as local
    `20261224T210000` or UTC `…Z`. Raises `RuleError` for whatever is not supported, so that nothing is misread.
    """
    if len(text) > _LONGEST:
        raise RuleError(f"The rule is longer than {_LONGEST} characters.")
    parts: dict[str, str] = {}
    for line in text.strip().upper().replace("\r\n", "\n").split("\n"):
        for name, value in _parts_of(line):
            if name in parts and name not in ("EXDATE", "RDATE"):
                raise RuleError(f"{name} is given twice.")
            parts[name] = f"{parts[name]},{value}" if name in parts else value
    unknown = sorted(set(parts) - set(_READERS) - {"FREQ", "WKST"})
    if unknown:
        raise RuleError(f"{unknown[0]} is not supported here.")
    freq = parts.pop("FREQ", "")
    if freq not in FREQUENCIES:
        raise RuleError(f"FREQ must be one of {', '.join(FREQUENCIES)}.")
    if parts.pop("WKST", "MO") != "MO":
        raise RuleError("WKST is not supported here: weeks start on Monday.")
    fields = {}
    for name, value in parts.items():
        field, reader = _READERS[name]
        fields[field] = reader(name, value)
    rule = Rule(freq=freq, **fields)  # type: ignore[arg-type]
    _refuse_nonsense(rule)
    return rule


def _parts_of(line: str) -> list[tuple[str, str]]:
    if line.startswith(("EXDATE", "RDATE")) and ":" in line:
        name, _, value = line.partition(":")
        if name not in ("EXDATE", "RDATE"):
            raise RuleError(f"Write {name.split(';')[0]} without parameters, in the series' own zone or in UTC with Z.")
        return [(name, value)]
    found = []
    for part in line.removeprefix("RRULE:").rstrip(";").split(";"):
        name, equals, value = part.partition("=")
        if not equals or not value:
            raise RuleError(f"'{part[:40]}' is not a part of a rule: write NAME=VALUE, separated by semicolons.")
        found.append((name, value))
    return found


def _refuse_nonsense(rule: Rule) -> None:
    if rule.count is not None and rule.until is not None:
        raise RuleError("COUNT and UNTIL exclude each other.")
    if rule.freq != "MONTHLY" and any(ordinal for ordinal, _ in rule.by_day):
        raise RuleError("BYDAY with a number, such as 2MO, needs FREQ=MONTHLY.")
    if rule.freq == "WEEKLY" and rule.by_month_day:
        raise RuleError("BYMONTHDAY cannot be used with FREQ=WEEKLY.")
    if rule.by_set_pos and not (rule.by_day or rule.by_month_day or rule.by_hour or rule.by_minute):
        raise RuleError("BYSETPOS needs another BY part to choose from.")


def _numbers(low: int, high: int, *, signed: bool) -> _Reader:
    """A reader of a list of whole numbers from low to high, with `signed` from -high to -low as well."""

    def read(name: str, value: str) -> tuple[int, ...]:
        found = set()
        for item in value.split(","):
            number = int(item) if _NUMBER.fullmatch(item) and (signed or item.isdigit()) else None
            if number is None or not low <= (abs(number) if signed else number) <= high:
                signs = f" or -{high} to -{low}" if signed else ""
                raise RuleError(f"{name}: '{item[:20]}' is not a whole number from {low} to {high}{signs}.")
            found.add(number)
        return tuple(sorted(found))

    return read


def _one_number(low: int, high: int) -> _Reader:
    read_list = _numbers(low, high, signed=False)

    def read(name: str, value: str) -> object:
        if "," in value:
            raise RuleError(f"{name} takes one number.")
        return read_list(name, value)[0]  # type: ignore[index]

    return read


def _days(name: str, value: str) -> tuple[tuple[int, int], ...]:
    found = set()
    for item in value.split(","):
        match = _BYDAY.fullmatch(item)
        ordinal = int(match[1]) if match and match[1] else 0
        if not match or (match[1] and not 1 <= abs(ordinal) <= 5):
            raise RuleError(f"{name}: '{item[:20]}' is not a weekday such as MO, 2TU (second) or -1FR (last).")
        found.add((ordinal, WEEKDAYS.index(match[2])))
    return tuple(sorted(found))


def _stamp(name: str, value: str) -> datetime:
    try:
        if not _STAMP.fullmatch(value):
            raise ValueError(value)
        moment = datetime.strptime(value.rstrip("Z"), "%Y%m%dT%H%M%S")  # noqa: DTZ007  (naive means wall time here)
    except ValueError:
        raise RuleError(
            f"{name}: '{value[:20]}' is not a date with time, such as 20261231T210000 (wall time) or "
            "20261231T153000Z (UTC)."
        ) from None
    if moment.year not in YEARS:
        raise RuleError(f"{name}: '{value[:20]}' must lie between {YEARS.start} and {YEARS.stop}.")
    return moment.replace(tzinfo=UTC) if value.endswith("Z") else moment


def _stamps(name: str, value: str) -> tuple[datetime, ...]:
    return tuple(dict.fromkeys(_stamp(name, item) for item in value.split(",")))


_READERS: dict[str, tuple[str, _Reader]] = {
    "INTERVAL": ("interval", _one_number(1, 100_000)),
    "COUNT": ("count", _one_number(1, 100_000)),
    "UNTIL": ("until", _stamp),
    "BYDAY": ("by_day", _days),
    "BYMONTHDAY": ("by_month_day", _numbers(1, 31, signed=True)),
    "BYHOUR": ("by_hour", _numbers(0, 23, signed=False)),
    "BYMINUTE": ("by_minute", _numbers(0, 59, signed=False)),
    "BYSETPOS": ("by_set_pos", _numbers(1, 366, signed=True)),
    "EXDATE": ("except_at", _stamps),
    "RDATE": ("extra_at", _stamps),
}
