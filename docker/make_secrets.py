"""Writes the secrets that docker-compose.yml reads into `secrets/`; what is there already stays as it is.

`python3 docker/make_secrets.py [FOLDER]`. The folder is closed to others; the files in it can be read by the users of
the containers, who see nothing but the files that compose hands them.
"""

import base64
import json
import os
import secrets
import sys
from pathlib import Path

ROLES = {
    "database_owner_url": "afterglow_owner",
    "database_url": "afterglow_app",
    "database_dispatch_url": "afterglow_dispatch",
}


def main(folder: Path) -> None:
    """Draw what is missing."""
    folder.mkdir(mode=0o700, exist_ok=True)
    os.chmod(folder, 0o700)
    postgres = kept(folder / "postgres_password", secrets.token_urlsafe(24))
    kept(folder / "database_admin_url", f"postgresql://postgres:{postgres}@postgres:5432/postgres")
    for name, role in ROLES.items():
        kept(folder / name, f"postgresql://{role}:{secrets.token_urlsafe(24)}@postgres:5432/afterglow")
    redis = kept(folder / "redis_password", secrets.token_urlsafe(24))
    kept(folder / "redis_url", f"redis://:{redis}@redis:6379/0")
    kept(folder / "secret_key", secrets.token_urlsafe(48))
    kept(folder / "note_keys", json.dumps({"current": "first", "keys": {"first": drawn_key()}}, indent=2))
    kept(folder / "vapid_private_key", secrets.token_urlsafe(32))
    kept(folder / "backup_key", secrets.token_hex(32))
    kept(folder / "email_url", "smtp+tls://user:password@mail.example.org:587")
    print(f"keep a copy of {folder / 'backup_key'} elsewhere: without it no backup can be read")
    print(f"secrets are in {folder}; put your mail server into {folder / 'email_url'}")


def drawn_key() -> str:
    """A master key for notes: 32 random bytes in base64. Keep a copy apart from the backups of the database."""
    return base64.b64encode(secrets.token_bytes(32)).decode()


def kept(path: Path, fresh: str) -> str:
    """The secret in the file, written first if there is none."""
    if not path.exists():
        path.write_text(fresh)
        os.chmod(path, 0o444)
    return path.read_text()


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "secrets"))
