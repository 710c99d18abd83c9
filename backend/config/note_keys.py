"""The file of master keys for notes: checked before anything starts, made for a clone's own servers."""

from pathlib import Path

from django.core.exceptions import ImproperlyConfigured

from backend.accounts import masters
from backend.config import home

FIRST = "local-1"  # the id of the first master key of a clone


def checked(path: str, *, needed: bool) -> str:
    """The path of a file with usable master keys; empty only if not `needed`. Raises ImproperlyConfigured, one line."""
    if not path:
        if not needed:
            return ""
        raise ImproperlyConfigured(f"NOTE_KEYS_FILE must name the file of the master keys: {masters.REMEDY}.")
    try:
        masters.parsed(Path(path).read_text())
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise ImproperlyConfigured(f"NOTE_KEYS_FILE {path}: {reason}; {masters.REMEDY}.") from error
    return path


def made(local: Path) -> str:
    """The path of the clone's own file, drawn on first use."""
    path = local / "secrets" / "note_keys.json"
    try:
        if not path.is_file():
            home.write_private(path, masters.drawn(FIRST))
    except OSError as error:
        raise home.explained(error, at=path) from error
    return str(path)
