"""Bringing a backup back: all is checked before a database is touched, and the running one is not until the swap.

The order: read the backup to its last byte; make a database beside the running one; migrate it to the backup's state
of the schema; load; compare; migrate on to this version; verify the audit chain; end all sessions; replay the erasures;
swap by rename. Whatever fails before the swap leaves the running database as it was.
"""

import time
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import psycopg
from django.core.cache import cache
from django.db import connections
from psycopg import conninfo

from backend.accounts import chain
from backend.config import opening, setup
from backend.config.backups import backup, filling, places, swap, tables, verify
from backend.config.backups.filling import Say
from backend.config.backups.manifest import Manifest
from backend.config.backups.sealing import Refused


@dataclass(frozen=True, kw_only=True)
class Restored:
    """What a restore did."""

    held: Manifest
    kept_as: str
    erased: int
    seconds: float


def bring_back(
    *, address: str, admin_address: str, target: Path, name: str, key: bytes, now: datetime, say: Say
) -> Restored:
    """Restore the backup `name` of `target` over the database at `address`, its owner's. Raises Refused.

    `admin_address` may make and rename databases. The database that was replaced is kept under another name.
    """
    began = time.monotonic()
    with places.alone(target):
        say(f"checking {name}")
        held = verify.check(target / name, key=key)
        filling.check_migrations(held)
        opening.check_ledger(address=address, at_least=held.erasures)
        say(f"{name} is whole: {held.rows:,} rows, {held.size / 1e6:,.1f} MB; {time.monotonic() - began:.1f} s")
        database = str(conninfo.conninfo_to_dict(address)["dbname"])
        with swap.administering(admin_address) as admin:
            fresh = swap.make_beside(admin, database=database)
            beside = conninfo.make_conninfo(address, dbname=fresh)
            try:
                with filling.pointed_at(fresh):
                    _fill(beside, target / name, held, key=key, now=now, say=say)
                    opening.close(address=beside, backup=held.name, now=now)
                    erased = opening.replay(now=now)
                    _verify_chain(held, now=now, say=say)
                kept_as = swap.exchange(admin, database=database, fresh=fresh, now=now)
            except BaseException:
                swap.drop(admin, fresh)
                raise
    try:
        with filling.pointed_at(database):
            opening.replay(now=now)  # whoever was erased since the first time; until here the database is closed
        opening.open_again(address=address, now=now)
    except (Refused, psycopg.Error) as error:
        raise Refused(f"the backup is in place but closed, run manage.py replay_erasures: {error}") from error
    cache.clear()  # what it remembers is of the database that was replaced
    return Restored(held=held, kept_as=kept_as, erased=erased, seconds=time.monotonic() - began)


def _fill(address: str, folder: Path, held: Manifest, *, key: bytes, now: datetime, say: Say) -> None:
    say("making a database beside the running one, with the backup's state of the schema")
    filling.migrate_to(held)
    filling.load(address=address, folder=folder, held=held, key=key, say=say)
    say("comparing every table with the backup")
    filling.compare(address=address, held=held)
    filling.set_purpose(filling.PURPOSE)
    setup.migrate()
    connections["owner"].close()
    _verify_chain(held, now=now, say=say)
    _end_sessions(address)
    backup.remember(address=address, taken=held)


def _verify_chain(held: Manifest, *, now: datetime, say: Say) -> None:
    """Seal what waited when the backup was taken, then check each chain, and that it runs through the backup's head.

    Heads that were told outside after the backup are of a database that is no more: they are not compared.
    """
    chain.seal()
    for clinic in chain.chains():
        number, _, told = held.chains.get(str(clinic), "").partition(":")
        report = chain.check(clinic, now=now, exported={int(number): told} if told else {})
        if not report.holds:
            reason = "; ".join(report.faults) or f"{report.unsealed} events outside it"
            raise Refused(f"the audit chain of clinic {clinic} does not hold in this backup: {reason}")
    say("the audit chains hold")


def _end_sessions(address: str) -> None:
    """Everybody signs in anew: a token that was revoked after the backup must not work again."""
    with tables.connect(address, purpose=filling.PURPOSE) as connection, connection.transaction():
        connection.execute("DELETE FROM accounts_session")
        connection.execute("ANALYZE")
