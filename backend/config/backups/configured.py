"""Where the operator wants backups, with which key, of which database: the settings of `backup` and `restore`."""

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from django.conf import settings
from django.db import connections
from psycopg import conninfo

from backend.config import cluster, embedded, home, keeper, roles
from backend.config.backups import places, sealing
from backend.config.backups.sealing import Refused

SECRET = re.compile(r"(KEYS?|SECRET|TOKEN|PASSWORD|URL)_FILE")


@dataclass(frozen=True, kw_only=True)
class Configured:
    """What a backup or a restore works with."""

    target: Path
    key: bytes
    keep: int
    address: str
    admin_address: str


def read(*, target: str = "") -> Configured:
    """The settings, with `target` before BACKUP_DIR. Raises Refused where the target is not apart from every key."""
    local = home.local_dir()
    place = Path(target or roles.setting("BACKUP_DIR") or (local / "backups" if settings.ON_LOOPBACK else ""))
    if place == Path():
        raise Refused("BACKUP_DIR is not set: name a folder on another disk than the database's, apart from the keys")
    keep = roles.setting("BACKUP_KEEP") or "14"
    if not keep.isdigit() or int(keep) < 1:
        raise Refused(f"BACKUP_KEEP must be a number from 1, not {keep!r}")
    key = sealing.read_key(roles.setting("BACKUP_KEY") or _drawn(local))
    places.check_apart(place, keys=key_files(local))
    address = owner_address()
    return Configured(
        target=place.resolve(), key=key, keep=int(keep), address=address, admin_address=admin_address(address, local)
    )


def _drawn(local: Path) -> str:
    if not settings.ON_LOOPBACK:
        raise Refused("BACKUP_KEY_FILE is not set: name a file with 64 hexadecimal digits, apart from the backups")
    return places.drawn_key(local)


def key_files(local: Path) -> Iterator[Path]:
    """Every file that holds a secret: those that `NAME_FILE` settings name, and all of `.local/secrets`."""
    for name, value in os.environ.items():
        if SECRET.search(name) and Path(value).is_file():
            yield Path(value)
    if (local / "secrets").is_dir():
        yield from (local / "secrets").iterdir()


def owner_address() -> str:
    """The owner's connection as libpq reads it, on the database to which Django points now."""
    owner = connections["owner"].settings_dict
    return conninfo.make_conninfo(
        host=owner["HOST"] or None,
        port=owner["PORT"] or None,
        user=owner["USER"] or None,
        password=owner["PASSWORD"] or None,
        dbname=owner["NAME"],
    )


def admin_address(address: str, local: Path) -> str:
    """Who may make databases: DATABASE_ADMIN_URL, the embedded cluster's superuser, else the owner."""
    if given := roles.setting("DATABASE_ADMIN_URL"):
        return given
    owner = conninfo.conninfo_to_dict(address)
    port = (keeper.state(local) or {}).get(keeper.POSTGRES)
    if port is not None and (owner.get("host"), str(owner.get("port"))) == (embedded.ADDRESS, str(port)):
        return embedded.url(cluster.SUPERUSER, home.secret(local, "postgres"), port=port, database="postgres")
    return address
