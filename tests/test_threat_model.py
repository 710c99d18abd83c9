"""The threat model leads to tests that exist, misses no kind of threat, and stays one page."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PAGE = (ROOT / "docs/threat-model.md").read_text()
ROWS = [line.split("|")[1:-1] for line in PAGE.splitlines() if re.match(r"^\| \**[STRIDE]\** \|", line)]
LINK = re.compile(r"`(tests/[a-z_/]+\.py)::(test_[a-z0-9_]+)`")


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[1].strip())
def test_each_threat_is_proved_by_a_test_that_exists(row: list[str]) -> None:
    _, threat, answer, proof = (cell.strip() for cell in row)
    assert threat
    assert answer
    links = LINK.findall(proof)
    assert links, "no proof"
    assert LINK.sub("", proof).strip(", ") == "", "something else than links"
    for path, name in links:
        functions = {n.name for n in ast.walk(ast.parse((ROOT / path).read_text())) if isinstance(n, ast.FunctionDef)}
        assert name in functions, f"{path} has no {name}"


def test_every_kind_of_threat_is_there_and_it_is_one_page() -> None:
    assert {row[0].strip(" *") for row in ROWS} == set("STRIDE")
    assert len(PAGE.splitlines()) <= 60
    print(f"threat model: {len(ROWS)} threats, {len(LINK.findall(PAGE))} links to tests")


def test_the_security_policy_leads_to_it_and_says_where_to_report() -> None:
    policy = (ROOT / "SECURITY.md").read_text()
    assert all(word in policy for word in ("docs/threat-model.md", "Report", "Supported versions"))
    assert "SECURITY.md" in (ROOT / "README.md").read_text()
