"""What is refused at the start outside DEBUG: secrets that are short, well known, or no secrets at all."""

import re
from urllib.parse import unquote, urlsplit

from django.core.exceptions import ImproperlyConfigured

SECRET_LENGTH = 32
# At least so many different characters: 32 random ones of an alphabet of 16 have fewer once in ten million keys.
VARIETY = 8
TOKEN_LENGTH = 24
PASSWORD_LENGTH = 12
_KNOWN = re.compile(
    r"insecure|change[\W_]*me|example|your[\W_]*secret|secret[\W_]*key|only-for|default|placeholder|replace|dummy|1234567",
    re.IGNORECASE,
)
_KNOWN_PASSWORDS = re.compile(
    r"postgres|password|passwort|secret|redis|afterglow|admin|letmein|qwerty|foobared", re.IGNORECASE
)

_LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})


def secret_key(value: str, *, strict: bool) -> str:
    """The value itself. Raises ImproperlyConfigured when it is empty; where strict, when somebody could guess it."""
    weak = len(value) < SECRET_LENGTH or len(set(value)) < VARIETY or _KNOWN.search(value)
    if not value or (strict and weak):
        raise ImproperlyConfigured(
            "SECRET_KEY (or SECRET_KEY_FILE) must hold at least 32 random characters and no known example; make one by "
            "python3 -c 'import secrets; print(secrets.token_urlsafe(48))'."
        )
    return value


def token(name: str, value: str) -> str:
    """The value itself, which may be empty. Raises ImproperlyConfigured when somebody could guess it."""
    if value and (len(value) < TOKEN_LENGTH or len(set(value)) < VARIETY or _KNOWN.search(value)):
        raise ImproperlyConfigured(f"{name} must hold at least {TOKEN_LENGTH} random characters, or be left out.")
    return value


def heartbeat(url: str) -> str:
    """The address itself, which may be empty. Raises ImproperlyConfigured for one that others on the way could read."""
    parts = urlsplit(url)
    if url and parts.scheme != "https" and not (parts.scheme == "http" and parts.hostname in _LOOPBACK):
        raise ImproperlyConfigured("HEARTBEAT_URL must be https:// anywhere but on loopback, or be left out.")
    return url


def passwords(**urls: str) -> None:
    """Raises ImproperlyConfigured for a server address whose password is missing, short, known or the user's name.

    An address without a host (a local socket), on this machine or with a client certificate is left to its owner.
    """
    for name, url in urls.items():
        parts = urlsplit(url)
        if parts.hostname is None or parts.hostname in _LOOPBACK or "sslcert=" in parts.query:
            continue
        password, user = unquote(parts.password or ""), unquote(parts.username or "")
        known = password and (password == user or _KNOWN.search(password) or _KNOWN_PASSWORDS.fullmatch(password))
        if len(password) < PASSWORD_LENGTH or known:
            raise ImproperlyConfigured(
                f"{name} must carry a password of at least {PASSWORD_LENGTH} characters that is no known example: that "
                "server is reached over a network."
            )
