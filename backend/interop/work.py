"""The room's round: exports are made and removed, erasures whose days are over are done."""

from datetime import datetime, timedelta

from backend.interop import erasure, exports

# So long the sweep waits before it takes a job that a worker could have.
_PATIENCE = timedelta(seconds=30)


def round(*, now: datetime, waited: timedelta = timedelta()) -> None:
    """Does what is due; each of the three goes on with what the others left."""
    exports.expire(now=now)
    exports.run_due(now=now, waited=waited)
    erasure.run_due(now=now)
    exports.sweep_files(now=now)


def stand_in(*, now: datetime) -> None:
    """Beat's own thread: does what no worker did, so that a lost broker stops nothing."""
    round(now=now, waited=_PATIENCE)
