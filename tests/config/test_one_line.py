"""What is in the way of a start is told in one line that says what to do."""

import errno
import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from backend.config import bootstrap, embedded, home
from tests.config import clones

ROOT = clones.ROOT


def one_line(done: subprocess.CompletedProcess[str], *words: str) -> None:
    """The command failed, and all that it says is one line with these words."""
    said = (done.stdout + done.stderr).strip().splitlines()
    mine = [line for line in said if not line.startswith("make")]
    assert done.returncode != 0
    assert len(mine) == 1, said
    assert mine[0].startswith("afterglow: ")
    for word in words:
        assert word in mine[0]


def make(target: str, *, python: Path | str, **more: str) -> subprocess.CompletedProcess[str]:
    """`make TARGET` with another Python."""
    return subprocess.run(
        ["make", "--no-print-directory", target, f"PYTHON={python}"],
        cwd=ROOT,
        env={**os.environ, **more},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def stub_python(folder: Path, prelude: str) -> Path:
    """A `python3` that runs some lines before the script, in the place of a Python that this machine has not got."""
    lines = f"import runpy, sys; {prelude}; sys.argv = sys.argv[1:]; runpy.run_path(sys.argv[0], run_name='__main__')"
    stub = folder / "python3"
    stub.write_text(f'#!/bin/sh\nexec "{sys.executable}" -c "{lines}" "$@"\n')
    stub.chmod(0o700)
    return stub


def test_an_old_python_is_named_and_told_how_to_name_another(tmp_path: Path) -> None:
    old = stub_python(tmp_path, "sys.version_info = (3, 9, 18)")
    for target in ("run", "test"):
        one_line(make(target, python=old), "Python 3.11 or later", "3.9", "PYTHON=")


def test_no_python_at_all_says_what_to_install() -> None:
    one_line(make("run", python="python-that-is-not-there"), "python-that-is-not-there", "install Python 3.11")


def test_a_python_without_venv_says_which_package_brings_it(tmp_path: Path) -> None:
    clone = tmp_path / "clone" / "backend" / "config"
    clone.mkdir(parents=True)
    shutil.copy(ROOT / "backend" / "config" / "bootstrap.py", clone)
    shutil.copy(ROOT / "requirements.txt", tmp_path / "clone")
    bare = stub_python(tmp_path, "sys.modules['ensurepip'] = None")
    done = subprocess.run([bare, clone / "bootstrap.py", "run"], capture_output=True, text=True, check=False)
    one_line(done, f"python3.{sys.version_info[1]}-venv")


def test_a_missing_wheel_names_the_package_the_platform_and_the_way_round() -> None:
    said = (
        "ERROR: Could not find a version that satisfies the requirement granian==2.8.7 (from versions: none)\n"
        "ERROR: No matching distribution found for granian==2.8.7"
    )
    line = str(bootstrap.reason(said))
    for word in ("granian==2.8.7", os.uname().machine, "Python 3.", "DATABASE_URL", "REDIS_URL"):
        assert word in line
    assert "\n" not in line


@pytest.mark.parametrize(
    ("said", "word"),
    [
        ("OSError: [Errno 28] No space left on device", "full"),
        ("Retrying ... NewConnectionError('<pip...>: Temporary failure in name resolution')", "network"),
        ("ERROR: THESE PACKAGES DO NOT MATCH THE HASHES FROM THE REQUIREMENTS FILE.", "not the one that was locked"),
    ],
)
def test_pips_other_failures_become_one_line_too(said: str, word: str) -> None:
    line = str(bootstrap.reason(said))
    assert word in line
    assert "\n" not in line


def test_a_platform_without_embedded_servers_is_named_with_the_settings_that_help(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(home.CannotStart, match=rf"{sys.platform}.*DATABASE_URL, DATABASE_OWNER_URL"):
        embedded.postgres_binaries()
    with pytest.raises(home.CannotStart, match=rf"{sys.platform}.*install redis-server.*REDIS_URL"):
        embedded.redis_binary()
    (tmp_path / "valkey-server").write_text("#!/bin/sh\n")
    (tmp_path / "valkey-server").chmod(0o700)
    assert embedded.redis_binary() == tmp_path / "valkey-server"


def test_a_full_disk_says_how_much_to_free() -> None:
    refusal = home.explained(OSError(errno.ENOSPC, "No space left on device"), at=Path("/somewhere"))
    assert str(refusal) == "the disk that holds /somewhere is full: free 300 MB or more and start again"


def test_a_busy_port_says_which_other_to_take(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        one_line(clones.stack(tmp_path, "run", PORT=str(port)), f"port {port} is busy", f"PORT={port + 1}")


@pytest.mark.parametrize("port", ["", "0", "70000", "eighty"])
def test_a_port_that_is_none_is_refused(tmp_path: Path, port: str) -> None:
    one_line(clones.stack(tmp_path, "run", PORT=port), "PORT must be a number")


def test_half_of_ones_own_servers_is_refused_with_what_is_missing(tmp_path: Path) -> None:
    done = clones.stack(tmp_path, "exec", "--", "true", DATABASE_URL="postgresql://a:b@127.0.0.1:1/c")
    one_line(done, "DATABASE_OWNER_URL", "DATABASE_DISPATCH_URL", "manage.py roles")


def test_a_command_that_is_not_there_is_named(tmp_path: Path) -> None:
    own = dict.fromkeys(clones.OWN[:3], "postgresql://a:b@127.0.0.1:1/c") | {"REDIS_URL": "redis://127.0.0.1:1/0"}
    one_line(clones.stack(tmp_path, "exec", "--", "no-such-command", **own), "no-such-command")


def test_clean_refuses_while_the_servers_run(tmp_path: Path) -> None:
    local = tmp_path / ".local"
    with clones.servers(local):
        done = subprocess.run(
            [sys.executable, "backend/config/bootstrap.py", "clean"],
            cwd=ROOT,
            env=clones.environment(local),
            capture_output=True,
            text=True,
            check=False,
        )
        one_line(done, "end `make run`")
    home.remove(local)
