"""A phone of the journeys."""

from typing import Any

import requests

from backend.accounts import access
from backend.accounts.models import Device, Person
from backend.common import clock
from tests.cast import PASSWORD
from tests.codes import code
from tests.live import Stack


class Phone:
    """A signed-in client that speaks to the stack over the network."""

    def __init__(self, stack: Stack, person: Person) -> None:
        with access.maintaining("test"):  # known already, so nobody is mailed about a new one
            device = Device.objects.create(person=person, platform="ios", seen_at=clock.now())
        self.api = f"{stack.base_url}/api/v1"
        ways = f"{self.api}/auth/app/v1/auth"
        headers = {"X-Device": str(device.id)}
        answer = requests.post(
            f"{ways}/login", json={"email": person.email, "password": PASSWORD}, headers=headers, timeout=10
        )
        if answer.status_code == 401:  # staff are asked for the second step
            headers["X-Session-Token"] = answer.json()["meta"]["session_token"]
            answer = requests.post(f"{ways}/2fa/authenticate", json={"code": code()}, headers=headers, timeout=10)
        assert answer.status_code == 200, answer.text
        self.headers = {"Authorization": f"Bearer {answer.json()['meta']['session_token']}"}

    def send(self, verb: str, path: str, body: Any = None, **headers: str) -> requests.Response:
        """One request to a path below /api/v1/."""
        more = {name.replace("_", "-"): value for name, value in headers.items()}
        return requests.request(verb, f"{self.api}/{path}", json=body, headers=self.headers | more, timeout=10)
