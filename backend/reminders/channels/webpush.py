"""Web Push to browsers: the payload sealed for one browser (RFC 8291), the sender named by a signature (RFC 8292)."""

import base64
import os
from collections.abc import Mapping
from datetime import datetime, timedelta
from functools import cache
from typing import Any
from urllib.parse import urlsplit

import jwt
import requests
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from django.conf import settings

from backend.common import outward
from backend.reminders.channels import breakers
from backend.reminders.channels.answers import Answer, Kind, retry_after

# RFC 8188: salt, record size, length of the key id, the sender's public key as the key id.
_SALT, _RECORD, _POINT = 16, 4096, 65
# All payloads are padded to one length, so that it tells nothing; far below the 4,096 bytes that services take.
PADDED = 1024
# RFC 8292 allows 24 hours at most.
_SIGNED_FOR = timedelta(hours=12)
_GONE = {404, 410}


class Unusable(ValueError):
    """The subscription's keys are none: nothing can ever be sealed for it."""


def unpack(text: str) -> bytes:
    """Bytes from base64url, with or without padding. Raises ValueError."""
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def pack(data: bytes) -> str:
    """Base64url without padding."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def seal(
    payload: bytes,
    *,
    p256dh: bytes,
    auth: bytes,
    salt: bytes | None = None,
    sender: ec.EllipticCurvePrivateKey | None = None,
    padded_to: int = 0,
) -> bytes:
    """The body of a push: one record of aes128gcm for this browser. Raises Unusable.

    `salt` and `sender` are drawn anew, and given only to compare with RFC 8291, Appendix A.
    """
    try:
        receiver = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), p256dh)
    except ValueError:
        raise Unusable("p256dh is no point of the curve") from None
    sender = sender or ec.generate_private_key(ec.SECP256R1())
    salt = salt or os.urandom(_SALT)
    ours = _point(sender)
    shared = sender.exchange(ec.ECDH(), receiver)
    secret = _derive(shared, salt=auth, info=b"WebPush: info\x00" + p256dh + ours, length=32)
    key = _derive(secret, salt=salt, info=b"Content-Encoding: aes128gcm\x00", length=16)
    nonce = _derive(secret, salt=salt, info=b"Content-Encoding: nonce\x00", length=12)
    # 2 marks the last record; what follows are zeros.
    plain = payload + b"\x02" + bytes(max(padded_to - len(payload), 0))
    head = salt + _RECORD.to_bytes(4, "big") + bytes([_POINT]) + ours
    return head + AESGCM(key).encrypt(nonce, plain, None)


def _derive(material: bytes, *, salt: bytes, info: bytes, length: int) -> bytes:
    return HKDF(algorithm=hashes.SHA256(), length=length, salt=salt, info=info).derive(material)


def _point(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.public_key().public_bytes(serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint)


@cache
def _key(written: str) -> ec.EllipticCurvePrivateKey:
    return ec.derive_private_key(int.from_bytes(unpack(written), "big"), ec.SECP256R1())


def public_key() -> str | None:
    """The key that a browser subscribes with (`applicationServerKey`), None where Web Push is not set up."""
    return pack(_point(_key(settings.VAPID_PRIVATE_KEY))) if settings.VAPID_PRIVATE_KEY else None


def signature(endpoint: str, *, now: datetime) -> str:
    """The value of Authorization: who sends, for this push service only, for half a day (RFC 8292)."""
    parts = urlsplit(endpoint)
    claims = {
        "aud": f"{parts.scheme}://{parts.netloc}",
        "exp": int((now + _SIGNED_FOR).timestamp()),
        "sub": settings.VAPID_SUBJECT,
    }
    token = jwt.encode(claims, _key(settings.VAPID_PRIVATE_KEY), algorithm="ES256")
    return f"vapid t={token}, k={public_key()}"


def post(
    session: requests.Session,
    push: Mapping[str, Any],
    payload: bytes,
    *,
    topic: str,
    lives: timedelta,
    urgency: str,
    now: datetime,
    urgent: bool,
) -> Answer:
    """Hands one push to the service that the browser chose. `topic`: a later one takes the place of one that waits.

    `urgent` does not heed the breaker of the service's host. Never raises: a repetition does no harm.
    """
    endpoint = push["endpoint"]
    host = urlsplit(endpoint).hostname or ""
    breaker = breakers.of(f"web push {host}")
    if (wait := None if urgent else breaker.wait(now)) is not None:
        return Answer(Kind.LATER, "left alone for a while", wait)
    try:
        outward.refuse(endpoint, loopback=settings.PUSH_TO_LOOPBACK)
        body = seal(payload, p256dh=unpack(push["keys"]["p256dh"]), auth=unpack(push["keys"]["auth"]), padded_to=PADDED)
    except (ValueError, KeyError, TypeError) as error:  # not public, or keys that are none: nothing will ever go there
        return Answer(Kind.DEAD, type(error).__name__)
    headers = {
        "Authorization": signature(endpoint, now=now),
        "Content-Encoding": "aes128gcm",
        "Content-Type": "application/octet-stream",
        "TTL": str(max(int(lives.total_seconds()), 0)),
        "Urgency": urgency,
        "Topic": topic,
    }
    patience = (outward.CONNECT_SECONDS, outward.READ_SECONDS)
    try:
        answer = session.post(
            endpoint, data=body, headers=headers, timeout=patience, allow_redirects=False, stream=True
        )
        if answer.headers.get("Content-Length") == "0":
            answer.content  # noqa: B018 - all is read, so the connection serves the next push too
        answer.close()  # what it says beside its status is of no use, and may be long or slow
    except outward.NotPublic:
        return Answer(Kind.DEAD, "NotPublic")
    except Exception as error:  # a receiver that a client chose may answer anything, and stops nobody else's
        breaker.failed(now)
        return Answer(Kind.LATER, type(error).__name__)
    if answer.status_code >= 500:
        breaker.failed(now)
    else:
        breaker.worked()
    return _told(answer, now)


def _told(answer: requests.Response, now: datetime) -> Answer:
    code, detail = answer.status_code, f"web push {answer.status_code}"
    if 200 <= code < 300:
        return Answer(Kind.TAKEN)
    if code in _GONE:
        return Answer(Kind.DEAD, detail)
    if code == 429 or code >= 500:
        return Answer(Kind.LATER, detail, retry_after(answer, now=now))
    return Answer(Kind.REFUSED, detail)
