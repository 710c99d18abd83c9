"""Small secrets of the machinery, sealed before they go into the database: keys of one-time codes.

AES-256-GCM under a key that is derived from SECRET_KEY (HKDF, RFC 5869): a copy of the database alone makes no codes.
After SECRET_KEY has changed, what an earlier one sealed opens while that stands in SECRET_KEY_FALLBACKS.
"""

import base64
import secrets

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from django.conf import settings

_MARK = "s1:"
_NONCE_BYTES = 12


class Unsealable(ValueError):
    """It was sealed by a key that is gone, or changed since."""


def seal(text: str, *, purpose: str) -> str:
    """The text, sealed; the same purpose opens it again."""
    nonce = secrets.token_bytes(_NONCE_BYTES)
    sealed = AESGCM(_key(settings.SECRET_KEY, purpose)).encrypt(nonce, text.encode(), purpose.encode())
    return _MARK + base64.urlsafe_b64encode(nonce + sealed).decode()


def unseal(sealed: str, *, purpose: str) -> str:
    """The text that was sealed. Raises Unsealable."""
    try:
        raw = base64.urlsafe_b64decode(sealed.removeprefix(_MARK))
    except ValueError as error:
        raise Unsealable("This is nothing that was sealed here.") from error
    for secret in (settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS):
        try:
            return (
                AESGCM(_key(secret, purpose)).decrypt(raw[:_NONCE_BYTES], raw[_NONCE_BYTES:], purpose.encode()).decode()
            )
        except (InvalidTag, ValueError):
            continue
    raise Unsealable("Name the earlier SECRET_KEY in SECRET_KEY_FALLBACKS, or let the person enrol anew.")


def _key(secret: str, purpose: str) -> bytes:
    return HKDF(algorithm=SHA256(), length=32, salt=None, info=f"afterglow {purpose}".encode()).derive(secret.encode())
