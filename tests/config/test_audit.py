"""The audit of the locks calls nothing safe that was not checked, and the licences allow what we do."""

import re
import runpy
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest

from tests.config.test_locks import entries

ROOT = Path(__file__).resolve().parents[2]
AUDIT = runpy.run_path(str(ROOT / ".ci/audit.py"))
FINE = {"name": "django", "version": "5.2.8", "vulns": []}
UNKNOWN = {"name": "django", "skip_reason": "Dependency not found on PyPI"}
WEAK = {"name": "x", "version": "1", "vulns": [{"id": "PYSEC-1", "aliases": ["CVE-1"], "fix_versions": ["2"]}]}


@pytest.mark.parametrize(
    ("packages", "code", "word"),
    [
        ([FINE, FINE], 0, "2 locked packages checked, 0 known"),
        ([FINE, UNKNOWN], 75, "NOT CHECKED. The vulnerability service knew 1 of 2"),
        ([], 75, "NOT CHECKED"),
        ([FINE, UNKNOWN, WEAK], 1, "x 1: PYSEC-1, fixed in 2"),
    ],
)
def test_what_was_not_checked_is_not_called_safe(packages: list[dict[str, Any]], code: int, word: str) -> None:
    got, lines = AUDIT["verdict"]({"dependencies": packages})
    assert got == code
    assert word in lines[0]


def test_an_advisory_is_ignored_for_a_reason_only() -> None:
    assert all(len(reason) > 40 for reason in AUDIT["IGNORED"].values())


def test_every_package_that_we_ship_has_a_licence_that_goes_with_ours() -> None:
    free = re.compile(
        r"MIT|BSD|Apache|ISC|PSF|Python Software Foundation|MPL|Mozilla|GPL|Unlicense|CC0|PostgreSQL|Zlib"
    )
    listed = {}
    for name in entries("requirements.txt"):
        try:
            about = metadata.metadata(name)
        except metadata.PackageNotFoundError:
            continue  # of another platform
        said = [about.get("License-Expression"), about.get("License"), *about.get_all("Classifier", [])]
        words = " ".join(word for word in said if word and not word.startswith(("Programming", "Operating")))
        listed[name] = bool(free.search(words))
    print(f"licences: {sum(listed.values())} of {len(listed)} packages that we ship say a free one")
    assert [name for name, known in listed.items() if not known] == []
