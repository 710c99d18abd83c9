"""Reading a backup to its last byte before anything else is touched: all of it is there, genuine and ours."""

import contextlib
import hashlib
import os
from collections.abc import Iterator
from pathlib import Path

from backend.config.backups import manifest, sealing
from backend.config.backups.manifest import MANIFEST, MARK, Manifest
from backend.config.backups.sealing import Refused


def check(folder: Path, *, key: bytes) -> Manifest:
    """The backup's manifest, after every file was opened, hashed and counted. Raises Refused with what is wrong.

    No database is asked and nothing of the backup is executed: it is text for COPY.
    """
    if not folder.is_dir() or folder.is_symlink():
        raise Refused(f"{folder} is no backup")
    held = manifest.read(folder, key=key)
    files = {manifest.file_of(table) for table in held.tables}
    there = {entry.name for entry in os.scandir(folder)}
    if missing := sorted(files - there):
        raise Refused(f"{folder.name}: {missing[0]} is missing ({len(missing)} of {len(files)} files)")
    if extra := sorted(there - files - {MANIFEST, MARK}):
        raise Refused(f"{folder.name}: {extra[0]} does not belong to it: nothing that the manifest does not name")
    for table, file in held.tables.items():
        size = (folder / manifest.file_of(table)).stat(follow_symlinks=False).st_size
        if size != file.size:
            raise Refused(
                f"{folder.name}: {manifest.file_of(table)} has {size:,} bytes, the manifest says {file.size:,}"
            )
    for table in held.tables:
        _check(folder, held, table, key=key)
    return held


def _check(folder: Path, held: Manifest, table: str, *, key: bytes) -> None:
    content, rows = hashlib.sha256(), 0
    for piece in plain(folder, held, table, key=key):
        content.update(piece)
        rows += piece.count(b"\n")
    if content.hexdigest() != held.tables[table].content_sha256 or rows != held.tables[table].rows:
        raise Refused(f"{folder.name}: {table} holds other rows than the manifest says")


def plain(folder: Path, held: Manifest, table: str, *, key: bytes) -> Iterator[bytes]:
    """The table's text, piece by piece. Raises Refused."""
    name = manifest.file_of(table)
    try:
        handle = os.open(folder / name, os.O_RDONLY | os.O_NOFOLLOW)
        with os.fdopen(handle, "rb") as file:
            pieces = sealing.unseal(file, key=key, backup=held.backup, name=name, sha256=held.tables[table].sha256)
            with contextlib.closing(pieces):
                yield from pieces
    except OSError as error:
        raise Refused(f"{folder.name}: {name} cannot be read ({error.strerror})") from error
    except Refused as refusal:
        raise Refused(f"{folder.name}: {refusal}") from refusal
