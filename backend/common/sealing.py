"""Sealing a note so that only its own place can open it (AES-256-GCM), and an HMAC that tells the same text.

Pure: no framework, no database. A sealed note is text, `n1.<generation>.<mac>.<nonce and ciphertext>`, the last two in
base64. Bound into it are its place (original table, row, column) and its own head: moved to another place or changed in
one bit it does not open. A wrapped data key is `w1.<master key id>.<nonce and ciphertext>`, bound to its patient.
"""

import base64
import binascii
import hmac
import os
import re
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple
from uuid import UUID

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

SEALED = "n1."
WRAPPED = "w1."
KEY_BYTES = 32
_NONCE_BYTES = 12
_MAC_BYTES = 16
# The least is one byte: 29 with nonce and tag, 39 characters and a padding.
FORM = r"n1\.([1-9][0-9]{0,8})\.([A-Za-z0-9+/]{22}==)\.([A-Za-z0-9+/]{39,}={0,2})"
_FORM = re.compile(FORM)
_WRAP = re.compile(r"w1\.([A-Za-z0-9_-]{1,64})\.(.+)", re.DOTALL)


class Unsealable(ValueError):
    """What stands there was not sealed for this place by this key, or was changed since; no word of the content."""


class Place(NamedTuple):
    """Where a note stands: the table in which its row was written first, the row's id, the column."""

    table: str
    row: UUID
    column: str

    @property
    def bound(self) -> bytes:
        """The place as it is bound into what is sealed."""
        return f"{self.table}\n{self.row}\n{self.column}\n".encode()


@dataclass(frozen=True, slots=False)
class DataKey:
    """One patient's key: 32 random bytes, from which a key for sealing and one for comparing are drawn."""

    secret: bytes

    def __repr__(self) -> str:
        return "DataKey(…)"

    @cached_property
    def cipher(self) -> AESGCM:
        """For sealing and opening."""
        return AESGCM(hmac.digest(self.secret, b"afterglow note cipher", "sha256"))

    @cached_property
    def comparing(self) -> bytes:
        """For telling whether a text is the same."""
        return hmac.digest(self.secret, b"afterglow note comparison", "sha256")


def draw() -> bytes:
    """A fresh key."""
    return os.urandom(KEY_BYTES)


def seal(text: str, *, key: DataKey, generation: int, place: Place) -> str:
    """The text sealed for its place. An empty text stays empty: that nothing was said is no secret."""
    if not text:
        return ""
    plain, bound = text.encode(), place.bound
    head = f"{SEALED}{generation}.{_mac(plain, key=key, bound=bound)}."
    nonce = os.urandom(_NONCE_BYTES)
    return head + _text(nonce + key.cipher.encrypt(nonce, plain, bound + head.encode()))


def generation_of(sealed: str) -> int:
    """Which of the patient's keys sealed it. Raises Unsealable for what is no sealed note."""
    return int(_parts(sealed)[0])


def unseal(sealed: str, *, key: DataKey, place: Place) -> str:
    """The text. Raises Unsealable for everything but exactly what was sealed for this place with this key."""
    if not sealed:
        return ""
    generation, mac, body = _parts(sealed)
    try:
        raw = _bytes(body)
        bound = place.bound + f"{SEALED}{generation}.{mac}.".encode()
        return key.cipher.decrypt(raw[:_NONCE_BYTES], raw[_NONCE_BYTES:], bound).decode()
    except (InvalidTag, ValueError) as error:
        raise Unsealable("The note was not sealed for this place with this key, or was changed since.") from error


def says(sealed: str, text: str, *, key: DataKey, place: Place) -> bool:
    """Whether the sealed note says this text, by its HMAC, without opening it. Raises Unsealable."""
    if not sealed or not text:
        return not sealed and not text
    return hmac.compare_digest(_parts(sealed)[1], _mac(text.encode(), key=key, bound=place.bound))


def wrap(secret: bytes, *, master: bytes, master_id: str, bound: str) -> str:
    """A data key as it is stored: closed by a master key, bound to what it is for."""
    nonce = os.urandom(_NONCE_BYTES)
    head = f"{WRAPPED}{master_id}."
    return head + _text(nonce + AESGCM(master).encrypt(nonce, secret, f"{head}\n{bound}".encode()))


def unwrap(wrapped: str, *, master: bytes, bound: str) -> bytes:
    """The data key. Raises Unsealable for another master key, another patient's wrap, or a changed one."""
    head = f"{WRAPPED}{master_of(wrapped)}."
    try:
        raw = _bytes(wrapped.removeprefix(head))
        return AESGCM(master).decrypt(raw[:_NONCE_BYTES], raw[_NONCE_BYTES:], f"{head}\n{bound}".encode())
    except (InvalidTag, ValueError) as error:
        raise Unsealable("The data key was not wrapped by this master key for this patient.") from error


def master_of(wrapped: str) -> str:
    """The id of the master key that wrapped it. Raises Unsealable."""
    found = _WRAP.fullmatch(wrapped)
    if found is None:
        raise Unsealable("This is no wrapped data key.")
    return found[1]


def _parts(sealed: str) -> tuple[str, str, str]:
    found = _FORM.fullmatch(sealed)
    if found is None:
        raise Unsealable("This is no sealed note.")
    return found[1], found[2], found[3]


def _mac(plain: bytes, *, key: DataKey, bound: bytes) -> str:
    # With the place in it: equal notes look equal only within the history of one row, where it serves.
    return _text(hmac.digest(key.comparing, bound + plain, "sha256")[:_MAC_BYTES])


def _text(raw: bytes) -> str:
    return base64.b64encode(raw).decode()


def _bytes(text: str) -> bytes:
    return binascii.a2b_base64(text, strict_mode=True)
