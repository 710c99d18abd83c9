"""`/metrics`: figures for the operator, not for strangers, and nobody's name in them."""

import re
import uuid
from typing import Any

import pytest
import requests
from django.test import Client as Browser

from tests.cast import Cast, Client
from tests.live import Stack

TOKEN = "qV8-tR3_wZ6xK1nB4mC7jL0p"  # of this test


def test_a_stranger_finds_nothing_there_and_who_shows_the_token_does(database: str, settings: Any) -> None:
    outside = {"REMOTE_ADDR": "203.0.113.5"}
    assert Browser().get("/metrics").status_code == 200, "this machine itself"
    assert Browser().get("/metrics", HTTP_X_FORWARDED_FOR="127.0.0.1").status_code == 404, "through a proxy"
    assert Browser().get("/metrics", HTTP_AUTHORIZATION="Bearer ", **outside).status_code == 404
    settings.METRICS_TOKEN = TOKEN
    assert Browser().get("/metrics", HTTP_AUTHORIZATION="Bearer wrong", **outside).status_code == 404
    assert Browser().get("/metrics", HTTP_AUTHORIZATION=f"Bearer {TOKEN}", **outside).status_code == 200


def test_requests_are_counted_by_route_and_never_by_address(cast: Cast) -> None:
    somebody = uuid.uuid4()
    cast.client(cast.psychiatrist).send("GET", f"patients/{cast.patient.id}")
    cast.client(cast.psychiatrist).send("GET", f"patients/{somebody}?find=Anna")
    Client().send("GET", "/anna@example.org")
    Client().generic("ANNA", "/api/v1/")
    told = Browser().get("/metrics").content.decode()
    assert re.search(r'_count\{route="/api/v1/patients/<uuid:id>",status="404",verb="GET"\} [1-9]', told)
    assert re.search(r'_count\{route="none",status="404",verb="GET"\} [1-9]', told)
    assert "anna" not in told.lower()
    assert not re.search(r"[0-9a-f]{8}-[0-9a-f]{4}-", told), "no id of anything"


@pytest.mark.slow
@pytest.mark.stack
def test_heartbeats_backlog_and_the_requests_of_all_processes_are_told(stack: Stack) -> None:
    for _ in range(20):
        requests.get(f"{stack.base_url}/api/v1/", timeout=5)
    told = requests.get(f"{stack.base_url}/metrics", timeout=5).text
    found = re.search(r'request_seconds_count\{route="/api/v1/",status="200",verb="GET"\} ([0-9.]+)', told)
    assert found is not None
    assert float(found[1]) >= 20
    for part in ("worker", "urgent", "beat"):
        assert f'afterglow_part_well{{part="{part}"}} 1.0' in told
    assert 'afterglow_part_well{part="tick"}' in told
    assert "afterglow_reminders_due " in told
