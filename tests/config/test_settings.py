"""Every setting is described, and every description is of a setting that exists."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from backend.accounts import masters
from tests.config import clones

ROOT = Path(__file__).resolve().parents[2]
READS = re.compile(
    r"""(?:env(?:\.[a-z_]+)?|flag|database|setting|address|os\.environ\.get|os\.environ\.setdefault)\(\s*"([A-Z][A-Z0-9_]+)\""""
)
KEY = "uY3-s8Qz_Lr0vTq7Xn2Wc5Ma9Eb4Hd6Kf1Jg"
FILES = {"NOTE_KEYS_FILE", "AUDIT_HEADS_FILE"}  # settings that are a file themselves, not where a secret can be read
NOT_OURS = {"PATH", "PYTHONTZPATH", "DJANGO_SETTINGS_MODULE", "PROMETHEUS_MULTIPROC_DIR"}


def note_keys(folder: Path) -> str:
    """A file with a master key."""
    path = folder / "note_keys.json"
    path.write_text(masters.drawn("test"))
    return str(path)


def read_by_the_program() -> set[str]:
    """The keys that any file of the program reads from the environment."""
    found: set[str] = set()
    for path in [*(ROOT / "backend").rglob("*.py")]:
        found |= set(READS.findall(path.read_text()))
    return {key if key in FILES else key.removesuffix("_FILE") for key in found - NOT_OURS}


def described() -> set[str]:
    """The settings in the tables of docs/settings.md."""
    return set(re.findall(r"^\| `([A-Z0-9_]+)`", (ROOT / "docs" / "settings.md").read_text(), re.MULTILINE))


def test_every_setting_that_is_read_is_described() -> None:
    keys = read_by_the_program()
    assert {"DATABASE_URL", "SECRET_KEY", "PORT", "DEMO", "WEB_HOST"} <= keys
    assert keys - described() == set()


def test_every_setting_that_is_described_is_read_somewhere() -> None:
    tests = "".join(path.read_text() for path in (ROOT / "tests").rglob("*.py"))
    sources = "".join(path.read_text() for path in (ROOT / "backend").rglob("*.py"))
    for key in described():
        assert f'"{key}"' in sources or f'"{key}"' in tests, key


def test_compose_sets_only_what_is_described() -> None:
    services = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]
    for name in ("web", "worker", "urgent", "beat", "migrate", "backup", "restore"):
        keys = {key if key in FILES else key.removesuffix("_FILE") for key in services[name]["environment"]}
        assert keys <= described()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("wrong", "word"),
    [
        ({"SECRET_KEY": "short"}, "SECRET_KEY"),
        ({"DEBUG": "yes"}, "DEBUG must be True or False"),
        ({"BASE_URL": "http://aftercare.example.org"}, "https"),
        ({"BASE_URL": "https://aftercare.example.org", "DEMO": "True"}, "DEMO"),
        ({"RATE_LIMITS": "off"}, "RATE_LIMITS"),
        ({"RATE_LIMITS": "off", "DEMO": "True", "BASE_URL": "https://aftercare.example.org"}, "DEMO"),
        ({"SECRET_KEY": ""}, "SECRET_KEY"),
        ({"SECRET_KEY": "x" * 64}, "SECRET_KEY"),
        ({"SECRET_KEY": "django-insecure-3$kq0z!n2w^v8b@h5m7c1x9p4t6y"}, "known example"),
        ({"SECRET_KEY": "change-me-change-me-change-me-change-me-0815"}, "known example"),
        ({"DATABASE_URL": "postgresql://afterglow_app@db.example.org/afterglow"}, "DATABASE_URL"),
        ({"DATABASE_URL": "postgresql://afterglow_app:afterglow_app@db.example.org/afterglow"}, "DATABASE_URL"),
        (
            {"DATABASE_OWNER_URL": "postgresql://afterglow_owner:change-me-please@db.example.org/a"},
            "DATABASE_OWNER_URL",
        ),
        ({"DATABASE_DISPATCH_URL": "postgresql://afterglow_dispatch:short@db.example.org/a"}, "DATABASE_DISPATCH_URL"),
        ({"TRUSTED_PROXY_COUNT": "-1"}, "TRUSTED_PROXY_COUNT"),
        ({"METRICS_TOKEN": "short"}, "METRICS_TOKEN"),
        ({"HEARTBEAT_URL": "http://watcher.example.org/x"}, "HEARTBEAT_URL"),
        ({"REDIS_URL": "redis://redis.example.org:6379/0"}, "REDIS_URL"),
        ({"VAPID_PRIVATE_KEY": "short"}, "VAPID_PRIVATE_KEY must be 32 bytes"),
        ({"VAPID_SUBJECT": "somebody"}, "VAPID_SUBJECT must begin with"),
        ({"FCM_SERVICE_ACCOUNT": "{}"}, "FCM_SERVICE_ACCOUNT must be the JSON"),
        ({"FCM_URL": "http://fcm.example.org"}, "FCM_URL must be https"),
        ({"SMS_URL": "https://sms.example.org"}, "SMS_URL needs SMS_ACCOUNT"),
        ({"NOTE_KEYS_FILE": ""}, "NOTE_KEYS_FILE must name the file of the master keys: docs/keys.md"),
        ({"NOTE_KEYS_FILE": "/nowhere/keys.json"}, "NOTE_KEYS_FILE /nowhere/keys.json: No such file"),
        ({"NOTE_KEYS_FILE": "pyproject.toml"}, "NOTE_KEYS_FILE pyproject.toml: must hold"),
    ],
)
def test_an_unsafe_value_stops_the_start(tmp_path: Path, wrong: dict[str, str], word: str) -> None:
    safe = dict.fromkeys(clones.OWN[:3], "postgresql://a:b@127.0.0.1:1/c") | {"SECRET_KEY": KEY}
    safe["NOTE_KEYS_FILE"] = note_keys(tmp_path)
    done = subprocess.run(
        [sys.executable, "-c", "import backend.config.settings"],
        cwd=ROOT,
        env=clones.environment(tmp_path, **(safe | wrong)),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode != 0
    assert word in done.stderr.strip().splitlines()[-1]


def test_a_secret_can_come_from_a_file(tmp_path: Path) -> None:
    (tmp_path / "key").write_text(KEY + "\n")
    safe = dict.fromkeys(clones.OWN[:3], "postgresql://a:b@127.0.0.1:1/c")
    safe["NOTE_KEYS_FILE"] = note_keys(tmp_path)
    done = subprocess.run(
        [sys.executable, "-c", "from backend.config import settings; print(settings.SECRET_KEY)"],
        cwd=ROOT,
        env=clones.environment(tmp_path, **safe, SECRET_KEY_FILE=str(tmp_path / "key")),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout.strip() == KEY, done.stderr


def test_the_deployment_check_finds_nothing_and_nothing_is_kept_from_it(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "backend.config.parts", "check"],
        cwd=ROOT,
        env=clones.environment(tmp_path, TRUSTED_PROXY_COUNT="1"),
        capture_output=True,
        text=True,
        check=False,
    )
    print(done.stdout.strip())
    assert done.returncode == 0, done.stderr
    assert "no issues (0 silenced)" in done.stdout


def test_a_browser_takes_our_cookies_from_this_very_host_only(tmp_path: Path) -> None:
    names = "(s.SESSION_COOKIE_NAME, s.CSRF_COOKIE_NAME, s.SESSION_COOKIE_SECURE, s.CSRF_COOKIE_SECURE)"
    safe = dict.fromkeys(clones.OWN[:3], "postgresql://a:b@127.0.0.1:1/c") | {"SECRET_KEY": KEY}
    safe["NOTE_KEYS_FILE"] = note_keys(tmp_path)
    done = subprocess.run(
        [sys.executable, "-c", f"from backend.config import settings as s; print({names}, s.ALLOWED_HOSTS)"],
        cwd=ROOT,
        env=clones.environment(tmp_path, **safe, BASE_URL="https://aftercare.example.org"),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout.strip() == "('__Host-sessionid', '__Host-csrftoken', True, True) []", done.stderr
