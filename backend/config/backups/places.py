"""Where backups lie: apart from every key, complete or invisible, the oldest removed."""

import contextlib
import errno
import fcntl
import os
import re
import secrets
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path

from backend.config import home
from backend.config.backups import manifest
from backend.config.backups.sealing import Refused

PARTIAL, REMOVING = ".partial-", ".removing-"
KEY = re.compile(rb"[A-Za-z0-9+/=_-]{32,}")  # what a key or a password looks like, wherever it stands
SMALL = 65_536  # a key file is smaller; what is larger is not looked into


def drawn_key(local: Path) -> str:
    """The backup key of a laptop, drawn on first use into `.local/secrets`."""
    path = local / "secrets" / "backup_key"
    if not path.is_file():
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        home.write_private(path, secrets.token_hex(32))
        print(f"drew a backup key into {path}: keep a copy elsewhere; without it no backup can be read", flush=True)
    return path.read_text().strip()


def check_apart(target: Path, *, keys: Iterable[Path]) -> None:
    """Raise Refused where the target holds a key, or lies in the folder of one: who gets the backups gets no key.

    Symbolic links are followed on both sides; hard links and copies of a key inside the target are found too.
    """
    place = target.resolve()
    files = sorted({path.resolve() for path in keys if path.is_file()})
    for path in files:
        if path.is_relative_to(place) or place.is_relative_to(path.parent):
            raise Refused(f"{target} and the key {path} are not apart: keep backups where no key is (BACKUP_DIR)")
    inodes = {(stat.st_dev, stat.st_ino) for stat in (path.stat() for path in files)}
    texts = {text for path in files if path.stat().st_size <= SMALL for text in KEY.findall(path.read_bytes())}
    for parent, folders, names in os.walk(place):
        for name in (*folders, *names):
            inside = Path(parent, name)
            real = inside.resolve()
            if inside.is_symlink() and any(path == real or path.is_relative_to(real) for path in files):
                raise Refused(f"{inside} leads to a key: remove it, keep backups where no key is")
            if inside.is_symlink() or not inside.is_file():
                continue
            stat = inside.stat()
            if (stat.st_dev, stat.st_ino) in inodes or (stat.st_size <= SMALL and _holds(inside, texts)):
                raise Refused(f"{inside} holds a key: remove it, keep backups where no key is")


def _holds(path: Path, texts: Iterable[bytes]) -> bool:
    try:
        content = path.read_bytes()
    except OSError:
        return False
    return any(text in content for text in texts)


@contextlib.contextmanager
def alone(target: Path) -> Iterator[None]:
    """One backup or restore at a time in this target; makes the target if it is missing."""
    try:
        target.mkdir(mode=0o700, parents=True, exist_ok=True)
        held = home.lock(target / ".lock", fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        raise explained(error, target) from error
    if held is None:
        raise Refused(f"a backup or restore is at work in {target}: wait until it has ended")
    try:
        yield
    finally:
        os.close(held)


@contextlib.contextmanager
def fresh(target: Path, name: str) -> Iterator[Path]:
    """A folder that gets its name only when all in it is on the disk; on any failure it is gone."""
    sweep(target)
    partial = target / f"{PARTIAL}{name}"
    try:
        partial.mkdir(mode=0o700)
        yield partial
        for path in partial.iterdir():
            _sync(path)
        _sync(partial)
        os.rename(partial, target / name)
        _sync(target)
    except OSError as error:
        raise explained(error, target) from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def sweep(target: Path) -> None:
    """Remove what cut-off backups and cut-off removals left."""
    for path in target.iterdir():
        if path.name.startswith((PARTIAL, REMOVING)) and path.is_dir() and not path.is_symlink():
            shutil.rmtree(path, ignore_errors=True)


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def known(target: Path) -> list[str]:
    """The names of the complete backups, oldest first."""
    if not target.is_dir():
        return []
    return sorted(p.name for p in target.iterdir() if manifest.NAME.fullmatch(p.name) and p.is_dir())


def keep_only(target: Path, *, count: int) -> list[str]:
    """Remove the oldest complete backups above `count` (at least one stays); returns their names."""
    gone = known(target)[: -max(count, 1)]
    for name in gone:
        os.rename(target / name, target / f"{REMOVING}{name}")  # half removed it must not look whole
        shutil.rmtree(target / f"{REMOVING}{name}", ignore_errors=True)
    return gone


def explained(error: OSError, target: Path) -> Refused:
    """The failure as one line that says what to do."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return Refused(f"the disk that holds {target} is full: nothing was kept; free some room and start again")
    return Refused(f"{error.filename or target}: {error.strerror or error}")
