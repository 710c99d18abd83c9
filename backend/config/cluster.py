"""The making of the embedded PostgreSQL cluster: a data folder that only the servers' uid may read."""

import contextlib
import os
import pwd
import shutil
from pathlib import Path

from backend.config import home, processes
from backend.config.home import CannotStart, Home

SUPERUSER = "afterglow_superuser"


def make_cluster(place: Home, *, binaries: Path, data: Path, password: str) -> None:
    """initdb beside the final place and one rename, so that a cut-off start leaves no half cluster."""
    fresh = place.servers / "postgres.new"
    shutil.rmtree(fresh, ignore_errors=True)
    account = initdb_account(place)
    workshop = place.servers.with_name(place.servers.name + home.WORKSHOP)
    shutil.rmtree(workshop, ignore_errors=True)
    workshop.mkdir(mode=0o700)
    home.write_private(workshop / "password", password)
    if account is not None:
        # initdb insists on a uid with an account; the spare one has none. For these seconds an idle account works with
        # the spare group, which may pass through the servers' folder; then the cluster goes to the spare uid.
        own(workshop, account)
        os.chmod(place.servers, 0o710)  # noqa: S103 - the group has no other member
    arguments = [
        str(binaries / "bin" / "initdb"),
        f"--pgdata={workshop / 'data'}",
        f"--username={SUPERUSER}",
        f"--pwfile={workshop / 'password'}",
        "--auth=scram-sha-256",
        "--encoding=UTF8",
        "--locale=C",
        "--locale-provider=builtin",
        "--builtin-locale=C.UTF-8",
        "--no-instructions",
    ]
    log = log_file(place, "initdb")
    with log.open("ab") as output:
        process = processes.spawn(
            arguments, env=server_env(), cwd=workshop, output=output, run_as=account, group=place.uid
        )
        code = process.wait()
    os.chmod(place.servers, 0o700)
    if code != 0:
        said = log.read_text(errors="replace")
        shutil.rmtree(workshop, ignore_errors=True)
        if "No space left" in said:
            raise home.disk_full(place.servers)
        raise CannotStart(f"PostgreSQL could not make its data folder ({last_line(said)}); see {log}")
    os.rename(workshop / "data", fresh)
    shutil.rmtree(workshop)
    if place.run_as is not None:
        own(fresh, place.uid)
    os.rename(fresh, data)


def initdb_account(place: Home) -> int | None:
    """An account for initdb's few seconds where root starts the servers: one that owns no process now."""
    if place.run_as is None:
        return None
    with contextlib.suppress(KeyError):
        return pwd.getpwuid(place.uid).pw_uid
    busy = set()
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            busy.add(process.stat().st_uid)
    for entry in pwd.getpwall():
        if 0 < entry.pw_uid < 1000 and entry.pw_uid not in busy:
            return entry.pw_uid
    raise CannotStart("no account is free to make the database's data folder: start as a user other than root")


def own(folder: Path, uid: int) -> None:
    """Give a folder and all in it to `uid`."""
    os.chown(folder, uid, uid)
    for parent, folders, files in os.walk(folder):
        for name in (*folders, *files):
            os.lchown(os.path.join(parent, name), uid, uid)


def reachable(place: Home, folder: Path, *, probe: str) -> Path:
    """The folder itself, or a copy beside the data where the servers' uid cannot enter it."""
    uid = place.run_as
    if uid is None or home.can_enter(folder / probe, uid=uid):
        return folder
    source = (folder / probe).stat()
    version = f"{source.st_size} {source.st_mtime_ns}"
    wheel = place.servers / "wheel"
    copy = wheel / folder.parent.name / folder.name
    complete = wheel / "complete"
    if not complete.exists() or complete.read_text() != version:
        shutil.rmtree(wheel, ignore_errors=True)
        shutil.copytree(folder, copy, symlinks=True)
        libraries = folder.parent.with_name(folder.parent.name + ".libs")
        if libraries.is_dir():
            shutil.copytree(libraries, wheel / libraries.name)
        own(wheel, uid)
        complete.write_text(version)
    return copy


def write_as(place: Home, path: Path, text: str) -> None:
    """Replace a private file in the servers' folder and give it to their uid."""
    home.write_private(path, text)
    if place.run_as is not None:
        os.chown(path, place.uid, place.uid)


def log_file(place: Home, name: str) -> Path:
    """The log of one server, made if missing, started afresh above 10 MB."""
    path = place.local / "log" / f"{name}.log"
    if path.exists() and path.stat().st_size > 10_000_000:
        os.replace(path, path.with_suffix(".old.log"))
    path.touch(mode=0o600)
    return path


def last_line(text: str) -> str:
    """The last line with words in it, for a message."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1] if lines else "it said nothing"


def server_env() -> dict[str, str]:
    """All that a server needs of the environment; nothing of ours leaks into it."""
    return {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C", "TZ": "UTC"}
