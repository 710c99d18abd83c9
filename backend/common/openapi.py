"""The OpenAPI document: our structs as components, and the refusals that every operation can answer with."""

from typing import Any

import msgspec
from drf_spectacular.openapi import AutoSchema
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse

from backend.common import problems

JSON = dict[str, Any]
_REF = "#/components/schemas/{name}"
_PROBLEM_REF: JSON = {"$ref": _REF.format(name="Problem")}
_components: dict[str, JSON] = {}

_PROBLEM: JSON = {
    "type": "object",
    "description": "RFC 9457: what went wrong, at which field, and what to do about it.",
    "required": ["type", "title", "status", "detail", "code", "errors"],
    "properties": {
        "type": {"type": "string", "format": "uri-reference"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "code": {"type": "string"},
        "errors": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["pointer", "code", "detail"],
                "properties": {
                    "pointer": {"type": "string", "description": "JSON Pointer into the body, or a parameter's name"},
                    "code": {"type": "string"},
                    "detail": {"type": "string"},
                },
            },
        },
    },
    "example": {
        "type": "/api/docs/problems/#invalid",
        "title": "Bad Request",
        "status": 400,
        "detail": "mood: Expected int <= 10.",
        "code": "invalid",
        "errors": [{"pointer": "/mood", "code": "out_of_range", "detail": "mood: Expected int <= 10."}],
    },
}

_SECURITY: JSON = {
    "token": {"type": "http", "scheme": "bearer", "description": "The session token of a sign-in under auth/"},
    "cookie": {"type": "apiKey", "in": "cookie", "name": "sessionid", "description": "The console's own session"},
}

_REFUSALS = {
    "400": "The body, a parameter or a header has a fault; `errors` names it.",
    "401": "Not signed in, or the token has expired.",
    "403": "Your role may not do this.",
    "404": "There is no such record, or it is not yours to see.",
    "410": "The record was deleted; its version brings it back.",
    "412": "The record has changed since the version in If-Match; `current` holds it.",
    "413": "The body is too large.",
    "415": "Send the body as JSON.",
    "429": "Too many requests; `Retry-After` says when to come back.",
    "503": "The database is away, or two changes met; nothing was stored, send it again.",
}


IF_MATCH = OpenApiParameter(
    "If-Match",
    {"type": "string", "pattern": r'^(\*|"[0-9]{1,9}")$'},
    OpenApiParameter.HEADER,
    description='The version that the write was made from, such as `"3"`.',
)


class Schema(AutoSchema):
    """drf-spectacular's view inspector; one tag for each resource."""

    def get_tags(self) -> list[str]:
        """The first part of the path after the version."""
        parts = [part for part in self.path.split("/") if part]
        return [parts[2] if len(parts) > 2 else "about"]

    def get_auth(self) -> list[dict[str, list[str]]]:
        """A token or the console's cookie, where a view asks who it is at all."""
        return [{name: []} for name in _SECURITY] if self.view.get_authenticators() else []


def component(shape: type[msgspec.Struct], *, name: str | None = None) -> JSON:
    """A reference to the struct's schema, which joins the document's components."""
    (ref,), components = msgspec.json.schema_components([shape], ref_template=_REF)
    _components.update(components)
    return ref


def schema_of(shape: type[msgspec.Struct]) -> JSON:
    """The struct's own schema."""
    ref = component(shape)
    return _components[ref["$ref"].rpartition("/")[2]]


def named(name: str, schema: JSON) -> JSON:
    """A reference to a schema that we wrote, which joins the document's components."""
    _components[name] = schema
    return {"$ref": _REF.format(name=name)}


def problem(description: str) -> Any:
    """A refusal that an operation has beside the common ones."""
    return OpenApiResponse(_PROBLEM_REF, description=description)


def listing(item: JSON) -> JSON:
    """The schema of one page of a list."""
    link = {"type": ["string", "null"], "format": "uri"}
    return {
        "type": "object",
        "required": ["results", "next", "previous"],
        "properties": {"results": {"type": "array", "items": item}, "next": link, "previous": link},
    }


def complete(result: JSON, generator: Any, request: Any, public: bool) -> JSON:
    """Adds our components and, to every operation of ours, the refusals that it can answer with."""
    schemas = result.setdefault("components", {}).setdefault("schemas", {})
    schemas.update({"Problem": _PROBLEM, **_components})
    result["components"].setdefault("securitySchemes", {}).update(_SECURITY)
    for path, operations in result["paths"].items():
        for verb, operation in operations.items():
            _add_refusals(path, verb, operation)
    return result


def _add_refusals(path: str, verb: str, operation: JSON) -> None:
    codes = {"429", "503"}
    if operation.get("security") != [] and {} not in operation.get("security", []):
        codes |= {"400", "401", "403"}
    if operation.get("parameters"):
        codes.add("400")
    if "{" in path or any(p.get("name") == "patient" for p in operation.get("parameters", [])):
        codes.add("404")
    if verb in {"post", "put", "patch", "delete"}:
        codes |= {"400", "404", "413"}
    if "requestBody" in operation:
        codes.add("415")
    if any(p.get("name") == "If-Match" for p in operation.get("parameters", [])):
        codes.add("412")
    if verb in {"get", "put", "patch", "delete"} and "{id}" in path:
        codes.add("410")
    if "requestBody" in operation:
        operation["requestBody"]["required"] = True
    responses: JSON = operation.setdefault("responses", {})
    for response in responses.values():
        content = response.get("content", {})
        if content.get("application/json", {}).get("schema") == _PROBLEM_REF:
            content[problems.MEDIA_TYPE] = content.pop("application/json")
    for code in sorted(codes):
        if code not in responses:
            content = {problems.MEDIA_TYPE: {"schema": _PROBLEM_REF}}
            responses[code] = {"description": _REFUSALS[code], "content": content}
