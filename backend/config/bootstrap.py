"""Makes `.venv` with the locked packages and goes on with its Python: `python3 bootstrap.py run|test|... [arguments]`.

Only the standard library, and no syntax newer than Python 3.6 above the version check: an old Python must be able to
read this file to be told that it is too old.
"""

import contextlib
import errno
import hashlib
import importlib.util
import os
import platform
import shutil
import subprocess
import sys
from pathlib import Path

NEEDED = (3, 11)
if sys.version_info < NEEDED:
    sys.exit(
        f"afterglow: Python {NEEDED[0]}.{NEEDED[1]} or later is needed, and {sys.executable} is "
        f"{sys.version_info[0]}.{sys.version_info[1]}: name a newer one, as in `make run PYTHON=python3.12`"
    )

ROOT = Path(__file__).resolve().parents[2]
VENV = ROOT / ".venv"
PYTHON = VENV / "bin" / "python"
LOCKS = {"run": ROOT / "requirements.txt", "dev": ROOT / "requirements-dev.txt"}
NEEDED_BYTES = 700_000_000
OWN_SERVERS = "DATABASE_URL, DATABASE_OWNER_URL, DATABASE_DISPATCH_URL and REDIS_URL can name servers of your own"


class Stop(Exception):
    """What is in the way, as one line that says what to do."""


def stamp(kind: str) -> Path:
    """The file that says which lock was installed last."""
    return VENV / f"afterglow-{kind}.stamp"


def wanted(kind: str) -> str:
    """What the stamp must say: the lock's hash."""
    try:
        return hashlib.sha256(LOCKS[kind].read_bytes()).hexdigest()
    except OSError as error:
        raise Stop(f"{LOCKS[kind].name} is missing: this clone is not whole, clone it again") from error


def installed(kind: str) -> bool:
    """Whether `.venv` holds what the lock says."""
    with contextlib.suppress(OSError):
        return PYTHON.exists() and stamp(kind).read_text() == wanted(kind)
    return False


def make_venv() -> None:
    """A virtual environment with pip; one line where the Python at hand cannot make one."""
    if PYTHON.exists() and (VENV / "bin" / "pip").exists():
        return
    try:
        import ensurepip  # noqa: F401
        import venv
    except ImportError as error:
        package = f"python{sys.version_info[0]}.{sys.version_info[1]}-venv"
        raise Stop(
            f"this Python cannot make virtual environments: install {package}, or name another PYTHON"
        ) from error
    say("making .venv ...")
    try:
        venv.create(VENV, with_pip=True, clear=True, symlinks=True)
    except subprocess.CalledProcessError as error:
        said = (error.output or b"").decode(errors="replace")
        raise reason(said) or Stop(f"making .venv failed: {last_line(said)}") from error


def install(kind: str) -> None:
    """Install the lock with pip: wheels only, every hash checked."""
    lock = LOCKS[kind]
    count = sum("==" in line for line in lock.read_text().splitlines() if not line.startswith((" ", "#")))
    say(f"installing up to {count} packages into .venv (the first time takes a minute) ...")
    environment = {**os.environ, "PIP_DISABLE_PIP_VERSION_CHECK": "1", "PIP_NO_INPUT": "1"}
    for name in ("PIP_REQUIRE_VIRTUALENV", "PIP_USER", "PIP_TARGET", "PIP_PREFIX", "PYTHONHOME"):
        environment.pop(name, None)
    flags = ["--quiet", "--require-hashes", "--only-binary", ":all:", "--root-user-action", "ignore"]
    done = subprocess.run(  # noqa: S603
        [str(PYTHON), "-m", "pip", "install", *flags, "-r", str(lock)],
        env=environment,
        cwd=str(ROOT),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        check=False,
    )
    if done.returncode != 0:
        log = VENV / "pip.log"
        with contextlib.suppress(OSError):
            log.write_text(done.stdout)
        raise reason(done.stdout) or Stop(f"pip failed: {last_line(done.stdout)} (all of it: {log})")
    for name in ("run", kind):  # the development lock contains the other
        stamp(name).write_text(wanted(name))


def reason(said: str) -> "Stop | None":
    """The line for the failures that have a remedy; None for others."""
    if "No space left on device" in said or "Disk quota exceeded" in said:
        return Stop(f"the disk that holds {ROOT} is full: free {NEEDED_BYTES // 1_000_000} MB and start again")
    for phrase in ("No matching distribution found for ", "Could not find a version that satisfies the requirement "):
        if phrase in said and not unreachable(said):
            package = said.partition(phrase)[2].split()[0].rstrip(";")
            place = f"{platform.system()} {platform.machine()} with Python {platform.python_version()}"
            return Stop(
                f"no wheel of {package} for {place}: use a Python from 3.11 to 3.13 on Linux x86-64 or arm64 or "
                f"macOS arm64, or docker compose; {OWN_SERVERS} (docs/settings.md)"
            )
    if unreachable(said):
        return Stop("the Python package index cannot be reached: check the network or pip's proxy, and start again")
    if "DO NOT MATCH THE HASHES" in said:
        return Stop("a package is not the one that was locked, so it was not installed: start again, and report it")
    return None


def unreachable(said: str) -> bool:
    """Whether pip complains about the network."""
    signs = ("NewConnectionError", "Temporary failure in name", "ReadTimeoutError", "ProxyError", "SSLError")
    return any(sign in said for sign in signs)


def ready(kind: str) -> None:
    """Make and fill `.venv` unless it is as the lock says; one at a time."""
    if installed(kind):
        return
    try:
        import fcntl
    except ImportError as error:
        raise Stop("Windows itself is not supported: use WSL (`wsl --install`) or docker compose") from error
    try:
        if shutil.disk_usage(str(ROOT)).free < NEEDED_BYTES:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        (ROOT / ".local").mkdir(mode=0o700, exist_ok=True)
        with open(ROOT / ".local" / "install", "w") as guard:
            fcntl.flock(guard, fcntl.LOCK_EX)
            if not installed(kind):
                make_venv()
                install(kind)
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise reason("No space left on device") or error from error
        raise Stop(f"{error.filename or ROOT}: {error.strerror}: start as a user who may write here") from error


def clean() -> None:
    """Remove what `make run` and `make test` left, the servers' folder under /var/lib included; `.venv` stays."""
    spec = importlib.util.spec_from_file_location("home", Path(__file__).with_name("home.py"))
    if spec is None or spec.loader is None:
        raise Stop("backend/config/home.py is missing: clone again")
    home = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(home)
    try:
        gone = home.remove(home.local_dir())
    except home.CannotStart as error:
        raise Stop(str(error)) from error
    for name in ("static", ".mypy_cache", ".ruff_cache", ".hypothesis", ".import_linter_cache"):
        if (ROOT / name).is_dir():
            shutil.rmtree(str(ROOT / name))
            gone.append(ROOT / name)
    say("removed " + (", ".join(str(path) for path in gone) or "nothing: it was clean"))


def last_line(text: str) -> str:
    """The last line with words in it."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1] if lines else "it said nothing"


def say(line: str) -> None:
    """One line of progress."""
    print(f"afterglow: {line}", flush=True)


def main(arguments: "list[str]") -> None:
    """Prepare `.venv` for the command and become it."""
    command = arguments[0] if arguments else "run"
    if command == "clean":
        clean()
        return
    ready("run" if command in ("run", "servers", "exec") else "dev")
    if command == "install":
        return
    os.chdir(str(ROOT))
    os.environ.setdefault("PYTHONTZPATH", "")  # time zones come from the locked tzdata, not from this machine
    os.execv(str(PYTHON), [str(PYTHON), "-m", "backend.config.stack", command, *arguments[1:]])  # noqa: S606


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except Stop as stop:
        sys.exit(f"afterglow: {stop}")
    except KeyboardInterrupt:
        sys.exit(130)
