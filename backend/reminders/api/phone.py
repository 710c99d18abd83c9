"""The doors of the own number for text messages: naming it, proving it by a code, taking it back."""

from datetime import timedelta
from typing import Annotated, Any

from drf_spectacular.utils import extend_schema
from msgspec import Meta
from rest_framework.request import Request
from rest_framework.response import Response

from backend.accounts import reach
from backend.accounts.door import DoorView
from backend.accounts.models import Person
from backend.common import bodies, client_address, openapi, problems, queries
from backend.common.bodies import Struct
from backend.common.problems import FieldError, Problem
from backend.reminders import phones
from backend.reminders.shapes import PHONE

_NOT_SET_UP = openapi.problem("This clinic sends no text messages.")


class PhoneBody(Struct, kw_only=True, frozen=True):
    """A number."""

    number: Annotated[str, Meta(pattern="^[+][1-9][0-9]{6,14}$(?!\n)", description="E.164", examples=["+15005550006"])]


class CodeBody(Struct, kw_only=True, frozen=True):
    """What stands in the text message."""

    code: Annotated[str, Meta(pattern="^[0-9]{6}$(?!\n)", examples=["123456"])]


class PhoneView(DoorView):
    """What both doors do."""

    def locked(self) -> Person:
        """The person, locked, so that two changes come one after the other."""
        return Person.objects.select_for_update(no_key=True).get(id=self.actor.person.id)

    def answer(self, person: Person) -> Response:
        """The number and what waits."""
        waiting = phones.pending(person, now=self.now)
        told: dict[str, Any] = {"number": person.phone or None, "confirmed_at": person.phone_confirmed_at}
        told["pending"] = {"number": waiting.number, "expires_at": waiting.expires_at} if waiting else None
        return Response(told)


class MyPhone(PhoneView):
    """The own number."""

    roles = {"GET": reach.EVERYBODY, "PUT": reach.EVERYBODY, "DELETE": reach.EVERYBODY}

    @extend_schema(operation_id="me_phone_read", responses={200: PHONE})
    def get(self, request: Request) -> Response:
        """The confirmed number, and one that waits for its code."""
        queries.refuse_unknown(request, ())
        return self.answer(self.actor.person)

    @extend_schema(
        operation_id="me_phone_put",
        request={"application/json": openapi.component(PhoneBody)},
        responses={200: PHONE, 409: _NOT_SET_UP},
    )
    def put(self, request: Request) -> Response:
        """Sends a code of six digits to the number. Until it is confirmed, text messages go where they went before."""
        body = bodies.read(request, PhoneBody)
        person = self.locked()
        try:
            phones.ask(person=person, number=body.number, network=client_address.address_of(request), now=self.now)
        except phones.NotSetUp:
            raise Problem(status=409, code="not_set_up", detail="This clinic sends no text messages.") from None
        except phones.TooSoon as error:
            raise _later(error.wait) from None
        return self.answer(person)

    @extend_schema(operation_id="me_phone_remove", responses={204: None})
    def delete(self, request: Request) -> Response:
        """No text message comes any more."""
        phones.forget(person=self.locked())
        return Response(status=204)


class MyPhoneConfirmation(PhoneView):
    """Proving that the number is one's own."""

    roles = {"POST": reach.EVERYBODY}

    @extend_schema(
        operation_id="me_phone_confirm",
        request={"application/json": openapi.component(CodeBody)},
        responses={200: PHONE, 409: openapi.problem("No code is waiting; ask for one.")},
    )
    def post(self, request: Request) -> Response:
        """The code that came by text message; the same again is the same as once."""
        body = bodies.read(request, CodeBody)
        person = self.locked()
        try:
            phones.confirm(person=person, code=body.code, network=client_address.address_of(request), now=self.now)
        except phones.NoCode:
            raise Problem(
                status=409, code="no_code", detail="No code is waiting, or its time is over: PUT me/phone sends one."
            ) from None
        except phones.WrongCode:
            raise problems.invalid(FieldError("/code", "wrong_code", "This is not the code that was sent.")) from None
        except phones.TooSoon as error:
            raise _later(error.wait) from None
        return self.answer(person)


def _later(wait: timedelta) -> Problem:
    seconds = int(wait.total_seconds()) + 1
    return Problem(
        status=429,
        code="too_many_attempts",
        detail=f"Too many attempts; the next may be made in {seconds} seconds.",
        headers={"Retry-After": str(seconds)},
    )
