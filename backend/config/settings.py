"""Every setting in one place, read from the environment and, where that is silent, from `.local/env`.

A value that is not what it should be stops the start with one line. Each key is described in docs/settings.md.
"""

import os
from datetime import timedelta
from pathlib import Path
from typing import Any

import environ
from django.core.exceptions import ImproperlyConfigured

from backend.config import headers, logs, messaging, note_keys, refusals, rights, signing_in

ROOT = Path(__file__).resolve().parents[2]
LOCAL_DIR = Path(os.environ.get("LOCAL_DIR", ROOT / ".local"))

env = environ.FileAwareEnv()
if (LOCAL_DIR / "env").is_file() and "DATABASE_URL" not in os.environ and "DATABASE_URL_FILE" not in os.environ:
    env.read_env(str(LOCAL_DIR / "env"), overwrite=False)


def flag(name: str, default: bool) -> bool:
    """True or False and nothing else."""
    value = os.environ.get(name, str(default))
    if value not in {"True", "False"}:
        raise ImproperlyConfigured(f"{name} must be True or False, not {value!r}.")
    return value == "True"


DEBUG = flag("DEBUG", False)
DEMO = flag("DEMO", False)
SECRET_KEY = refusals.secret_key(env.str("SECRET_KEY", ""), strict=not DEBUG)
NOTE_KEYS_SERVICE = env.str("NOTE_KEYS_SERVICE", "")
NOTE_KEYS_FILE = note_keys.checked(env.str("NOTE_KEYS_FILE", ""), needed=not DEBUG and not NOTE_KEYS_SERVICE)
SECRET_KEY_FALLBACKS = env.list("SECRET_KEY_FALLBACKS", default=[])

BASE_URL = env.str("BASE_URL", "http://127.0.0.1:8000").rstrip("/")
ON_LOOPBACK = BASE_URL.startswith(("http://127.0.0.1", "http://localhost", "http://[::1]"))
if not BASE_URL.startswith("https://") and not ON_LOOPBACK:
    raise ImproperlyConfigured("BASE_URL must be https:// anywhere but on loopback.")
ALLOWED_HOSTS = env.list("ALLOWED_HOSTS", default=["127.0.0.1", "localhost", "[::1]"] if ON_LOOPBACK else [])
if DEMO and not ON_LOOPBACK:
    raise ImproperlyConfigured("DEMO=True works only with a BASE_URL on loopback: its passwords are printed.")
RATE_LIMITS = env.str("RATE_LIMITS", "on")
if RATE_LIMITS not in {"on", "off"} or (RATE_LIMITS == "off" and not DEMO):
    raise ImproperlyConfigured("RATE_LIMITS must be on; off works only with the demo clinic on loopback.")
CSRF_TRUSTED_ORIGINS = [BASE_URL]
if (TRUSTED_PROXY_COUNT := env.int("TRUSTED_PROXY_COUNT", 0)) < 0:
    raise ImproperlyConfigured("TRUSTED_PROXY_COUNT is how many proxies of your own stand in front: 0 or more.")
METRICS_TOKEN = refusals.token("METRICS_TOKEN", env.str("METRICS_TOKEN", ""))  # without: for this machine only
HEARTBEAT_URL = refusals.heartbeat(env.str("HEARTBEAT_URL", ""))

INSTALLED_APPS = [
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.postgres",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "allauth",
    "allauth.account",
    "allauth.headless",
    "allauth.mfa",
    "csp",
    "django_celery_beat",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "pghistory",
    "pgtrigger",
    "rest_framework",
    "backend.accounts",
    "backend.reminders",
    "backend.aftercare",
    "backend.treatment",
    "backend.insights",
    "backend.interop",
    "backend.web",
    "backend.config",
    *(["backend.demo"] if DEMO else []),
]

MIDDLEWARE = [
    # The first three see every answer, also those of the gate, of WhiteNoise and of a redirect to https.
    "backend.config.metrics.RequestMetrics",
    "backend.config.headers.StrictHeaders",
    "backend.config.headers.OwnPolicies",
    "backend.common.http.RequestGate",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "backend.config.limits.RequestLimits",
    "backend.config.opening.Gate",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "backend.accounts.anteroom.Anteroom",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "allauth.account.middleware.AccountMiddleware",
]
ROOT_URLCONF = "backend.config.urls"
WSGI_APPLICATION = "backend.config.wsgi.application"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ]
        },
    }
]


def database(name: str, **test: Any) -> dict[str, Any]:
    """A connection from the libpq address in the setting `name`."""
    url = env.str(name, "")
    if not url:
        raise ImproperlyConfigured(
            f"{name} is not set. Run `make run` first, or name your own server: docs/settings.md."
        )
    if not DEBUG:
        refusals.passwords(**{name: url})
    return {
        **env.db_url_config(url),
        "ENGINE": "django.db.backends.postgresql",
        "CONN_MAX_AGE": None,
        "CONN_HEALTH_CHECKS": True,
        "TEST": test,
        "OPTIONS": {"application_name": f"afterglow {name.lower()}", "connect_timeout": 5},
    }


# Three roles, three connections: the application owns nothing, the dispatcher sees only reminders, the owner migrates.
DATABASES = {
    "default": database("DATABASE_URL", MIRROR="owner"),
    "owner": database("DATABASE_OWNER_URL"),
    "dispatch": database("DATABASE_DISPATCH_URL", MIRROR="owner"),
    # The application's role too: attempts to sign in are counted whatever becomes of the request's own transaction.
    "attempts": database("DATABASE_URL", MIRROR="owner"),
}
# The dispatcher asks by index only and in its order; tables that grew since their statistics were made must not be read
# from end to end, nor all that is due be sorted for each batch.
# And whoever is stopped in the midst of a claim must not hold its lock for as long as it sleeps.
DATABASES["dispatch"]["OPTIONS"]["options"] = (
    "-c enable_seqscan=off -c enable_bitmapscan=off -c jit=off -c plan_cache_mode=force_custom_plan"
    " -c idle_in_transaction_session_timeout=10s"
)
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
REDIS_URL = env.str("REDIS_URL", "redis://127.0.0.1:6379/0")
if not DEBUG:
    refusals.passwords(REDIS_URL=REDIS_URL)
CACHES = {
    "default": {
        "BACKEND": "backend.common.patient_cache.PatientRedisCache",
        "LOCATION": REDIS_URL,
        "KEY_PREFIX": "afterglow",
        "OPTIONS": {"socket_timeout": 0.25, "socket_connect_timeout": 0.25},
    },
}

# People
AUTH_USER_MODEL = "accounts.Person"
vars().update(signing_in.configured(trusted_proxies=TRUSTED_PROXY_COUNT, on_loopback=ON_LOOPBACK))
SESSION_ENGINE = "backend.accounts.sessions"
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = not ON_LOOPBACK
SESSION_COOKIE_HTTPONLY = CSRF_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = CSRF_COOKIE_SAMESITE = "Lax"
if not ON_LOOPBACK:  # by these names a browser takes them only from this very host, over https, for the whole of it
    SESSION_COOKIE_NAME, CSRF_COOKIE_NAME = "__Host-sessionid", "__Host-csrftoken"

# Headers
SECURE_SSL_REDIRECT = not ON_LOOPBACK
SECURE_REDIRECT_EXEMPT = [r"^healthz$", r"^readyz$", r"^metrics$"]
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if TRUSTED_PROXY_COUNT else None
SECURE_HSTS_SECONDS = 0 if ON_LOOPBACK else 31_536_000
SECURE_HSTS_INCLUDE_SUBDOMAINS = not ON_LOOPBACK
SECURE_HSTS_PRELOAD = not ON_LOOPBACK
SECURE_REFERRER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"
CONTENT_SECURITY_POLICY = {"DIRECTIVES": headers.CONTENT_SECURITY}

# Interface
REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": [
        "backend.accounts.sign_in.TokenAuthentication",
        "backend.accounts.sign_in.BrowserAuthentication",
    ],
    "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAuthenticated"],
    "DEFAULT_RENDERER_CLASSES": ["backend.common.http.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": ["backend.common.http.JSONParser"],
    "DEFAULT_SCHEMA_CLASS": "backend.common.openapi.Schema",
    "EXCEPTION_HANDLER": "backend.common.problems.handle",
    "UNAUTHENTICATED_USER": "django.contrib.auth.models.AnonymousUser",
}
SPECTACULAR_SETTINGS = {
    "TITLE": "Afterglow",
    "VERSION": "1",
    "OAS_VERSION": "3.1.0",
    "DESCRIPTION": "Aftercare and follow-up for people treated with ketamine. Errors are RFC 9457 problem documents.",
    "SERVE_INCLUDE_SCHEMA": False,
    "SERVE_PERMISSIONS": ["rest_framework.permissions.AllowAny"],
    "SERVE_AUTHENTICATION": [],
    "SCHEMA_PATH_PREFIX": "/api/v1",
    "COMPONENT_SPLIT_REQUEST": True,
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    "POSTPROCESSING_HOOKS": [
        "drf_spectacular.hooks.postprocess_schema_enums",
        "backend.common.openapi.complete",
        "backend.accounts.openapi.add_sign_in",
    ],
}
APPEND_SLASH = False
# Bodies on the API are limited by path in backend.common.http; this is the widest of them.
DATA_UPLOAD_MAX_MEMORY_SIZE = 20 * 1024 * 1024

# Background work: few fixed entries; the ledger in the database decides what is due.
CELERY_BROKER_URL = REDIS_URL
CELERY_BROKER_TRANSPORT_OPTIONS = {"socket_timeout": 5, "socket_connect_timeout": 0.5, "visibility_timeout": 3600}
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_TASK_PUBLISH_RETRY = False
CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_ACKS_LATE = True
CELERY_TASK_REJECT_ON_WORKER_LOST = True
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
# What is about safety has a queue of its own, with a worker that takes nothing else.
CELERY_TASK_ROUTES = {"reminders.tick_safety": {"queue": "safety"}}
# A worker keeps its connections, as the web does; left to itself, Celery makes them anew for each task.
CELERY_DB_REUSE_MAX = 10_000
CELERY_TASK_TIME_LIMIT = 50
CELERY_TASK_SOFT_TIME_LIMIT = 45
CELERY_TIMEZONE = "UTC"
CELERY_BEAT_SCHEDULER = "django_celery_beat.schedulers:DatabaseScheduler"
CELERY_BEAT_MAX_LOOP_INTERVAL = 1
CELERY_BEAT_SCHEDULE = {
    task: {"task": task, "schedule": timedelta(seconds=every), "options": {"expire_seconds": expires}}
    for task, every, expires in (
        ("reminders.tick", 1, 5),
        ("reminders.tick_safety", 1, 5),
        ("reminders.deliver", 10, 10),
        ("reminders.tell_clinics", 30, 25),
        ("accounts.send_outbox", 10, 10),
        ("aftercare.expand_appointments", 21_600, 3_600),
        ("reminders.renew_zones", 86_400, 3_600),
        ("interop.work", 30, 25),
        ("interop.retain", 86_400, 3_600),
    )
}
DJANGO_CELERY_BEAT_TZ_AWARE = True

# Mail
EMAIL_URL = env.str("EMAIL_URL", "smtp://127.0.0.1:1025")
vars().update({key: value for key, value in env.email_url_config(EMAIL_URL).items() if key.startswith("EMAIL")})
EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
EMAIL_TIMEOUT = 10
DEFAULT_FROM_EMAIL = env.str("DEFAULT_FROM_EMAIL", "Afterglow <reminders@afterglow.invalid>")
vars().update(messaging.configured(env, sender=DEFAULT_FROM_EMAIL, on_this_machine=DEBUG or DEMO))

# Language, time, files
EXPORTS_DIR, ERASURES_FILE = rights.places(env, LOCAL_DIR)
USE_TZ = True
TIME_ZONE = "UTC"
USE_I18N = True
LANGUAGE_CODE = "en"
STATIC_URL = "static/"
STATIC_ROOT = env.str("STATIC_ROOT", "") or None  # where collectstatic writes, in an image
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {
        "BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"
        if DEMO or DEBUG or ON_LOOPBACK
        else "whitenoise.storage.CompressedManifestStaticFilesStorage"
    },
}
WHITENOISE_USE_FINDERS = ON_LOOPBACK

# Write history: the row itself is the first version; event tables keep what updates and deletes replaced.
PGHISTORY_APPEND_ONLY = True

# Logs: one line an event, the request's id in each, no personal data.
LOGGING = logs.configured(level=env.str("LOG_LEVEL", "INFO"))
AUDIT_HEADS_FILE = env.str("AUDIT_HEADS_FILE", "")  # where the heads of the audit chains are told, beside the log
