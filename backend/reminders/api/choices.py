"""What a person chooses about reminders, as a part of the own profile; a merge patch, purpose by purpose."""

from collections.abc import Mapping
from typing import Annotated, Any

import msgspec
from msgspec import UNSET, Meta, UnsetType

from backend.common import bodies
from backend.common.bodies import Struct
from backend.reminders.models import Channel

MOST_A_DAY = 20
ChannelName = Annotated[str, bodies.choice([Channel.PUSH, Channel.EMAIL, Channel.SMS])]
Channels = Annotated[
    list[ChannelName],
    Meta(max_length=4, description="Channels beside the inbox, in the order in which they are tried"),
]
DailyCap = Annotated[
    int,
    Meta(
        ge=1, le=MOST_A_DAY, description="Habit reminders a day at most; null: the usual number. Check-ins always come"
    ),
]


class ReminderWays(Struct, kw_only=True, frozen=True):
    """For a purpose that cannot be switched off: which channels take it. An absent field stays, null takes it back."""

    channels: Channels | UnsetType | None = UNSET


class ReminderChoice(ReminderWays, kw_only=True, frozen=True):
    """For one purpose: channels in place of the general ones (none: the inbox alone), or nothing at all."""

    off: Annotated[bool, Meta(description="No reminders of this purpose, not even in the inbox")] | UnsetType | None = (
        UNSET
    )


class ReminderSeriesChoice(ReminderChoice, kw_only=True, frozen=True):
    """For a purpose with series of one's own: also whether an unanswered reminder comes once more."""

    nudge: Annotated[bool, Meta(description="One more an hour later when nobody answered")] | UnsetType | None = UNSET


class ReminderChoices(Struct, kw_only=True, frozen=True):
    """What differs for a purpose; null takes a purpose's choice back. Alerts go out on all channels, always."""

    appointment: ReminderChoice | UnsetType | None = UNSET
    session: ReminderChoice | UnsetType | None = UNSET
    day_check: ReminderChoice | UnsetType | None = UNSET
    questionnaire: ReminderChoice | UnsetType | None = UNSET
    check_in: ReminderSeriesChoice | UnsetType | None = UNSET
    target: ReminderSeriesChoice | UnsetType | None = UNSET
    own: ReminderSeriesChoice | UnsetType | None = UNSET
    address: ReminderChoice | UnsetType | None = UNSET
    silence: ReminderWays | UnsetType | None = UNSET


def merged(before: Mapping[str, Any], change: ReminderChoices | None) -> dict[str, Any]:
    """The choices after a merge patch (RFC 7396); `change` is None where all are taken back."""
    after = {purpose: dict(choice) for purpose, choice in before.items()} if change is not None else {}
    for purpose, choice in _given(change).items():
        if choice is None:
            after.pop(purpose, None)
            continue
        mine = after.setdefault(purpose, {})
        for name, value in _given(choice).items():
            if value is None:
                mine.pop(name, None)
            else:
                mine[name] = list(dict.fromkeys(value)) if name == "channels" else value
        if not mine:
            del after[purpose]
    return after


def nudges_changed(before: Mapping[str, Any], after: Mapping[str, Any]) -> set[str]:
    """The purposes about whose nudge the person says something else now."""
    said = [{purpose: choice.get("nudge") for purpose, choice in each.items()} for each in (before, after)]
    return {purpose for purpose in {*before, *after} if said[0].get(purpose) != said[1].get(purpose)}


def _given(struct: msgspec.Struct | None) -> dict[str, Any]:
    if struct is None:
        return {}
    return {name: value for name in struct.__struct_fields__ if (value := getattr(struct, name)) is not UNSET}
