"""Prints the demo's people, each with a fresh token."""

import json
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from backend.common import clock
from backend.demo import people


class Command(BaseCommand):
    """`demo_people [--json]`; earlier tokens of the demo end."""

    help = "Print who can sign in to the demo, with a new token each; the earlier tokens end."

    def add_arguments(self, parser: CommandParser) -> None:
        """The shape of the output."""
        parser.add_argument("--json", action="store_true", help="as in .local/demo.json")

    def handle(self, **options: Any) -> None:
        """Renews and prints."""
        try:
            found = people.renew_tokens(now=clock.now())
        except people.NotLoaded as reason:
            raise CommandError(str(reason)) from reason
        if options["json"]:
            self.stdout.write(json.dumps(found, indent=2))
            return
        for name, person in found.items():
            self.stdout.write(f"{name:<14} {person['email']:<40} {person['password']}  {person['token']}")
