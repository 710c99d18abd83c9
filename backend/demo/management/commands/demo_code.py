"""Prints the code that the authenticator app of someone on the demo's staff shows now."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from backend.common import clock
from backend.demo import codes


class Command(BaseCommand):
    """`demo_code psychiatrist`; a code opens once, and the next one comes within 30 seconds."""

    help = "Print the second step of a demo sign-in: the code that the person's authenticator app shows now."

    def add_arguments(self, parser: CommandParser) -> None:
        """Whose."""
        parser.add_argument("name", help="the part of the address before the @, such as psychiatrist")

    def handle(self, **options: Any) -> None:
        """Prints it."""
        try:
            self.stdout.write(codes.code_of(options["name"], now=clock.now()))
        except codes.NobodyHere as reason:
            raise CommandError(str(reason)) from reason
