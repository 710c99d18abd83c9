"""Expands series from the command line: `python -m backend.reminders.expand` reads JSON lines and writes JSON lines.

In: `{"zone", "rule", "start", "limit"}`, with `start` in local time without offset. Out, one line for each line read:
`{"instants": ["2026-11-24T15:30:00Z", …]}`, at most `limit`, ascending, or `{"error": "…"}`. It is the engine's code.
"""

import json
import sys
from collections.abc import Iterable, Iterator
from datetime import datetime
from itertools import islice
from typing import Any

from backend.common import clock
from backend.reminders import recurrence


def expand(line: str) -> dict[str, Any]:
    """The answer to one line of input; it never raises."""
    try:
        asked = json.loads(line)
        if not isinstance(asked, dict):
            raise ValueError("Each line must be a JSON object.")
        return {"instants": _instants(asked)}
    except KeyError as missing:
        return {"error": f"{missing.args[0]} is missing."}
    except (ValueError, RecursionError) as error:
        return {"error": str(error) or type(error).__name__}


def _instants(asked: dict[str, Any]) -> list[str]:
    zone, rule, start, limit = (asked[name] for name in ("zone", "rule", "start", "limit"))
    if not (isinstance(zone, str) and isinstance(rule, str) and isinstance(start, str)):
        raise ValueError("zone, rule and start must be text.")
    if not isinstance(limit, int) or isinstance(limit, bool) or limit < 0:
        raise ValueError("limit must be a whole number from 0 on.")
    series = recurrence.occurrences(recurrence.parse(rule), start=datetime.fromisoformat(start), zone=clock.zone(zone))
    return [f"{at.replace(tzinfo=None).isoformat()}Z" for at in islice(series, limit)]


def answers(lines: Iterable[str]) -> Iterator[str]:
    """One line of JSON for each line that is not blank."""
    return (json.dumps(expand(line)) for line in lines if line.strip())


if __name__ == "__main__":
    sys.stdin.reconfigure(encoding="utf-8", errors="replace")  # type: ignore[union-attr]
    for answer in answers(sys.stdin):
        print(answer, flush=True)
