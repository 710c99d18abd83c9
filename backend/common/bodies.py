"""Request bodies as msgspec structs: typed, bounded, and every fault named with its field."""

import re
from collections.abc import Collection, Iterable, Mapping
from datetime import UTC, date, datetime, timedelta
from functools import cache
from typing import Annotated, Any, TypeVar, get_args, get_type_hints

import msgspec
from msgspec import Meta
from rest_framework.request import Request

from backend.common import clock, http, problems
from backend.common.problems import FieldError

# Nothing that a living patient reports happened before this day (ours); it also keeps sums of dates inside their range.
EARLIEST = datetime(1900, 1, 2, tzinfo=UTC)
LATEST = datetime(2200, 1, 1, tzinfo=UTC)

Instant = Annotated[datetime, Meta(tz=True, description="ISO 8601 with offset", examples=["2026-11-24T20:15:00+05:30"])]
Text = Annotated[str, Meta(max_length=4000, pattern="^[^\x00]*$")]
# Python lets `$` match before a last newline; the look-ahead forbids it, there and in every other dialect.
Line = Annotated[str, Meta(max_length=200, pattern="^[^\x00-\x1f]*$(?!\n)")]
Word = Annotated[str, Meta(min_length=1, max_length=40, pattern="^[^\x00-\x1f]*$(?!\n)")]
Email = Annotated[
    str,
    Meta(max_length=254, pattern=r"^[^@\s\x00]+@[^@\s\x00]+\.[^@\s\x00]+$(?!\n)", examples=["asha@example.org"]),
]
Score = Annotated[int, Meta(ge=0, le=10, description="0 to 10")]
ZoneName = Annotated[
    str,
    Meta(max_length=64, pattern="^[A-Za-z0-9_+/-]+$(?!\n)", description="IANA time zone", examples=["Asia/Kolkata"]),
]


def choice(values: Iterable[str]) -> Meta:
    """Restricts a text to these words: `Annotated[str, choice(Role.values)]`."""
    words = list(values)
    return Meta(pattern=f"^(?:{'|'.join(map(re.escape, words))})$(?!\n)", extra_json_schema={"enum": words})


Body = TypeVar("Body", bound="Struct")


class Struct(msgspec.Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """A request body; unknown fields are refused."""

    def faults(self) -> list[FieldError]:
        """What types alone do not say (fields that belong together); the subclass overrides it."""
        return []


def read(request: Request, shape: type[Body], *, ignored: Collection[str] = ()) -> Body:
    """The body as `shape`. Fields in `ignored` (read-only ones) are dropped. Raises a 400 or 415 problem."""
    return convert(decoded(request), shape, ignored=ignored)


class _Nothing(Struct, kw_only=True, frozen=True):
    """No fields at all."""


def refuse_any(request: Request) -> None:
    """For requests that say all by their address: a field would be ignored, so it is refused. Raises a 400 problem."""
    if request.body:
        read(request, _Nothing)


def decoded(request: Request) -> Any:
    """The body as plain Python. Raises a 400 or 415 problem."""
    kind = (request.content_type or "").partition(";")[0].strip().lower()
    if kind not in {"application/json", "application/merge-patch+json"}:
        raise problems.Problem(
            status=415,
            code="unsupported_media_type",
            detail="Send the body as JSON with Content-Type: application/json.",
        )
    return http.decode(request.body)


def convert(data: Any, shape: type[Body], *, ignored: Collection[str] = ()) -> Body:
    """Plain Python as `shape`. Raises a 400 problem that names every faulty field."""
    if not isinstance(data, dict):
        raise problems.invalid(FieldError("", "invalid_type", "The body must be a JSON object."))
    given = {name: value for name, value in data.items() if name not in ignored} if ignored else data
    try:
        body = msgspec.convert(given, shape)
    except (msgspec.ValidationError, OverflowError, RecursionError):
        raise problems.invalid(*_faults(given, shape)) from None
    faults = [fault for name in _bounded_fields(shape) for fault in _value_faults(name, getattr(body, name))]
    if faults := faults + body.faults():
        raise problems.invalid(*faults)
    return body


def _faults(data: Mapping[str, Any], shape: type[Struct]) -> list[FieldError]:
    """All faults of the fields one by one, since the decoder stops at the first."""
    found = []
    hints = _hints(shape)
    for field in msgspec.structs.fields(shape):
        if field.encode_name not in data:
            if field.required:
                found.append(FieldError(f"/{field.encode_name}", "required", f"{field.encode_name} is required."))
            continue
        try:
            found += _value_faults(field.encode_name, msgspec.convert(data[field.encode_name], hints[field.name]))
        except msgspec.ValidationError as error:
            found.append(_named(field.encode_name, str(error)))
        except (OverflowError, RecursionError):
            found.append(FieldError(f"/{field.encode_name}", "out_of_range", f"{field.encode_name} is out of range."))
    names = {field.encode_name for field in msgspec.structs.fields(shape)}
    found += [
        FieldError(f"/{_escaped(name)}", "unknown_field", f"There is no field {name[:80]!r} here; leave it out.")
        for name in data
        if name not in names
    ]
    return found or [FieldError("", "invalid", "The body does not have the expected shape.")]


@cache
def _hints(shape: type[Struct]) -> dict[str, Any]:
    return get_type_hints(shape, include_extras=True)


@cache
def _bounded_fields(shape: type[Struct]) -> tuple[str, ...]:
    """The fields whose values have bounds that their type does not say: instants, dates, zones."""
    return tuple(
        name
        for name, hint in get_type_hints(shape).items()
        if name == "time_zone" or {datetime, date} & {hint, *get_args(hint)}
    )


_PATH = re.compile(r" - at `\$(?P<path>[^`]*)`$")
# One that is not known, or missing, inside of another: it is named, not the one around it.
_INNER = re.compile(r"(?:unknown|required) field `(?P<name>[^`]*)`")


def _named(name: str, message: str) -> FieldError:
    """The decoder's message as a field error: `$[2].at` inside field `xs` becomes `/xs/2/at`."""
    found = _PATH.search(message)
    rest = re.sub(r"\[(\d+)\]", r"/\1", found["path"]).replace(".", "/") if found else ""
    text = _PATH.sub("", message)
    if inner := _INNER.search(text):
        rest += f"/{_escaped(inner['name'])}"
    code = (
        "out_of_range"
        if re.search(r"[<>]=|length|multiple", text)
        else "required"
        if "missing required" in text
        else "unknown_field"
        if "unknown field" in text
        else "invalid_choice"
        if "matching regex '^(?:" in text
        else "naive_time"
        if "timezone component" in text
        else "invalid_type"
        if ", got " in text
        else "invalid"
    )
    if "timezone component" in text:
        text = "The time needs an offset, such as 2026-11-24T20:15:00+05:30"
    elif code == "invalid_choice":
        text = f"It must be one of {', '.join(re.split(r'[|]', text.partition('(?:')[2].partition(')$')[0]))}"
    elif "matching regex" in text:
        text = "It does not have the expected form, or holds a character that cannot be stored"
    return FieldError(f"/{name}{rest}", code, f"{name}: {text.replace('`', '')}.")


def _escaped(name: str) -> str:
    return name[:80].replace("~", "~0").replace("/", "~1")


def _value_faults(name: str, value: Any) -> list[FieldError]:
    """Instants and dates within reach, zones that exist: the same for every body."""
    if isinstance(value, datetime):
        if not within_reach(value):
            return [FieldError(f"/{name}", "out_of_range", f"{name} must lie between 1900 and 2200.")]
    elif isinstance(value, date):
        if not EARLIEST.date() <= value <= LATEST.date():
            return [FieldError(f"/{name}", "out_of_range", f"{name} must lie between 1900 and 2200.")]
    elif name == "time_zone" and isinstance(value, str) and value not in clock.zone_names():
        detail = f"{value!r} is not an IANA time zone; an example is 'Asia/Kolkata'."
        return [FieldError("/time_zone", "unknown_zone", detail)]
    return []


def within_reach(value: datetime) -> bool:
    """Whether the instant lies between 1900 and 2200."""
    try:
        return EARLIEST <= value.astimezone(UTC) <= LATEST
    except OverflowError:
        return False


def not_in_future(name: str, value: datetime | None, *, now: datetime, grace: timedelta) -> list[FieldError]:
    """A report of what happened cannot lie in the future; `grace` allows for a clock that runs ahead."""
    if value is None or value <= now + grace:
        return []
    return [
        FieldError(
            f"/{name}",
            "in_the_future",
            f"{name} lies in the future; check the phone's clock, ours says {now.isoformat()}.",
        )
    ]


def plain(values: Mapping[str, Any]) -> dict[str, Any]:
    """Python values as JSON would have them, to be read again as a body."""
    result: dict[str, Any] = msgspec.to_builtins(values)
    return result
