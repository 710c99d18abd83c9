"""The settings of signing in: allauth's, the second factor's, and how long a sign-in lasts."""

from datetime import timedelta
from typing import Any


def configured(*, trusted_proxies: int, on_loopback: bool) -> dict[str, Any]:
    """Settings by name."""
    return {
        "AUTHENTICATION_BACKENDS": ["backend.accounts.sign_in.Backend"],
        "AUTH_PASSWORD_VALIDATORS": [
            {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 10}},
            {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
            {"NAME": "backend.accounts.passwords.HouseWordsValidator"},
            {
                "NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator",
                "OPTIONS": {"user_attributes": ("email", "full_name")},
            },
        ],
        "ACCOUNT_ADAPTER": "backend.accounts.sign_in.Adapter",
        "ACCOUNT_USER_MODEL_USERNAME_FIELD": None,
        "ACCOUNT_LOGIN_METHODS": {"email"},
        "ACCOUNT_SIGNUP_FIELDS": ["email*", "password1*"],
        "ACCOUNT_SIGNUP_FORM_CLASS": "backend.accounts.forms.InvitationForm",
        "ACCOUNT_EMAIL_VERIFICATION": "none",  # the invitation itself was sent to the address
        "ACCOUNT_UNIQUE_EMAIL": True,
        "ACCOUNT_PREVENT_ENUMERATION": True,
        "ACCOUNT_EMAIL_UNKNOWN_ACCOUNTS": False,  # nobody gets mail who never had to do with a clinic
        # A code that is typed into the app, no link that a scanner may open.
        "ACCOUNT_PASSWORD_RESET_BY_CODE_ENABLED": True,
        "ACCOUNT_LOGOUT_ON_PASSWORD_CHANGE": True,
        "ACCOUNT_SESSION_REMEMBER": True,
        "ALLAUTH_TRUSTED_PROXY_COUNT": trusted_proxies,
        # Counted by backend.accounts.attempts, in the database and once; allauth's own counters live in the cache.
        "ACCOUNT_RATE_LIMITS": dict.fromkeys(
            ("login", "login_failed", "signup", "reset_password", "reauthenticate", "change_password")
        ),
        "MFA_RATE_LIMITS": {"webauthn_login": None},
        "MFA_ADAPTER": "backend.accounts.second_factor.Adapter",
        "MFA_SUPPORTED_TYPES": ["totp", "recovery_codes", "webauthn"],
        "MFA_ALLOW_UNVERIFIED_EMAIL": True,  # the invitation proved the address; allauth keeps no row of it
        "MFA_PASSKEY_LOGIN_ENABLED": True,
        "MFA_RECOVERY_CODES_SHOW_ONCE": True,
        "HEADLESS_ONLY": False,
        "HEADLESS_TOKEN_STRATEGY": "backend.accounts.sign_in.Tokens",
        "HEADLESS_CLIENTS": ("app",),
        "HEADLESS_SERVE_SPECIFICATION": True,  # merged into our own document by backend.accounts.openapi
        "HEADLESS_SPECIFICATION_TEMPLATE_NAME": None,
        "LOGIN_URL": "account_login",
        "LOGIN_REDIRECT_URL": "/",
        "LOGOUT_REDIRECT_URL": "account_login",
        # How long a sign-in lasts: for staff a working day, and a quarter of an hour without anything done.
        "STAFF_SESSION_AGE": timedelta(hours=12),
        "STAFF_IDLE_AGE": timedelta(minutes=15),
        "PATIENT_IDLE_AGE": timedelta(days=90),
        # What live pages ask by themselves; it keeps nobody signed in.
        "POLLS": frozenset({"/api/v1/changes"}),
        # By this name a browser takes it only from this very host, over https, for the whole of it.
        "BROWSER_COOKIE_NAME": "browser" if on_loopback else "__Host-browser",
    }
