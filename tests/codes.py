"""Second factors for the cast: an authenticator app, and the code that it shows."""

from datetime import timedelta

from allauth.mfa.models import Authenticator

from backend.accounts import access, second_factor
from backend.accounts.models import Person
from backend.common import clock

SECRET = "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP"


def enrol(*people: Person) -> None:
    """Everyone has an app with this secret, none of whose codes was used, and recovery codes."""
    with access.maintaining("test"):
        for person in people:
            second_factor.enrol_app(person=person, secret=SECRET, step=0)
            second_factor.keep_recovery_codes(person)


def code(*, later: int = 0) -> str:
    """The code of now, or of as many steps later; the next one is taken as well, since clocks differ."""
    now = clock.now() + timedelta(seconds=later * second_factor.STEP_SECONDS)
    return second_factor.code_at(secret=SECRET, now=now)


def recovery_codes(person: Person) -> list[str]:
    """Those that were not used."""
    with access.maintaining("test"):
        row = Authenticator.objects.get(user_id=person.pk, type="recovery_codes")
        codes: list[str] = row.wrap().get_unused_codes()
    return codes
