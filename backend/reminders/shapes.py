"""What the room's answers look like, as values and for the OpenAPI document."""

import uuid
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from backend.accounts.models import Person, SexAtBirth
from backend.common import openapi
from backend.reminders import titles
from backend.reminders.models import (
    Channel,
    Delivery,
    DeliveryStatus,
    Purpose,
    Reason,
    Reminder,
    Rule,
    Status,
)

OUTWARD = (Channel.PUSH, Channel.EMAIL, Channel.SMS)
_ID = {"type": "string", "format": "uuid"}
_TEXT = {"type": "string"}
_AT = {"type": "string", "format": "date-time"}
_AT_OR_NULL = {"type": ["string", "null"], "format": "date-time"}
_CLOCK = {"type": ["string", "null"], "pattern": "^[0-9]{2}:[0-9]{2}$", "description": "Wall time, in the own zone"}


def _object(**properties: Any) -> dict[str, Any]:
    return {"type": "object", "required": list(properties), "properties": properties}


def _list(item: dict[str, Any]) -> dict[str, Any]:
    return {"type": "array", "items": item}


REMINDER = openapi.named(
    "Reminder",
    _object(
        id=_ID,
        patient=_ID,
        purpose={"type": "string", "enum": list(Purpose.values)},
        about=_object(type=_TEXT, id=_ID),
        title={
            "type": ["string", "null"],
            "description": "In the patient's own words; null for everyone else",
        },
        due_at={**_AT, "description": "The instant that the plan names; it never moves"},
        send_at={**_AT_OR_NULL, "description": "When it goes out; null: nothing more is sent"},
        status={"type": "string", "enum": list(Status.values)},
        reason={"type": ["string", "null"], "enum": [*Reason.values, None]},
        deliveries=_list(
            _object(
                channel={"type": "string", "enum": list(Channel.values)},
                status={"type": "string", "enum": list(DeliveryStatus.values)},
                at=_AT,
            )
        ),
        version={"type": "integer"},
    ),
)
RULE = openapi.named(
    "ReminderRule",
    _object(
        id=_ID,
        title={"type": ["string", "null"], "description": "null where it cannot be read"},
        purpose={"type": "string", "enum": [Purpose.OWN, Purpose.CHECK_IN]},
        rrule=_TEXT,
        start={**_TEXT, "description": "Local time in the rule's zone", "examples": ["2026-11-24T21:00:00"]},
        time_zone=_TEXT,
        nudge={"type": "boolean", "description": "Whether one more comes when nobody answered"},
        next_at=_AT_OR_NULL,
        version={"type": "integer"},
    ),
)
STORY = openapi.named(
    "ReminderStory",
    _object(
        id=_ID,
        status={"type": "string", "enum": list(Status.values)},
        reason={"type": ["string", "null"], "enum": [*Reason.values, None]},
        sentences=_list(_TEXT),
        text=_TEXT,
    ),
)
PLAN = openapi.named(
    "ReminderPlan",
    _object(
        patient=_ID,
        time_zone=_TEXT,
        since=_AT,
        until={**_AT, "description": "Not included"},
        entries=_list(
            _object(
                at={**_AT, "description": "When it leaves"},
                due_at=_AT,
                purpose={"type": "string", "enum": list(Purpose.values)},
                title={"type": ["string", "null"], "description": "In the patient's own words; null for others"},
                channels=_list({"type": "string", "enum": list(Channel.values)}),
                moved_by_quiet={"type": "boolean", "description": "Whether quiet hours move it from `due_at` to `at`"},
                would_skip={
                    "type": ["string", "null"],
                    "enum": [*Reason.values, None],
                    "description": "Why it would not be sent, as things are now",
                },
                rule=_ID,
            )
        ),
    ),
)
PHONE = openapi.named(
    "OwnPhone",
    _object(
        number={"type": ["string", "null"], "description": "E.164; where text messages go"},
        confirmed_at=_AT_OR_NULL,
        pending={
            "anyOf": [_object(number=_TEXT, expires_at=_AT), {"type": "null"}],
            "description": "A number that waits for the code that was sent there",
        },
    ),
)
ME = openapi.named(
    "Me",
    _object(
        id=_ID,
        email=_TEXT,
        full_name=_TEXT,
        country=_TEXT,
        born_on={"type": ["string", "null"], "format": "date"},
        sex_at_birth={"type": "string", "enum": list(SexAtBirth.values)},
        locale=_TEXT,
        time_zone=_TEXT,
        zone_history=_list(_object(time_zone=_TEXT, since_at=_AT)),
        quiet_from=_CLOCK,
        quiet_until=_CLOCK,
        channels=_list({"type": "string", "enum": list(OUTWARD)}),
        reminder_choices={
            "type": "object",
            "description": "What differs for a purpose: its channels, off, or whether one nudge comes",
            "additionalProperties": {
                "type": "object",
                "properties": {
                    "channels": _list({"type": "string", "enum": list(OUTWARD)}),
                    "off": {"type": "boolean"},
                    "nudge": {"type": "boolean"},
                },
            },
        },
        daily_cap={"type": ["integer", "null"], "description": "Habit reminders a day; null: the usual number"},
        detailed_messages={"type": "boolean", "description": "Messages may say what they are about"},
        channel_states={
            **_list(
                _object(
                    channel={"type": "string", "enum": list(OUTWARD)},
                    state={"type": "string", "enum": ["ok", "blocked", "missing", "no_consent"]},
                    since=_AT_OR_NULL,
                )
            ),
            "description": "What works now. `blocked`: since then the address takes nothing, ask for another; "
            "`missing`: there is none, or this clinic does not have the channel",
        },
        memberships=_list(_object(clinic=_ID, role=_TEXT)),
    ),
)


def reminders_as_json(rows: Sequence[Reminder], *, reader_id: uuid.UUID) -> list[dict[str, Any]]:
    """Reminders with their deliveries, by one query for all; the rules must have been read with them.

    Titles are what patients write for themselves: nobody else reads them.
    """
    deliveries: dict[uuid.UUID, list[dict[str, Any]]] = {}
    found = Delivery.objects.filter(reminder__in=rows).order_by("created_at", "channel", "attempt")
    for each in found:
        # The inbox is the ledger itself: it has what another channel carries from the same moment on.
        if each.reminder_id not in deliveries and each.channel != Channel.INBOX:
            inbox = {"channel": Channel.INBOX, "status": DeliveryStatus.SENT, "at": each.created_at}
            deliveries[each.reminder_id] = [inbox]
        deliveries.setdefault(each.reminder_id, []).append(
            {"channel": each.channel, "status": each.status, "at": each.changed_at}
        )
    theirs = titles.opened(row.rule for row in rows if row.person_id == reader_id)
    return [
        {
            "id": row.id,
            "patient": row.person_id,
            "purpose": row.purpose,
            "about": {"type": row.about_type or "reminder_rule", "id": row.about_id or row.rule_id},
            "title": theirs.get(row.rule_id),
            "due_at": row.due_at,
            "send_at": row.send_at,
            "status": row.status,
            "reason": row.reason or None,
            "deliveries": deliveries.get(row.id, []),
            "version": row.version,
        }
        for row in rows
    ]


def rules_as_json(rows: Sequence[Rule]) -> list[dict[str, Any]]:
    """Series with the instant of their next reminder."""
    planned = Reminder.objects.filter(rule__in=rows, status=Status.PLANNED)
    following: dict[uuid.UUID, datetime] = dict(planned.order_by("-due_at").values_list("rule_id", "due_at"))
    texts = titles.opened(rows)
    return [
        {
            "id": row.id,
            "title": texts[row.id],
            "purpose": row.purpose,
            "rrule": row.rrule,
            "start": row.start_local.isoformat() if row.start_local else None,
            "time_zone": row.time_zone,
            "nudge": row.nudge_minutes is not None,
            "next_at": following.get(row.id),
            "version": row.version,
        }
        for row in rows
    ]


def person_as_json(
    person: Person,
    *,
    zones: Iterable[tuple[str, datetime]],
    memberships: Iterable[tuple[uuid.UUID, str]],
    channel_states: Sequence[Mapping[str, Any]],
) -> dict[str, Any]:
    """The own profile."""
    return {
        "id": person.id,
        "email": person.email,
        "full_name": person.full_name,
        "country": person.country,
        "born_on": person.born_on,
        "sex_at_birth": person.sex_at_birth,
        "locale": person.locale,
        "time_zone": person.time_zone,
        "zone_history": [{"time_zone": name, "since_at": since_at} for name, since_at in zones],
        "quiet_from": f"{person.quiet_from:%H:%M}" if person.quiet_from else None,
        "quiet_until": f"{person.quiet_until:%H:%M}" if person.quiet_until else None,
        "channels": person.channels,
        "reminder_choices": person.reminder_choices,
        "daily_cap": person.daily_cap,
        "detailed_messages": person.detailed_messages_at is not None,
        "channel_states": list(channel_states),
        "memberships": [{"clinic": clinic, "role": role} for clinic, role in memberships],
    }
