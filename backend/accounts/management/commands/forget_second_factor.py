"""For someone on the staff who lost phone and recovery codes: the next sign-in sets up a new second factor."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from backend.accounts import access, second_factor, sign_ins
from backend.accounts.models import Person


class Command(BaseCommand):
    """`forget_second_factor ADDRESS`; make sure first that it is really this person who asks."""

    help = "Remove all second factors of a person and end the person's sign-ins; the next one sets up anew."

    def add_arguments(self, parser: CommandParser) -> None:
        """Whose."""
        parser.add_argument("address", help="the e-mail address with which the person signs in")

    def handle(self, **options: Any) -> None:
        """Does it."""
        address = options["address"].lower()
        with access.acting_as(None, None, "sign-in", key=address):
            person = Person.objects.filter(email=address).first()
        if person is None:
            raise CommandError("Nobody signs in with this address.")
        with access.acting_as(person.pk, None, "forget second factor"):
            gone = second_factor.forget_all(person_id=person.pk)
            sign_ins.end_others(person=person, keep=None)
        self.stdout.write(f"{gone} removed; every sign-in of the person has ended")
