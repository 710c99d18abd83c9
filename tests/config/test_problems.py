"""Every code that an answer can carry is explained where its `type` leads."""

import re
from pathlib import Path

import pytest
from django.test import Client

from backend.config.api_docs import PROBLEMS
from tests.databases import ROOT

RAISED = re.compile(r"Problem\(\s*status=\d+,\s*code=\"([a-z_]+)\"")


@pytest.mark.usefixtures("database")
def test_each_code_is_explained() -> None:
    sources: list[Path] = [p for p in (ROOT / "backend").rglob("*.py") if "migrations" not in p.parts]
    raised = {code for path in sources for code in RAISED.findall(path.read_text())}
    assert raised
    assert raised <= {code for code, _ in PROBLEMS}
    page = Client().get("/api/docs/problems/").content.decode()
    assert all(f'id="{code}"' in page for code in raised)


@pytest.mark.usefixtures("database")
def test_the_type_of_an_answer_leads_there() -> None:
    address = Client().get("/api/v1/me").json()["type"]
    assert Client().get(address.partition("#")[0]).status_code == 200
