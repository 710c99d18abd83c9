"""The settings of pushes and text messages, each checked at the start. What is absent is not offered to anybody."""

import base64
import json
from email.utils import parseaddr
from typing import Any

import environ
from django.core.exceptions import ImproperlyConfigured

_FCM = "https://fcm.googleapis.com"
_ACCOUNT = ("client_email", "private_key", "project_id", "token_uri")


def configured(env: environ.FileAwareEnv, *, sender: str, on_this_machine: bool) -> dict[str, Any]:
    """Settings by name. `on_this_machine`: for development and the demo, where pushes may go to loopback too."""
    return {
        "VAPID_PRIVATE_KEY": _vapid(env.str("VAPID_PRIVATE_KEY", "")),
        "VAPID_SUBJECT": _subject(env.str("VAPID_SUBJECT", "") or f"mailto:{parseaddr(sender)[1]}"),
        "FCM_SERVICE_ACCOUNT": _account(env.str("FCM_SERVICE_ACCOUNT", "")),
        "FCM_URL": _url("FCM_URL", env.str("FCM_URL", _FCM), on_this_machine),
        "PUSH_TO_LOOPBACK": on_this_machine,
        **_sms(env, on_this_machine),
    }


def _sms(env: environ.FileAwareEnv, on_this_machine: bool) -> dict[str, Any]:
    values = {
        "SMS_URL": _url("SMS_URL", env.str("SMS_URL", ""), on_this_machine),
        "SMS_ACCOUNT": env.str("SMS_ACCOUNT", ""),
        "SMS_TOKEN": env.str("SMS_TOKEN", ""),
        "SMS_FROM": env.str("SMS_FROM", ""),
    }
    if values["SMS_URL"] and not all(values.values()):
        raise ImproperlyConfigured("SMS_URL needs SMS_ACCOUNT, SMS_TOKEN and SMS_FROM beside it.")
    return {**values, "SMS_IDEMPOTENCY_HEADER": env.str("SMS_IDEMPOTENCY_HEADER", "")}


def _vapid(key: str) -> str:
    if key:
        try:
            is_key = len(base64.urlsafe_b64decode(key + "=" * (-len(key) % 4))) == 32
        except ValueError:
            is_key = False
        if not is_key:
            raise ImproperlyConfigured("VAPID_PRIVATE_KEY must be 32 bytes in base64url.")
    return key


def _subject(subject: str) -> str:
    if not subject.startswith(("mailto:", "https://")):
        raise ImproperlyConfigured("VAPID_SUBJECT must begin with mailto: or https://; push services write there.")
    return subject


def _account(text: str) -> dict[str, Any]:
    if not text:
        return {}
    try:
        account = json.loads(text)
    except ValueError:
        account = None
    if not isinstance(account, dict) or not all(isinstance(account.get(name), str) for name in _ACCOUNT):
        raise ImproperlyConfigured(f"FCM_SERVICE_ACCOUNT must be the JSON of a service account, with {_ACCOUNT}.")
    return account


def _url(name: str, url: str, on_this_machine: bool) -> str:
    if url and not url.startswith("https://") and not (on_this_machine and url.startswith("http://127.0.0.1:")):
        raise ImproperlyConfigured(f"{name} must be https://.")
    return url.rstrip("/")
