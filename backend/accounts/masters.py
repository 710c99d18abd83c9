"""The master keys, which wrap the patients' data keys and live apart from the database: in a file, or behind a service.

Reads neither settings nor database, so that settings can check the file before anything starts.
`python -m backend.accounts.masters ID` prints a new file.
"""

import base64
import binascii
import hashlib
import json
import os
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import Protocol

from backend.common import sealing

_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")
REMEDY = "docs/keys.md tells how to make it and where it lives"


class MasterKeyUnavailable(Exception):
    """There is no master key, or not the one that is needed; the message is one line that says what to do."""


class Masters(Protocol):
    """What holds the master keys: a file here, or a key service that never hands them out."""

    @property
    def current(self) -> str:
        """The id of the master key that wraps what is new. Raises MasterKeyUnavailable."""
        ...

    def wrap(self, secret: bytes, *, bound: str) -> str:
        """The secret, closed by the current master key and bound to what it is for. Raises MasterKeyUnavailable."""
        ...

    def unwrap(self, wrapped: str, *, bound: str) -> bytes:
        """The secret. Raises MasterKeyUnavailable without the master key it names, sealing.Unsealable if changed."""
        ...


@dataclass(frozen=True)
class _Known:
    current: str
    keys: Mapping[str, bytes]


class FileMasters:
    """Master keys from a JSON file: `{"current": "2026-11", "keys": {"2026-11": "<32 bytes in base64>"}}`.

    The file is read again when it has changed, so a new master key needs no restart.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = Lock()
        self._seen: tuple[int, int, int] | None = None
        self._known = _Known("", {})

    @property
    def current(self) -> str:
        """The id that the file calls current."""
        return self._read().current

    def wrap(self, secret: bytes, *, bound: str) -> str:
        """By the current master key."""
        known = self._read()
        return sealing.wrap(secret, master=known.keys[known.current], master_id=known.current, bound=bound)

    def unwrap(self, wrapped: str, *, bound: str) -> bytes:
        """By the master key that the wrap names."""
        wanted = sealing.master_of(wrapped)
        key = self._read().keys.get(wanted)
        if key is None:
            raise MasterKeyUnavailable(
                f"The master key {wanted!r} is not in {self.path}: put it back; without it what it wrapped is lost."
            )
        return sealing.unwrap(wrapped, master=key, bound=bound)

    def _read(self) -> _Known:
        try:
            stat = os.stat(self.path)
            seen = (stat.st_mtime_ns, stat.st_size, stat.st_ino)
            if seen != self._seen:
                with self._lock:
                    self._known, self._seen = parsed(self.path.read_text()), seen
        except (OSError, ValueError) as error:
            reason = error.strerror if isinstance(error, OSError) else str(error)
            raise MasterKeyUnavailable(f"{self.path}: {reason}; {REMEDY}.") from error
        return self._known


class DerivedMasters:
    """One master key drawn from SECRET_KEY, for DEBUG without a file; never where patients are."""

    def __init__(self, secret_key: str) -> None:
        self._key = hashlib.sha256(b"afterglow debug master key\n" + secret_key.encode()).digest()

    current = "debug"

    def wrap(self, secret: bytes, *, bound: str) -> str:
        """By the only key."""
        return sealing.wrap(secret, master=self._key, master_id=self.current, bound=bound)

    def unwrap(self, wrapped: str, *, bound: str) -> bytes:
        """By the only key, for what it wrapped."""
        if (wanted := sealing.master_of(wrapped)) != self.current:
            raise MasterKeyUnavailable(f"NOTE_KEYS_FILE is not set, and the key was wrapped by {wanted!r}; {REMEDY}.")
        return sealing.unwrap(wrapped, master=self._key, bound=bound)


def parsed(text: str) -> _Known:
    """The content of a file of master keys. Raises ValueError with one line that names the fault, never a key."""
    try:
        document = json.loads(text)
        current, given = document["current"], document["keys"]
        keys = {str(id): binascii.a2b_base64(value, strict_mode=True) for id, value in given.items()}
    except (ValueError, KeyError, TypeError, AttributeError):
        raise ValueError('must hold {"current": id, "keys": {id: 32 bytes in base64}}') from None
    if any(not _ID.fullmatch(id) for id in keys):
        raise ValueError("an id of a key has letters, digits, - and _ and at most 64 of them")
    if wrong := [id for id, key in keys.items() if len(key) != sealing.KEY_BYTES]:
        raise ValueError(f"the key {wrong[0]!r} has not {sealing.KEY_BYTES} bytes")
    if current not in keys:
        raise ValueError("`current` names no key of `keys`")
    return _Known(str(current), keys)


def drawn(id: str) -> str:
    """The text of a new file with one fresh master key."""
    return with_one_more('{"keys": {}}', id=id)


def with_one_more(text: str, *, id: str) -> str:
    """The text of a file with a fresh master key added, which becomes the current one. Raises ValueError."""
    document = json.loads(text)
    if id in document["keys"] or not _ID.fullmatch(id):
        raise ValueError(f"{id!r} is in the file already, or is no id: letters, digits, - and _")
    keys = {**document["keys"], id: base64.b64encode(sealing.draw()).decode()}
    return json.dumps({"current": id, "keys": keys}, indent=2) + "\n"


if __name__ == "__main__":
    print(drawn(sys.argv[1]), end="")
