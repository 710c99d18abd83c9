"""Checks the audit chains, each in its clinic's own context, and says what was checked."""

import time
import uuid
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from backend.accounts import access, chain, heads
from backend.accounts.models import NOWHERE
from backend.common import clock


class Command(BaseCommand):
    """`manage.py verify_audit [--clinic ID]`: exits 1 on a break, on events that wait, and when there are none."""

    help = "Checks the hash chain of the audit trail, clinic by clinic."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """One clinic, or all."""
        parser.add_argument("--clinic", type=uuid.UUID, help="the id of a clinic; all chains without it")

    def handle(self, *args: Any, clinic: uuid.UUID | None = None, **options: Any) -> None:
        """Prints a line for each chain that does not hold, and the sum."""
        try:
            told = heads.told()
        except ValueError as error:
            raise CommandError(str(error)) from None
        known = [clinic] if clinic else sorted({*access.clinics(), *chain.chains(), *told})
        now, began = clock.now(), time.perf_counter()
        reports = [chain.check(each, now=now, exported=told.get(each, {})) for each in known]
        seconds = time.perf_counter() - began
        for report in reports:
            name = "events without a clinic" if report.clinic_id == NOWHERE else f"clinic {report.clinic_id}"
            for fault in report.faults:
                self.stderr.write(f"{name}: {fault}")
            if report.unsealed:
                waits = chain.UNSEALED.total_seconds()
                self.stderr.write(f"{name}: {report.unsealed} events outside the chain for more than {waits:.0f} s")
        events = sum(report.events for report in reports)
        clinics = sum(1 for report in reports if report.clinic_id != NOWHERE)
        compared = sum(len(told.get(report.clinic_id, {})) for report in reports)
        self.stdout.write(
            f"{clinics} clinics, {events} events checked, {compared} heads from outside compared, "
            f"{events / seconds if seconds else 0:,.0f} events/s"
        )
        if not all(report.holds for report in reports):
            raise CommandError("the audit trail does not hold")
        if not events:
            raise CommandError("there is no event to check: run it on the right database, while beat seals")
