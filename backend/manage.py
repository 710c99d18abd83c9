"""Django's commands, and `roles` for the database roles; finds the servers and secrets of `.local/` by itself."""

import os
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def main(arguments: list[str]) -> None:
    """Run the command; where Django is missing, go on with the Python of `.venv`."""
    sys.path[0] = str(ROOT)  # and not backend/, whose folders would shadow other packages
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "backend.config.settings")
    try:
        from django.core.management import execute_from_command_line
    except ImportError:
        python = ROOT / ".venv" / "bin" / "python"
        if not python.exists() or sys.prefix == str(ROOT / ".venv"):
            sys.exit("afterglow: the packages are not installed: `make run` installs them")
        os.execv(python, [str(python), *arguments])  # noqa: S606 - the same command with the clone's own Python
    if arguments[1:2] == ["roles"]:
        from backend.config import roles

        sys.exit(roles.main(arguments[2:]))
    execute_from_command_line(arguments)


if __name__ == "__main__":
    main(sys.argv)
