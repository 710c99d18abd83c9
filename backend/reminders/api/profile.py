"""The door of the own profile. It stands in this room because a new zone or new quiet hours move reminders."""

from datetime import date, time
from typing import Annotated, Any

from drf_spectacular.utils import extend_schema
from msgspec import UNSET, Meta, UnsetType
from rest_framework.request import Request
from rest_framework.response import Response

from backend.accounts import access, people, reach
from backend.accounts.door import DoorView
from backend.accounts.models import Person, SexAtBirth
from backend.common import bodies, openapi, problems, queries
from backend.common.bodies import Struct, ZoneName
from backend.common.problems import FieldError
from backend.reminders import addresses, planning
from backend.reminders.api import choices
from backend.reminders.shapes import ME, person_as_json

READ_ONLY = frozenset({"id", "email", "full_name", "zone_history", "memberships", "channel_states"})
# DOMAIN.md: adults only.
ADULT_YEARS = 18
# What rules copy of their person.
_COPIED = frozenset({"quiet_from", "quiet_until", "channels", "reminder_choices", "daily_cap"})

Clock = Annotated[str, Meta(pattern="^([01][0-9]|2[0-3]):[0-5][0-9]$(?!\n)", examples=["22:00"])]


class ProfilePatch(Struct, kw_only=True, frozen=True):
    """What changes; a field that is absent stays, null empties it where it may be empty."""

    country: Annotated[str, Meta(pattern="^[A-Z]{2}$(?!\n)", description="ISO 3166-1 alpha-2")] | UnsetType | None = (
        UNSET
    )
    born_on: date | UnsetType | None = UNSET
    sex_at_birth: Annotated[str, bodies.choice(SexAtBirth.values)] | UnsetType = UNSET
    locale: Annotated[str, Meta(max_length=10, pattern="^[a-z]{2,3}(-[A-Za-z0-9]{2,6})?$(?!\n)")] | UnsetType = UNSET
    time_zone: ZoneName | UnsetType = UNSET
    quiet_from: Clock | UnsetType | None = UNSET
    quiet_until: Clock | UnsetType | None = UNSET
    channels: choices.Channels | UnsetType = UNSET
    reminder_choices: choices.ReminderChoices | UnsetType | None = UNSET
    daily_cap: choices.DailyCap | UnsetType | None = UNSET
    detailed_messages: (
        Annotated[bool, Meta(description="Messages may say what they are about, on a locked screen too")] | UnsetType
    ) = UNSET


class Me(DoorView):
    """The signed-in person."""

    roles = {"GET": reach.EVERYBODY, "PATCH": reach.EVERYBODY}

    @extend_schema(operation_id="me_read", responses={200: ME})
    def get(self, request: Request) -> Response:
        """The own profile, with the zones in which one lived."""
        queries.refuse_unknown(request, ())
        return self._answer(self.actor.person)

    @extend_schema(
        operation_id="me_patch",
        request={
            "application/merge-patch+json": openapi.component(ProfilePatch),
            "application/json": openapi.component(ProfilePatch),
        },
        responses={200: ME},
    )
    def patch(self, request: Request) -> Response:
        """Changes what is named. A new zone, new quiet hours, channels or choices plan all that is to come anew."""
        patch = bodies.read(request, ProfilePatch, ignored=READ_ONLY)
        given = {name: value for name in patch.__struct_fields__ if (value := getattr(patch, name)) is not UNSET}
        # Locked, so that of two changes at once the second plans with what the first has written.
        person = Person.objects.select_for_update(no_key=True).get(id=self.actor.person.id)
        zone = given.pop("time_zone", None)
        before = person.reminder_choices
        changed = self._change(person, given)
        moved = people.change_zone(person=person, time_zone=zone, now=self.now) if zone else False
        if moved or changed & _COPIED:
            nudges = choices.nudges_changed(before, person.reminder_choices)
            planning.replan(person, now=self.now, nudges=nudges)
        return self._answer(person)

    def _change(self, person: Person, given: dict[str, Any]) -> set[str]:
        if given.get("born_on") and _years(given["born_on"], self.now.date()) < ADULT_YEARS:
            raise problems.invalid(FieldError("/born_on", "too_young", "Afterglow is for adults only."))
        for name in ("quiet_from", "quiet_until"):
            if given.get(name):
                given[name] = time.fromisoformat(given[name])
        if "country" in given:
            given["country"] = given["country"] or ""
        if "channels" in given:
            given["channels"] = list(dict.fromkeys(given["channels"]))
        if "reminder_choices" in given:
            given["reminder_choices"] = choices.merged(person.reminder_choices, given["reminder_choices"])
        if (detailed := given.pop("detailed_messages", None)) is not None:
            given["detailed_messages_at"] = (person.detailed_messages_at or self.now) if detailed else None
        changed = {name for name, value in given.items() if getattr(person, name) != value}
        for name in changed:
            setattr(person, name, given[name])
        if (person.quiet_from is None) != (person.quiet_until is None):
            raise problems.invalid(
                FieldError("/quiet_until", "incomplete", "Quiet hours need both quiet_from and quiet_until.")
            )
        if changed:
            person.save(update_fields=changed)
        return changed

    def _answer(self, person: Person) -> Response:
        open_memberships = person.memberships.filter(ended_at__isnull=True).order_by("since_at", "id")
        memberships = open_memberships.values_list("clinic_id", "role")
        states = addresses.states(person, clinic_id=self.actor.clinic_id, now=self.now)
        return Response(
            person_as_json(person, zones=access.zones_of(person), memberships=memberships, channel_states=states)
        )


def _years(born_on: date, today: date) -> int:
    return today.year - born_on.year - ((today.month, today.day) < (born_on.month, born_on.day))
