"""Asks the vulnerability service about every locked package. Exit 0: all were checked and none is known to be weak.

Exit 1: some are, each with its advisories. Exit 75: the service did not answer for all, so nothing is known; pip-audit
by itself would call that a success. An advisory that does not concern us is named in IGNORED, with the reason.
"""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
LOCK = ROOT / "requirements-dev.txt"  # holds the other lock, with the same versions (tests/config/test_locks.py)
NOT_CHECKED = 75
# advisory: why it does not concern us, and until when that is believed
IGNORED: dict[str, str] = {}


def verdict(report: dict[str, Any]) -> tuple[int, list[str]]:
    """The exit code and the lines to print, for pip-audit's report."""
    packages = report.get("dependencies", [])
    skipped = [package["name"] for package in packages if "skip_reason" in package]
    weak = [
        f"audit: {package['name']} {package['version']}: {advisory['id']}, fixed in "
        f"{', '.join(advisory['fix_versions']) or 'no version yet'}"
        for package in packages
        for advisory in package.get("vulns", [])
        if not {advisory["id"], *advisory.get("aliases", [])} & set(IGNORED)
    ]
    checked = len(packages) - len(skipped)
    if weak:
        return 1, weak
    if skipped or not packages:
        return NOT_CHECKED, [
            f"audit: NOT CHECKED. The vulnerability service knew {checked} of {len(packages)} locked packages; "
            "run this where it can be reached"
        ]
    return 0, [f"audit: {checked} locked packages checked, 0 known weaknesses, {len(IGNORED)} ignored"]


def main() -> int:
    """Runs pip-audit on the lock and judges its report."""
    command = [
        sys.executable, "-m", "pip_audit", "--requirement", str(LOCK), "--require-hashes", "--disable-pip",
        "--progress-spinner", "off", "--format", "json", "--timeout", "15",
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, timeout=600, check=False)  # noqa: S603
    start = done.stdout.find("{")
    report = json.loads(done.stdout[start:]) if start >= 0 else {}
    code, lines = verdict(report)
    print("\n".join(lines))
    return code


if __name__ == "__main__":
    sys.exit(main())
