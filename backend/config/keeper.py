"""One keeper process holds a clone's embedded servers for all who use them, and ends them when nobody does.

Who uses the servers holds a shared lock on `.local/users`; the system drops it even after a kill -9. The keeper holds
`.local/keeper` as long as it lives, and stops the servers once it gets `.local/users` for itself alone.
"""

import contextlib
import fcntl
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from backend.config import embedded, home, note_keys, processes, roles
from backend.config.home import ROOT, CannotStart, Home, lock

POSTGRES, REDIS = "postgres", "redis"
BOTH = (POSTGRES, REDIS)
KEYS = {POSTGRES: "DATABASE_URL", REDIS: "REDIS_URL"}
IDLE_SECONDS = 0.2
READY, BUSY = "ready", "another keeper is at it"


def use(local: Path, *, needs: Sequence[str]) -> int:
    """Make sure that the servers run, and keep them: answers the descriptor of the lock, which the caller holds open.

    Raises CannotStart with the keeper's own line when they cannot start.
    """
    home.prepare(local)
    users = lock(local / "users", fcntl.LOCK_SH)
    if users is None:
        raise AssertionError("a blocking lock came back without the lock")
    until = time.monotonic() + 2 * embedded.START_SECONDS
    while time.monotonic() < until:
        if (running := state(local)) is not None:
            if missing := set(needs) - set(running):
                raise CannotStart(
                    f"the servers of this clone run without {', '.join(sorted(missing))}: stop them first"
                )
            return users
        if alive(local):
            time.sleep(0.05)
            continue
        said = start_keeper(local, needs)
        if said not in (READY, BUSY):
            raise CannotStart(said or f"the servers could not be started; see {local / 'log' / 'keeper.log'}")
    raise CannotStart("the servers of this clone neither start nor stop; see .local/log")


def start_keeper(local: Path, needs: Sequence[str]) -> str:
    """Start the keeper in a session of its own, so that Ctrl-C passes it by; answers the one line that it says."""
    log = local / "log" / "keeper.log"
    log.touch(mode=0o600)
    keeper = subprocess.Popen(  # noqa: S603
        [sys.executable, "-m", "backend.config.keeper", *needs],
        cwd=ROOT,
        env=os.environ | {"LOCAL_DIR": str(local)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=log.open("ab"),
        start_new_session=True,
    )
    if keeper.stdout is None:
        raise AssertionError
    with keeper.stdout as line:
        return str(line.readline(), errors="replace").strip()


def alive(local: Path) -> bool:
    """Whether a keeper lives."""
    handle = lock(local / "keeper", fcntl.LOCK_SH | fcntl.LOCK_NB)
    if handle is None:
        return True
    os.close(handle)
    return False


def state(local: Path) -> dict[str, int] | None:
    """The ports of the servers that run now, by name; None while there are none."""
    path = local / "servers.json"
    if not path.exists() or not alive(local):
        return None
    with contextlib.suppress(OSError, ValueError):
        return {str(name): int(port) for name, port in json.loads(path.read_text()).items()}
    return None


def wait_for_end(local: Path) -> None:
    """After the caller let go of its lock: return when the servers have stopped, or at once if others use them."""
    until = time.monotonic() + 30
    while alive(local) and not home.in_use(local) and time.monotonic() < until:
        time.sleep(0.05)


def start_servers(place: Home, needs: Sequence[str]) -> dict[str, embedded.Server]:
    """Start what is needed on free ports, the ports of last time where possible, and write `.local/env`."""
    known = home.read_env(place.local)
    servers: dict[str, embedded.Server] = {}
    try:
        for name in needs:
            servers[name] = start(place, name, preferred=port_of(known.get(KEYS[name])))
    except BaseException:
        stop_all(servers)
        raise
    publish(place, servers)
    return servers


def start(place: Home, name: str, *, preferred: int | None) -> embedded.Server:
    """Start one server, once what is left of a killed one has ended."""
    until = time.monotonic() + embedded.START_SECONDS
    while True:
        try:
            return start_now(place, name, preferred=preferred)
        except embedded.StillAtWork:
            if time.monotonic() > until:
                raise
            time.sleep(IDLE_SECONDS)


def start_now(place: Home, name: str, *, preferred: int | None) -> embedded.Server:
    """Start one server; a port that someone else took in the meantime is tried again on another."""
    starter = embedded.start_postgres if name == POSTGRES else embedded.start_redis
    try:
        return starter(place, port=home.free_port(preferred=preferred))
    except CannotStart as error:
        if "in use" not in str(error) and "bind" not in str(error):
            raise
    return starter(place, port=home.free_port())


def port_of(url: str | None) -> int | None:
    """The port of last time, taken from the URL in `.local/env`."""
    digits = (url or "").rpartition(":")[2].partition("/")[0]
    return int(digits) if digits.isdigit() else None


def publish(place: Home, servers: dict[str, embedded.Server]) -> None:
    """Write the servers' addresses where settings.py and later users of the servers find them."""
    local = place.local
    addresses = {
        "SECRET_KEY": home.secret(local, "secret_key"),
        "NOTE_KEYS_FILE": note_keys.made(local),
        "VAPID_PRIVATE_KEY": home.secret(local, "vapid_private_key"),
        "DEMO": "True",
    }
    if POSTGRES in servers:
        for key, role in (
            ("DATABASE_URL", roles.APPLICATION),
            ("DATABASE_OWNER_URL", roles.OWNER),
            ("DATABASE_DISPATCH_URL", roles.DISPATCH),
        ):
            addresses[key] = embedded.url(role, home.secret(local, role), port=servers[POSTGRES].port)
    if REDIS in servers:
        addresses["REDIS_URL"] = embedded.redis_url(home.secret(local, REDIS), port=servers[REDIS].port)
    home.write_env(local, **addresses)
    home.write_private(local / "servers.json", json.dumps({name: server.port for name, server in servers.items()}))
    processes.remember(local / "servers.pids", {name: server.process.pid for name, server in servers.items()})


def stop_all(servers: dict[str, embedded.Server]) -> None:
    """End the servers, the database last."""
    for name in reversed(list(servers)):
        servers.pop(name).stop()


def keep(local: Path, needs: Sequence[str]) -> None:
    """Run the servers until nobody uses them, or until a signal; one that dies is started again."""
    held = lock(local / "keeper", fcntl.LOCK_EX | fcntl.LOCK_NB)
    if held is None:
        raise CannotStart(BUSY)
    place = home.prepare(local)
    home.check_room(place.servers)
    processes.end_leftovers(local / "servers.pids")
    servers = start_servers(place, needs)
    with stopping() as asked:
        print(READY, flush=True)
        os.dup2(2, 1)  # from here on standard output is the log: the starter reads one line and no more
        try:
            while not asked and (alone := lock(local / "users", fcntl.LOCK_EX | fcntl.LOCK_NB)) is None:
                mend(place, servers)
                time.sleep(IDLE_SECONDS)
        finally:
            (local / "servers.json").unlink(missing_ok=True)
            stop_all(servers)
            (local / "servers.pids").unlink(missing_ok=True)
    del alone  # both locks end with this process


def mend(place: Home, servers: dict[str, embedded.Server]) -> None:
    """Start again, on the same port, what has died."""
    for name, server in list(servers.items()):
        if server.process.poll() is not None:
            print(f"{server.name} ended with {server.process.returncode}; starting it again", flush=True)
            server.stop()
            servers[name] = start(place, name, preferred=server.port)
            publish(place, servers)


@contextlib.contextmanager
def stopping() -> Iterator[list[int]]:
    """A list that is empty until SIGTERM or SIGINT comes."""
    asked: list[int] = []
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda number, _frame: asked.append(number))
    yield asked


def main() -> None:
    """`python -m backend.config.keeper NEED...`: answers when the servers are ready, then stays in the background."""
    local = home.local_dir()
    try:
        keep(local, sys.argv[1:] or BOTH)
    except CannotStart as error:
        print(error, flush=True)
        sys.exit(1)


if __name__ == "__main__":
    main()
