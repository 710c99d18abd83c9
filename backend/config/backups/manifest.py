"""What a backup says about itself: files, rows, the schema's state; marked with the backup key."""

import hmac
import re
from datetime import datetime
from pathlib import Path

import msgspec

from backend.config.backups import sealing
from backend.config.backups.sealing import Refused

MANIFEST, MARK = "manifest.json", "manifest.mark"
NAME = re.compile(r"afterglow-\d{8}T\d{6}Z-[0-9a-f]{8}")
MAX_BYTES = 10_000_000


class TableFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One table: its columns with their types, how many rows, and the file's and the content's SHA-256."""

    columns: dict[str, str]
    rows: int
    size: int
    sha256: str
    content_sha256: str


class Manifest(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """All of a backup but its rows."""

    format: int
    name: str
    id: str
    created_at: datetime
    product_version: str
    postgresql: str
    tzdata: str
    migrations: dict[str, list[str]]
    tables: dict[str, TableFile]
    sequences: dict[str, tuple[int, bool]]
    chains: dict[str, str]
    erasures: int

    @property
    def backup(self) -> bytes:
        """The id that goes into every file's header and key."""
        return bytes.fromhex(self.id)

    @property
    def rows(self) -> int:
        """Rows of all tables."""
        return sum(table.rows for table in self.tables.values())

    @property
    def size(self) -> int:
        """Bytes of all tables' files."""
        return sum(table.size for table in self.tables.values())


def file_of(table: str) -> str:
    """The name of a table's file."""
    return f"{table}.sealed"


def write(folder: Path, manifest: Manifest, *, key: bytes) -> None:
    """Write the manifest and its mark: the format, the key's name, the HMAC."""
    content = msgspec.json.format(msgspec.json.encode(manifest), indent=1) + b"\n"
    (folder / MANIFEST).write_bytes(content)
    (folder / MARK).write_text(f"{sealing.FORMAT} {sealing.key_name(key)} {sealing.mark(key, content)}\n")


def read(folder: Path, *, key: bytes) -> Manifest:
    """The manifest, believed only after its mark was checked. Raises Refused."""
    content, marked = _bytes(folder / MANIFEST), _bytes(folder / MARK).decode(errors="replace").split()
    if len(marked) != 3:
        raise Refused(f"{folder.name}: {MARK} is damaged")
    known_format, key_name, given = marked
    if known_format != str(sealing.FORMAT):
        raise Refused(
            f"{folder.name} has format {known_format[:8]}, and this version reads format {sealing.FORMAT} only: "
            "restore it with the version that made it, then update"
        )
    if key_name != sealing.key_name(key):
        raise Refused(
            f"{folder.name} was sealed with key {key_name[:8]}, and BACKUP_KEY_FILE holds key {sealing.key_name(key)}"
        )
    if not hmac.compare_digest(given.encode(), sealing.mark(key, content).encode()):
        raise Refused(f"{folder.name}: the manifest was changed (its mark does not fit)")
    try:
        found = msgspec.json.decode(content, type=Manifest)
    except msgspec.MsgspecError as error:
        raise Refused(f"{folder.name}: the manifest cannot be read ({error})") from error
    if found.format != sealing.FORMAT:
        raise Refused(f"{folder.name} has format {found.format}, and this version reads {sealing.FORMAT} only")
    if found.name != folder.name:
        raise Refused(f"{folder.name} is the backup {found.name} under another name: give it its own name back")
    return found


def _bytes(path: Path) -> bytes:
    try:
        if path.is_symlink() or not path.is_file():
            raise Refused(f"{path.parent.name}: {path.name} is missing")
        if path.stat().st_size > MAX_BYTES:
            raise Refused(f"{path.parent.name}: {path.name} is too large to be one")
        return path.read_bytes()
    except OSError as error:
        raise Refused(f"{path} cannot be read: {error.strerror}") from error
