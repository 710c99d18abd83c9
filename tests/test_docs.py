"""The docs are true: what they tell a reader to paste works, and the contract in the repository is the code's own."""

import json
import re
import subprocess
from pathlib import Path

import pytest
import yaml
from django.core.management import call_command

from tests.cast import PASSWORD, Cast
from tests.codes import SECRET, enrol
from tests.live import Stack

ROOT = Path(__file__).resolve().parents[1]
DOCUMENT = ROOT / "docs/openapi.yaml"


def _blocks(page: Path) -> list[str]:
    return re.findall(r"^```sh\n(.*?)^```", page.read_text(), re.MULTILINE | re.DOTALL)


@pytest.mark.slow
@pytest.mark.stack
def test_the_guide_to_the_api_works_as_it_stands(stack: Stack, cast: Cast, tmp_path: Path) -> None:
    people = {
        name: {"email": getattr(cast, name).email, "password": PASSWORD, "totp_secret": SECRET}
        for name in ("patient", "psychiatrist", "outsider")
    }
    enrol(cast.psychiatrist, cast.outsider)
    (tmp_path / ".local").mkdir()
    (tmp_path / ".local/demo.json").write_text(json.dumps({"base_url": stack.base_url, "people": people}))
    script = "set -euo pipefail\n" + "\n".join(_blocks(ROOT / "docs/api-guide.md"))
    run = subprocess.run(["bash", "-c", script], cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert run.returncode == 0, run.stderr
    said = run.stdout
    assert re.search(r"\n201\n.*\n200\n", said, re.DOTALL), said
    assert "'outcome': 'created'" in said
    assert "\n2\n204\n" in said, "corrected, then deleted"
    assert "\n4\n" in said, "and brought back"
    assert "\n404\n" in said
    assert said.count("\nacknowledged\n") == 2
    assert "{'channel': 'email', 'state': 'ok', 'since': None}" in said
    assert "FREQ must be one of DAILY, WEEKLY, MONTHLY." in said
    assert "It was put off and comes again at" in said
    assert "\ncancelled_by_staff\n204\n" in said
    assert all(f'"pointer":"/{name}"' in said for name in ("felt_at", "time_zone", "mood"))


@pytest.mark.stack
def test_the_readmes_main_job_works_as_it_stands(stack: Stack, cast: Cast, tmp_path: Path) -> None:
    people = {
        name: {"id": str(getattr(cast, name).id), "token": cast.client(getattr(cast, name)).token}
        for name in ("patient", "psychiatrist", "outsider")
    }
    (tmp_path / ".local").mkdir()
    (tmp_path / ".local/demo.json").write_text(json.dumps({"base_url": stack.base_url, "people": people}))
    (block,) = [block for block in _blocks(ROOT / "README.md") if "curl" in block]
    run = subprocess.run(
        ["bash", "-c", f"set -euo pipefail\n{block}"], cwd=tmp_path, capture_output=True, text=True, timeout=120
    )
    assert run.returncode == 0, run.stderr
    assert re.search(r"\n201\n.*\n200\n", run.stdout, re.DOTALL), run.stdout
    assert '"mood":{"mean":6' in run.stdout
    assert '"status":404' in run.stdout
    assert '"status":"sent"' in run.stdout.splitlines()[-1]


def test_the_contract_in_the_repository_is_the_one_that_the_code_makes(tmp_path: Path) -> None:
    made = tmp_path / "openapi.yaml"
    call_command("spectacular", "--file", str(made), "--validate", "--fail-on-warn")
    assert made.read_text() == DOCUMENT.read_text(), "make openapi, then look at the difference"


def test_every_operation_says_how_it_can_fail() -> None:
    document = yaml.safe_load(DOCUMENT.read_text())
    for path, operations in document["paths"].items():
        if "/auth/" in path:
            continue  # allauth's own shapes
        for verb, operation in operations.items():
            assert "429" in operation["responses"], f"{verb} {path}"
            for response in operation["responses"].values():
                assert response["description"] or "content" in response
