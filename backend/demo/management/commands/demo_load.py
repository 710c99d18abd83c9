"""Loads the demo clinic, or a clinic of any size for benchmarks."""

import sys
import time
from typing import Any, TextIO

import psycopg
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import DatabaseError

from backend.common import clock
from backend.demo import clinic, volume
from backend.demo.diary import AlreadyLoaded


class Command(BaseCommand):
    """`demo_load [--check-ins N] [--replace]`."""

    help = "Load the demo clinic; with --check-ins N, a clinic of that size beside it ('Load clinic')."

    def add_arguments(self, parser: CommandParser) -> None:
        """How much, and whether it may replace what is there."""
        parser.add_argument("--check-ins", type=_amount, metavar="N", help="as many check-ins, about 3 a day a patient")
        parser.add_argument("--replace", action="store_true", help="first remove what an earlier load left")

    def handle(self, **options: Any) -> None:
        """Loads; what is in the way is one line."""
        try:
            if options["check_ins"] is None or not clinic.is_loaded():
                counts = clinic.load(now=clock.now(), replace=options["replace"])
                self.stdout.write("loaded: " + ", ".join(f"{count:,} {name}" for name, count in counts.items()))
            if options["check_ins"] is not None:
                with Bar(sys.stderr) as bar:
                    total = volume.load(
                        check_ins=options["check_ins"], now=clock.now(), replace=options["replace"], progress=bar.show
                    )
                self.stdout.write(f"loaded: {total:,} rows, {options['check_ins']:,} of them check-ins")
        except AlreadyLoaded as reason:
            raise CommandError(str(reason)) from reason
        except DatabaseError as error:
            if isinstance(error.__cause__, psycopg.errors.DiskFull):
                raise CommandError("The database's disk is full; nothing was loaded.") from error
            raise


def _amount(text: str) -> int:
    """`10000000`, `10_000_000` or `10,000,000`."""
    count = int(text.replace(",", "_"))
    if count < 1:
        raise ValueError("at least one")
    return count


class Bar:
    """Rows, rate and time left on one line; where nobody watches, a line every ten seconds."""

    WIDTH = 30

    def __init__(self, out: TextIO) -> None:
        self.out, self.live = out, out.isatty()
        self.began = self.said = time.monotonic()
        self.shown = False

    def __enter__(self) -> "Bar":
        return self

    def __exit__(self, *_: object) -> None:
        if self.live and self.shown:
            self.out.write("\n")

    def show(self, done: int, total: int) -> None:
        """Hears of progress as often as it comes and speaks as often as it helps."""
        at = time.monotonic()
        if done == 0:
            self.began = at  # what came before was preparing
        if at - self.said < (0.1 if self.live else 10) and done < total:
            return
        self.said, self.shown = at, True
        rate = done / max(at - self.began, 0.001)
        left = f"{(total - done) / rate:,.0f} s left" if rate else "…"
        full = self.WIDTH * done // max(total, 1)
        line = f"[{'#' * full}{'.' * (self.WIDTH - full)}] {done:,} of {total:,} rows, {rate:,.0f} a second, {left}"
        self.out.write(f"\r\x1b[K{line}" if self.live else f"{line}\n")
        self.out.flush()
