"""What a clone keeps for itself under `.local/`: folders, secrets, the environment file, and the servers' own uid."""

import errno
import fcntl
import hashlib
import os
import pwd
import secrets
import shutil
import socket
import time
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
VAR_LIB = Path("/var/lib")
SPARE_UIDS = range(60706, 61184)  # free for any use on Linux, and inside the 65,536 ids of a container
WORKSHOP = "-initdb"  # added to the servers' folder: where a new cluster is made
STOPPING_SECONDS = 5.0
NEEDED_BYTES = 300_000_000
BYTES = {"secret_key": 48, "vapid_private_key": 32}  # of a secret; the others have 24


class CannotStart(Exception):
    """Something outside the program is in the way; the message is one line that says what to do."""


@dataclass(frozen=True, kw_only=True)
class Home:
    """Where one clone keeps its state (`local`) and where its servers may live (`servers`), owned by `uid`."""

    local: Path
    servers: Path
    uid: int

    @property
    def run_as(self) -> int | None:
        """The uid that the servers change to, None where they run as whoever starts them."""
        return self.uid if os.geteuid() == 0 and self.uid != 0 else None


def local_dir() -> Path:
    """The clone's `.local/`, or LOCAL_DIR."""
    return Path(os.environ.get("LOCAL_DIR") or ROOT / ".local").resolve()


def prepare(local: Path) -> Home:
    """Make the folders that are missing, readable by nobody else, and say where the servers live.

    As root the servers get a spare uid. Where that uid cannot reach the clone (a closed home folder above it), they
    live under /var/lib instead; `.local/where` names the place either way.
    """
    as_root = os.geteuid() == 0
    try:
        local.mkdir(parents=True, exist_ok=True)
        os.chmod(local, 0o711 if as_root else 0o700)
        for name in ("secrets", "log"):
            (local / name).mkdir(exist_ok=True)
            os.chmod(local / name, 0o700)
        where = local / "where"
        if where.is_file() and (servers := Path(where.read_text().strip())).is_dir():
            os.chmod(servers, 0o700)
            return Home(local=local, servers=servers, uid=owner_of(servers))
        if not as_root:
            uid, servers = os.geteuid(), local / "servers"
        else:
            uid = spare_uid(local)
            servers = local / "servers" if can_enter(local, uid=uid) else VAR_LIB / f"afterglow-{mark_of(local)}"
        if servers.parent == VAR_LIB and servers.exists():
            shutil.rmtree(servers)  # of an earlier clone in this place, whose passwords went with it
        servers.mkdir(mode=0o700, parents=True, exist_ok=True)
        os.chmod(servers, 0o700)
        if as_root:
            os.chown(servers, uid, uid)
        write_private(where, f"{servers}\n")
    except OSError as error:
        raise explained(error, at=local) from error
    return Home(local=local, servers=servers, uid=uid)


def owner_of(servers: Path) -> int:
    """The uid of the servers' folder; refuses one that this user may not act for."""
    uid = servers.stat().st_uid
    if os.geteuid() not in (0, uid):
        raise CannotStart(f"{servers} belongs to uid {uid}: start as that user, or as it run `make clean` first")
    return uid


def mark_of(local: Path) -> str:
    """Ten characters that stand for the clone's path."""
    place = local.parent if local == ROOT / ".local" else local
    return hashlib.sha256(str(place).encode()).hexdigest()[:10]


def spare_uid(local: Path) -> int:
    """A uid that no account and no running process has, the same one for the same clone where possible."""
    taken = {entry.pw_uid for entry in pwd.getpwall()}
    for process in Path("/proc").glob("[0-9]*"):
        try:
            taken.add(process.stat().st_uid)
        except OSError:
            continue
    first = int(mark_of(local), 16) % len(SPARE_UIDS)
    for uid in [*SPARE_UIDS[first:], *SPARE_UIDS[:first]]:
        if uid not in taken:
            return int(uid)
    raise CannotStart("no spare uid is left for the servers: start as a user other than root")


def can_enter(path: Path, *, uid: int) -> bool:
    """Whether `uid` may enter the folder or run the file `path`; a child that becomes that uid asks the system."""
    child = os.fork()
    if child == 0:
        try:
            become(uid)
            os._exit(0 if os.access(path, os.X_OK) else 1)
        except BaseException:
            os._exit(2)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if status == 2:
        raise CannotStart(
            f"root may not become uid {uid} here: start as a user other than root, or set DATABASE_URL, "
            "DATABASE_OWNER_URL, DATABASE_DISPATCH_URL and REDIS_URL to servers of your own"
        )
    return status == 0


def become(uid: int) -> None:
    """Give up root for `uid`, with no group but its own."""
    os.setgroups([])
    os.setgid(uid)
    os.setuid(uid)


def secret(local: Path, name: str) -> str:
    """The secret of that name, drawn on first use (32 characters or more that need no quoting in a URL)."""
    path = local / "secrets" / name
    try:
        if path.is_file() and (known := path.read_text().strip()):
            return known
        drawn = secrets.token_urlsafe(BYTES.get(name, 24))
        write_private(path, drawn)
    except OSError as error:
        raise explained(error, at=path) from error
    return drawn


def write_private(path: Path, text: str) -> None:
    """Replace a file in one step; only its owner may read it, from the first byte on."""
    fresh = path.with_name(f"{path.name}.new.{os.getpid()}")
    handle = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(handle, "w") as file:
        file.write(text)
    os.replace(fresh, path)


def read_env(local: Path) -> dict[str, str]:
    """The KEY=VALUE lines of `.local/env`; empty where there is none."""
    path = local / "env"
    if not path.is_file():
        return {}
    pairs = (line.partition("=") for line in path.read_text().splitlines() if line and not line.startswith("#"))
    return {key: value for key, _, value in pairs}


def write_env(local: Path, **changes: str) -> None:
    """Set these keys of `.local/env` and keep the others."""
    known = read_env(local) | changes
    lines = ["# Written by `make run`; read by settings.py for what the environment does not give."]
    try:
        write_private(local / "env", "\n".join([*lines, *(f"{key}={value}" for key, value in known.items())]) + "\n")
    except OSError as error:
        raise explained(error, at=local) from error


def free_port(*, preferred: int | None = None) -> int:
    """A TCP port on 127.0.0.1 that nothing listens on, the preferred one if it is free."""
    for port in (preferred, 0):
        if port is None:
            continue
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return int(probe.getsockname()[1])
    raise CannotStart("no TCP port is free on 127.0.0.1: close some programs and start again")


def explained(error: OSError, *, at: Path) -> CannotStart:
    """The same failure as one line that says what to do."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return disk_full(at)
    if error.errno in (errno.EACCES, errno.EPERM):
        return CannotStart(f"{error.filename or at} may not be written by this user: start as its owner, or remove it")
    if error.errno == errno.EROFS:
        return CannotStart(f"{at} is on a read-only disk: set LOCAL_DIR to a folder that can be written")
    return CannotStart(f"{at}: {error.strerror or error}")


def disk_full(at: Path) -> CannotStart:
    """The line for a disk with no room left."""
    return CannotStart(f"the disk that holds {at} is full: free {NEEDED_BYTES // 1_000_000} MB or more and start again")


def check_room(local: Path) -> None:
    """Refuse to start on a disk that would fill at once."""
    if shutil.disk_usage(local).free < NEEDED_BYTES:
        raise disk_full(local)


def lock(path: Path, kind: int) -> int | None:
    """An open descriptor that holds the lock, or None where LOCK_NB found it taken."""
    handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(handle, kind)
    except BlockingIOError:
        os.close(handle)
        return None
    return handle


def in_use(local: Path) -> bool:
    """Whether somebody uses the servers: holds `users` shared, which the stopping keeper does not."""
    shared = lock(local / "users", fcntl.LOCK_SH | fcntl.LOCK_NB)
    if shared is None:
        return False
    os.close(shared)
    alone = lock(local / "users", fcntl.LOCK_EX | fcntl.LOCK_NB)
    if alone is None:
        return True
    os.close(alone)
    return False


def remove(local: Path) -> list[Path]:
    """Delete `.local/` and the servers' folder that it names; answers what was removed. Refuses while servers run."""
    if not local.is_dir():
        return []
    patience = time.monotonic() + STOPPING_SECONDS
    while (held := lock(local / "keeper", fcntl.LOCK_EX | fcntl.LOCK_NB)) is None and not in_use(local):
        if time.monotonic() > patience:
            break
        time.sleep(0.05)
    if held is None:
        raise CannotStart("the servers of this clone run: end `make run` (or what uses them) first")
    gone = []
    where = local / "where"
    if where.is_file():
        servers = Path(where.read_text().strip())
        ours = servers == local / "servers" or servers == VAR_LIB / f"afterglow-{mark_of(local)}"
        for folder in (servers, servers.with_name(servers.name + WORKSHOP)) if ours else ():
            if folder.is_dir() and not folder.is_symlink():
                shutil.rmtree(folder)
                gone.append(folder)
    shutil.rmtree(local)
    os.close(held)
    return [*gone, local]
