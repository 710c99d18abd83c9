"""What the room's answers look like, for the OpenAPI document."""

from typing import Any

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter

from backend.accounts.consent_texts import Purpose
from backend.accounts.isolation import Share
from backend.accounts.models import Act, Action, Role, SexAtBirth
from backend.common import openapi

_ID = {"type": "string", "format": "uuid"}
_TEXT = {"type": "string"}
_AT = {"type": "string", "format": "date-time"}
_AT_OR_NULL = {"type": ["string", "null"], "format": "date-time"}


def _object(**properties: Any) -> dict[str, Any]:
    return {"type": "object", "required": list(properties), "properties": properties}


PATIENT = openapi.named(
    "Patient",
    _object(
        id=_ID,
        name=_TEXT,
        born_on={"type": ["string", "null"], "format": "date"},
        sex_at_birth={"type": "string", "enum": list(SexAtBirth.values)},
        time_zone=_TEXT,
        country=_TEXT,
    ),
)
CARE_TEAM_MEMBER = openapi.named(
    "CareTeamMember",
    _object(
        id=_ID,
        name=_TEXT,
        roles={"type": "array", "items": {"type": "string", "enum": list(Role.values)}},
        since_at=_AT,
    ),
)
INVITATION = openapi.named(
    "Invitation",
    _object(
        id=_ID,
        email=_TEXT,
        full_name=_TEXT,
        role={"type": "string", "enum": list(Role.values)},
        time_zone=_TEXT,
        status={"type": "string", "enum": ["open", "accepted", "revoked", "expired"]},
        invited_at=_AT,
        expires_at=_AT,
        accepted_at=_AT_OR_NULL,
    ),
)
MEMBERSHIP = openapi.named(
    "Membership",
    _object(id=_ID, clinic=_ID, clinic_name=_TEXT, role={"type": "string", "enum": list(Role.values)}, since_at=_AT),
)
CLINIC = openapi.named(
    "Clinic", _object(id=_ID, name=_TEXT, short_name=_TEXT, country=_TEXT, time_zone=_TEXT, phone=_TEXT)
)
MEMBER = openapi.named(
    "Member",
    _object(
        id=_ID,
        person=_ID,
        name=_TEXT,
        email=_TEXT,
        role={"type": "string", "enum": list(Role.values)},
        since_at=_AT,
    ),
)
CAREGIVER = openapi.named(
    "Caregiver",
    _object(
        id=_ID,
        name=_TEXT,
        email=_TEXT,
        shares={"type": "array", "items": {"type": "string", "enum": [share.value for share in Share if share]}},
        status={"type": "string", "enum": ["invited", "accepted"]},
        since_at=_AT,
    ),
)
BREAK_GLASS = openapi.named("BreakGlass", _object(id=_ID, patient=_ID, reason=_TEXT, opened_at=_AT, closes_at=_AT))
_CONSENT_ACT = _object(
    act={"type": "string", "enum": list(Act.values)},
    version={"type": "integer"},
    language=_TEXT,
    at=_AT,
    device={"type": ["string", "null"], "format": "uuid"},
    text_sha256=_TEXT,
)
_WORDS = {
    "purpose": {"type": "string", "enum": list(Purpose.values)},
    "version": {"type": "integer"},
    "language": _TEXT,
    "title": _TEXT,
    "text": _TEXT,
    "published_at": _AT,
    "binding_at": {**_AT, "description": "From here on an agreement to an earlier version no longer holds"},
}
CONSENT = openapi.named(
    "Consent",
    _object(
        **_WORDS,
        status={"type": "string", "enum": ["asked", "agreed", "asked_again", "withdrawn"]},
        holds={"type": "boolean", "description": "Whether what needs this agreement works now"},
        of_clinic={"type": "boolean", "description": "The clinic's own words, not the built-in ones"},
        stops={"type": "string", "description": "What stops without this agreement"},
        history={"type": "array", "items": _CONSENT_ACT},
    ),
)
CONSENT_DOCUMENT = openapi.named("ConsentDocument", _object(id=_ID, **_WORDS))
_TEXT_OR_NULL = {"type": ["string", "null"]}
_ID_OR_NULL = {"type": ["string", "null"], "format": "uuid"}
DEVICE = openapi.named(
    "Device",
    _object(
        id=_ID,
        platform=_TEXT,
        push={"type": ["object", "null"]},
        app_version=_TEXT,
        locale=_TEXT,
        time_zone=_TEXT_OR_NULL,
        what=_TEXT,
        address=_TEXT_OR_NULL,
        seen_at=_AT,
        asks_zone=_TEXT_OR_NULL,
        current={"type": "boolean"},
    ),
)
SIGN_IN = openapi.named(
    "SignIn",
    _object(
        id=_ID,
        device=_ID_OR_NULL,
        what=_TEXT,
        address=_TEXT_OR_NULL,
        began_at=_AT_OR_NULL,
        seen_at=_AT_OR_NULL,
        ends_at=_AT,
        second_factor={"type": "boolean"},
        current={"type": "boolean"},
    ),
)
AUDIT_EVENT = openapi.named(
    "AuditEvent",
    _object(
        id=_ID,
        at=_AT,
        actor=_object(
            id=_ID_OR_NULL,
            role={**_TEXT, "description": "Held then, by commas where several; `person` at sign-in, `system` for jobs"},
            name=_TEXT_OR_NULL,
        ),
        action={"type": "string", "enum": list(Action.values)},
        object=_object(
            type={**_TEXT, "description": "The resource, such as `mood-check-ins` or `patients/trend`"},
            id={**_ID_OR_NULL, "description": "null when it was none or several"},
            ids={"type": "array", "items": _ID},
        ),
        patients={"type": "array", "items": _ID, "description": "Whose content was shown or concerned"},
        reason=_TEXT_OR_NULL,
        **{"from": _object(address=_TEXT_OR_NULL, device=_ID_OR_NULL)},
        request=_TEXT_OR_NULL,
    ),
)
PAGING = [
    OpenApiParameter("limit", {"type": "integer", "minimum": 1, "maximum": 500, "default": 50}),
    OpenApiParameter("cursor", OpenApiTypes.STR),
]
