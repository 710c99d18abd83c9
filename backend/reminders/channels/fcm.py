"""Firebase Cloud Messaging for native apps: its HTTP v1 interface, with a service account's short-lived tokens.

Sources: 'Send a message using FCM HTTP v1', 'ErrorCode' of the v1 reference, 'Using OAuth 2.0 for server to server
applications' (Google), as of November 2026.
"""

import threading
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import quote

import jwt
import requests
from django.conf import settings

from backend.common import outward
from backend.reminders.channels import breakers
from backend.reminders.channels.answers import Answer, Kind, retry_after

SCOPE = "https://www.googleapis.com/auth/firebase.messaging"
_GRANT = "urn:ietf:params:oauth:grant-type:jwt-bearer"
_LIVES = timedelta(hours=1)  # the longest that Google takes
_SPARE = timedelta(minutes=2)
_PATIENCE = (outward.CONNECT_SECONDS, outward.READ_SECONDS)
_QUOTA_WAIT = timedelta(seconds=60)  # where 429 names no time, Google says: a minute


class NoToken(Exception):
    """Google gave no access token: the service account is wrong, or Google is away."""


class _Tokens:
    """The access token of the service account, kept until shortly before it ends."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._held: tuple[str, str, datetime] | None = None

    def get(self, session: requests.Session, *, now: datetime) -> str:
        """Raises NoToken."""
        account = settings.FCM_SERVICE_ACCOUNT
        with self._lock:
            if self._held is not None and self._held[0] == account["private_key"] and now < self._held[2]:
                return self._held[1]
            token, ends_at = _exchanged(session, account, now)
            self._held = (account["private_key"], token, ends_at)
            return token

    def drop(self, refused: str | None = None) -> None:
        """This token was refused, or any: the next call asks for another. One that came meanwhile stays."""
        with self._lock:
            if refused is None or (self._held is not None and self._held[1] == refused):
                self._held = None


_tokens = _Tokens()


def forget() -> None:
    """No token is kept any more."""
    _tokens.drop()


def _exchanged(session: requests.Session, account: Mapping[str, Any], now: datetime) -> tuple[str, datetime]:
    claims = {
        "iss": account["client_email"],
        "scope": SCOPE,
        "aud": account["token_uri"],
        "iat": int(now.timestamp()),
        "exp": int((now + _LIVES).timestamp()),
    }
    assertion = jwt.encode(
        claims, account["private_key"], algorithm="RS256", headers={"kid": account.get("private_key_id", "")}
    )
    form = {"grant_type": _GRANT, "assertion": assertion}
    try:
        answer = session.post(account["token_uri"], data=form, timeout=_PATIENCE, allow_redirects=False)
        if answer.status_code != 200:
            raise NoToken(f"token {answer.status_code}")
        said = answer.json()
        return str(said["access_token"]), now + timedelta(seconds=int(said["expires_in"])) - _SPARE
    except (requests.RequestException, ValueError, KeyError, TypeError) as error:
        raise NoToken(type(error).__name__) from error


def message(
    *, token: str, title: str, body: str, data: Mapping[str, str], tag: str, until_at: datetime, now: datetime,
    urgent: bool,
) -> dict[str, Any]:  # fmt: skip
    """One message: shown by the system, replaced by a later one with the same tag, not shown after `until_at`."""
    lives = max(int((until_at - now).total_seconds()), 0)
    return {
        "token": token,
        "notification": {"title": title, "body": body},
        "data": dict(data),
        "android": {
            "priority": "HIGH" if urgent else "NORMAL",
            "ttl": f"{min(lives, 28 * 86_400)}s",  # four weeks is the most
            "notification": {"tag": tag},
        },
        "apns": {
            "headers": {
                "apns-collapse-id": tag,
                "apns-expiration": str(int(until_at.timestamp())),
                "apns-priority": "10" if urgent else "5",
            },
            "payload": {"aps": {"sound": "default"}},
        },
    }


def post(session: requests.Session, message: Mapping[str, Any], *, now: datetime, urgent: bool) -> Answer:
    """Hands one message to FCM. Never raises: a repetition takes the place of what is shown.

    `urgent` does not heed the breaker.
    """
    breaker = breakers.of("fcm")
    if (wait := None if urgent else breaker.wait(now)) is not None:
        return Answer(Kind.LATER, "left alone for a while", wait)
    url = f"{settings.FCM_URL}/v1/projects/{quote(settings.FCM_SERVICE_ACCOUNT['project_id'], safe='')}/messages:send"
    try:
        token = _tokens.get(session, now=now)
        headers = {"Authorization": f"Bearer {token}"}
        answer = session.post(url, json={"message": message}, headers=headers, timeout=_PATIENCE, allow_redirects=False)
    except (NoToken, requests.RequestException) as error:
        breaker.failed(now)
        return Answer(Kind.LATER, str(error) if isinstance(error, NoToken) else type(error).__name__)
    if answer.status_code == 401:
        _tokens.drop(token)
    if answer.status_code >= 500 or answer.status_code == 401:
        breaker.failed(now)
    else:
        breaker.worked()
    return _told(answer, now)


def _told(answer: requests.Response, now: datetime) -> Answer:
    status = answer.status_code
    if status == 200:
        return Answer(Kind.TAKEN)
    code, fields = _error(answer)
    detail = f"FCM {status} {code}".strip()
    if code in {"UNREGISTERED", "NOT_FOUND"} or (code == "INVALID_ARGUMENT" and "message.token" in fields):
        return Answer(Kind.DEAD, detail)
    if status == 429:
        return Answer(Kind.LATER, detail, retry_after(answer, now=now) or _QUOTA_WAIT)
    # 401 and THIRD_PARTY_AUTH_ERROR are about our own certificates: it is no phone's fault.
    if status >= 500 or status in {401, 408} or code == "THIRD_PARTY_AUTH_ERROR":
        return Answer(Kind.LATER, detail, retry_after(answer, now=now))
    return Answer(Kind.REFUSED, detail)


def _error(answer: requests.Response) -> tuple[str, set[str]]:
    """The code of FCM's own detail, else the general status; and the fields of the message that were at fault."""
    try:
        error = answer.json()["error"]
        details = [each for each in error.get("details", []) if isinstance(each, Mapping)]
        code = next((each["errorCode"] for each in details if "errorCode" in each), error.get("status", ""))
        violations = [one for each in details for one in each.get("fieldViolations", []) if isinstance(one, Mapping)]
        return str(code)[:40], {str(one.get("field", "")) for one in violations}
    except (ValueError, KeyError, TypeError, AttributeError):
        return "", set()
