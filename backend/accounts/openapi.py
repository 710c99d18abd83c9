"""Merges allauth's own OpenAPI description of sign-in into ours."""

import re
from typing import Any

JSON = dict[str, Any]
_UUID = re.compile(r"^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$")
# Flows of allauth's that nobody here takes: no phone numbers, addresses are proved by the invitation, no JWT.
NOT_OFFERED = frozenset(
    {
        "account/email",
        "account/phone",
        "auth/email/verify",
        "auth/email/verify/resend",
        "auth/phone/verify",
        "auth/phone/verify/resend",
        "tokens/refresh",
    }
)


def add_sign_in(result: JSON, generator: Any, request: Any, public: bool) -> JSON:
    """Adds the operations and components of `auth/`, whose shapes are allauth's (API.md, 'Resources')."""
    from allauth.headless.spec.internal.schema import get_schema

    theirs = _settled(get_schema())
    for path, item in theirs["paths"].items():
        if path.partition("/app/v1/")[2] in NOT_OFFERED:
            continue
        result["paths"][path] = item
        for verb, operation in item.items():
            words = path.removeprefix("/api/v1/auth/app/v1/").replace("/", "_").replace("-", "_")
            operation.setdefault("operationId", f"{words}_{verb}")
    for section, parts in theirs.get("components", {}).items():
        result["components"].setdefault(section, {}).update(parts)
    return result


def _settled(part: Any) -> Any:
    """The same at each call: allauth makes up a new id for each example."""
    if isinstance(part, dict):
        return {key: _settled(value) for key, value in part.items()}
    if isinstance(part, list):
        return [_settled(value) for value in part]
    return "0192f5c8-7a51-7cc3-8f6e-2f6a3f1f0b3a" if isinstance(part, str) and _UUID.match(part) else part
