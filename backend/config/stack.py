"""The launcher behind `make`: run, test, exec and servers, all on one clone's embedded servers."""

import os
import shlex
import signal
import sys
from pathlib import Path

from backend.config import home, keeper, note_keys
from backend.config.home import ROOT, CannotStart

DATABASE_KEYS = ("DATABASE_URL", "DATABASE_OWNER_URL", "DATABASE_DISPATCH_URL")
# Whatever an earlier `make run` left in .local/env: no test depends on its port or sends to its mailbox.
AS_IN_A_FRESH_CLONE = {"BASE_URL": "http://127.0.0.1:8000", "EMAIL_URL": "smtp://127.0.0.1:1025"}
TEST_REDIS = 1  # the numbered Redis database of the tests; the demo has 0


def needs() -> list[str]:
    """Which embedded servers are wanted: those for which the environment names no server of the user's own."""
    given = [key for key in DATABASE_KEYS if os.environ.get(key) or os.environ.get(f"{key}_FILE")]
    if given and len(given) < len(DATABASE_KEYS):
        missing = ", ".join(key for key in DATABASE_KEYS if key not in given)
        raise CannotStart(f"{given[0]} is set but not {missing}: set all three (`manage.py roles` makes the roles)")
    redis = os.environ.get("REDIS_URL") or os.environ.get("REDIS_URL_FILE")
    return [name for name, own in ((keeper.POSTGRES, given), (keeper.REDIS, redis)) if not own]


def with_servers(local: Path) -> int | None:
    """Start or join the servers that are wanted, and put their addresses into this process's environment."""
    wanted = needs()
    if wanted:
        held = keeper.use(local, needs=wanted)
    else:
        held = None
        home.prepare(local)
        home.write_env(
            local,
            DEMO="True",
            SECRET_KEY=home.secret(local, "secret_key"),
            NOTE_KEYS_FILE=note_keys.made(local),
            VAPID_PRIVATE_KEY=home.secret(local, "vapid_private_key"),
        )
    for key, value in home.read_env(local).items():
        os.environ.setdefault(key, value)
    os.environ.setdefault("LOCAL_DIR", str(local))
    return held


def become(arguments: list[str], *, held: int | None) -> None:
    """Turn into the command; its exit code is ours, and the servers stay as long as it lives."""
    if held is not None:
        os.set_inheritable(held, True)
    os.chdir(ROOT)
    os.environ.setdefault("PYTHONTZPATH", "")  # time zones come from the locked tzdata, not from this machine
    try:
        os.execvp(arguments[0], arguments)  # noqa: S606 - the user's own command
    except OSError as error:
        raise CannotStart(f"{shlex.join(arguments)}: {error.strerror}") from error


def execute(arguments: list[str]) -> None:
    """`exec -- COMMAND...`: any command with the servers up, the programs of .venv first on its path."""
    if arguments[:1] == ["--"]:
        arguments = arguments[1:]
    if not arguments:
        raise CannotStart("usage: python -m backend.config.stack exec -- COMMAND ...")
    os.environ["PATH"] = os.pathsep.join([str(Path(sys.prefix) / "bin"), os.environ.get("PATH", os.defpath)])
    become(arguments, held=with_servers(home.local_dir()))


def test(arguments: list[str]) -> None:
    """`test [pytest's arguments]`: the tests on the same servers, with databases and a Redis number of their own."""
    own_redis = "REDIS_URL" in os.environ
    for key, value in AS_IN_A_FRESH_CLONE.items():
        os.environ.setdefault(key, value)
    held = with_servers(home.local_dir())
    if not own_redis:
        address, _, _ = os.environ["REDIS_URL"].rpartition("/")
        os.environ["REDIS_URL"] = f"{address}/{TEST_REDIS}"
    chosen = any(word.startswith(("-n", "--numprocesses")) for word in arguments)
    # One more than two cores: a third of the time each waits for servers.
    spread = [] if chosen else ["-n", "3", "--dist", "worksteal"]
    become([sys.executable, "-m", "pytest", *spread, *(arguments or _quick())], held=held)


def _quick() -> list[str]:
    """Where no test is named, those that a change is tried with; the check of a commit sets SLOW for all."""
    if os.environ.get("SLOW") == "1" or os.environ.get("CI") == "true":
        return []
    print("afterglow: without the slow tests; SLOW=1 make test runs all", flush=True)
    return ["-m", "not torture and not slow"]


def servers(_arguments: list[str]) -> None:
    """`servers`: just the servers, until Ctrl-C."""
    local = home.local_dir()
    with_servers(local)
    print(f"servers are up; addresses and secrets are in {local / 'env'}. Ctrl-C ends them.", flush=True)
    endings = {signal.SIGINT, signal.SIGTERM}
    signal.pthread_sigmask(signal.SIG_BLOCK, endings)
    signal.sigwait(endings)


def run(_arguments: list[str]) -> None:
    """`run`: the demo, until Ctrl-C."""
    from backend.config import launch

    launch.run(home.local_dir(), needs=needs())


COMMANDS = {"run": run, "exec": execute, "test": test, "servers": servers}


def main(arguments: list[str]) -> int:
    """Run one command; answers the exit code. What is in the way of a start is one line."""
    command = COMMANDS.get(arguments[0] if arguments else "")
    if command is None:
        print(f"usage: python -m backend.config.stack {'|'.join(COMMANDS)} ...", file=sys.stderr)
        return 2
    try:
        command(arguments[1:])
    except CannotStart as reason:
        print(f"afterglow: {reason}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
