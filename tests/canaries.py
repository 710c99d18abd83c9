"""Values of personal data that nothing could be mistaken for, put into every field that the contract has."""

import re
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

STEM = "xanary"
BORN_ON = "1961-07-23"
NUMBER = 73.913
_DOCUMENT = Path(__file__).resolve().parents[1] / "docs/openapi.yaml"
Json = dict[str, Any]


@dataclass
class Canaries:
    """Makes them and remembers where each was put, so that one that is found names the leak."""

    put: dict[str, str] = field(default_factory=lambda: {BORN_ON: "a birth date", str(NUMBER): "a number"})

    def word(self, where: str) -> str:
        """A new one, of letters and digits."""
        made = f"{STEM}{len(self.put):05d}q"
        self.put[made] = where
        return made

    def address(self, where: str) -> str:
        """A new one as a mail address."""
        return f"{self.word(where)}@example.org"

    def found_in(self, text: str) -> dict[str, str]:
        """Those that stand in the text, each with the place where it had been put."""
        words = set(re.findall(rf"{STEM}\d{{5}}q", text.lower()))
        words |= {plain for plain in (BORN_ON, str(NUMBER)) if plain in text}
        return {word: self.put.get(word, "?") for word in sorted(words)}


@dataclass(frozen=True)
class Operation:
    """One operation of the contract that takes a body."""

    verb: str
    path: str
    media_type: str
    schema: Json

    @property
    def name(self) -> str:
        """Verb and path."""
        return f"{self.verb} {self.path}"


@dataclass
class Contract:
    """The OpenAPI document, as far as it is about bodies."""

    canaries: Canaries
    # Values that a field of this name must have to be taken; all others are made up.
    known: Mapping[str, Any]
    document: Json = field(default_factory=lambda: yaml.safe_load(_DOCUMENT.read_text()))

    def operations(self) -> Iterator[Operation]:
        """All that write, `auth/` last: what is changed there ends sessions."""
        paths = sorted(self.document["paths"].items(), key=lambda item: ("/auth/" in item[0], item[0]))
        for path, verbs in paths:
            for verb in sorted(verbs, key=lambda verb: verb != "put"):
                body = verbs[verb].get("requestBody", {})
                body = self._part(body["$ref"]) if "$ref" in body else body
                for media_type, content in [*body.get("content", {}).items()][:1]:
                    yield Operation(verb.upper(), path, media_type, content["schema"])

    def body(self, operation: Operation) -> Any:
        """A body with every field that there is."""
        return self._value(operation.schema, operation.name, "")

    def _value(self, schema: Json, where: str, name: str) -> Any:
        if name in self.known:
            return self.known[name]
        if "$ref" in schema:
            return self._value(self._part(schema["$ref"]), where, name)
        if "allOf" in schema:
            return {k: v for part in schema["allOf"] for k, v in (self._value(part, where, name) or {}).items()}
        for choice in ("anyOf", "oneOf"):
            if choice in schema:
                real = [part for part in schema[choice] if part.get("type") != "null"]
                rest = {key: part for key, part in schema.items() if key != choice}
                return self._value({**rest, **real[0]}, where, name)
        if "enum" in schema or "const" in schema:
            return schema.get("const", next((word for word in schema.get("enum", []) if word), None))
        kinds = schema.get("type", "object" if "properties" in schema else "string")
        kind = next(kind for kind in ([kinds] if isinstance(kinds, str) else kinds) if kind != "null")
        return getattr(self, f"_{kind}")(schema, where, name)

    def _part(self, ref: str) -> Json:
        found: Any = self.document
        for step in ref.removeprefix("#/").split("/"):
            found = found[step]
        return found

    def _object(self, schema: Json, where: str, name: str) -> Json:
        writable = {key: part for key, part in schema.get("properties", {}).items() if not part.get("readOnly")}
        return {key: self._value(part, f"{where} {key}", key) for key, part in writable.items()}

    def _array(self, schema: Json, where: str, name: str) -> list[Any]:
        return [self._value(schema.get("items", {}), where, "")] * max(schema.get("minItems", 1), 1)

    def _boolean(self, schema: Json, where: str, name: str) -> bool:
        return True

    def _integer(self, schema: Json, where: str, name: str) -> int:
        return int(schema.get("minimum", schema.get("exclusiveMinimum", 0) + 1))

    def _number(self, schema: Json, where: str, name: str) -> float:
        low, high = schema.get("minimum", 0), schema.get("maximum", 1000)
        return NUMBER if low <= NUMBER <= high and "multipleOf" not in schema else float(low)

    def _string(self, schema: Json, where: str, name: str) -> Any:
        match schema.get("format"):
            case "uuid":
                return str(uuid.uuid4())
            case "date":
                return BORN_ON
            case "date-time":
                return self.known["an instant"]
            case "email":
                return self.canaries.address(where)
            case "uri":
                return f"https://{self.canaries.word(where)}.example.org/"
        pattern, length = schema.get("pattern", ""), schema.get("maxLength", 4000)
        word = self.canaries.word(where)
        if len(word) <= length and (not pattern or re.search(pattern, word)):
            return f"{word} Ä" if len(word) + 2 <= length and (not pattern or re.search(pattern, f"{word} Ä")) else word
        return next(iter(schema.get("examples", [schema.get("default", schema.get("example"))])), None)
