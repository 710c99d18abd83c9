"""How treatment lifts a made-up patient's mood and how that fades. Pure: no clock, no database, no Django.

The figures are those of DOMAIN.md, 'Outcomes': six sessions of induction, about half respond, the gain comes within a
day or two and half of the responders lose it within 2 to 8 weeks of the last session when nothing follows.
"""

import math
import random
from collections.abc import Sequence

# Six sessions in 15, 17 and 18 days: days from the first (Oliver 2022 and our default plan: 14 to 21 days).
INDUCTIONS = ((0, 3, 6, 9, 12, 15), (0, 3, 7, 10, 14, 17), (0, 4, 7, 11, 14, 18))
RESPONSE_RATE = 0.536  # McInnes 2022
# Days after the last session at which half of the gain is gone: log-normal, so that about 10 % are below 2 weeks and
# 60 % below 8, between McInnes 2022 (20 % lost at 4 weeks, 40 % at 8) and Murrough 2013 (median 18 days).
HOLD_MEDIAN_DAYS = 45.0
HOLD_SIGMA = 0.9
HOLD_LIMITS = (8.0, 240.0)
# Share of what is still missing that one session adds: six of them reach 94 %.
STEP = 0.38
RISE_DAYS = 1.5


def hold_days(rng: random.Random) -> float:
    """How long one responder's gain holds after the last session, in days."""
    low, high = HOLD_LIMITS
    return min(high, max(low, rng.lognormvariate(math.log(HOLD_MEDIAN_DAYS), HOLD_SIGMA)))


def fade(days: float, *, hold: float) -> float:
    """What is left of the gain `days` after the last session: 1 at once, a half at `hold`, near 0 at twice that."""
    width = hold / 5
    return (1 + math.exp(-hold / width)) / (1 + math.exp(min(60.0, (days - hold) / width)))


def lifts(*, days: int, sessions: Sequence[int], hold: float) -> list[float]:
    """The share (0 to 1) of a patient's possible gain that is felt on each of `days` days.

    `sessions` are positions of days, in order; those before the range may be negative.
    """
    felt = []
    for day in range(days):
        level, before, last = 0.0, 0.0, None
        for session in sessions:
            if session > day:
                break
            before = level * fade(session - last, hold=hold) if last is not None else 0.0
            level, last = before + (1 - before) * STEP, session
        if last is None:
            felt.append(0.0)
            continue
        since = day - last
        risen = before + (level - before) * min(1.0, since / RISE_DAYS)
        felt.append(risen * fade(since, hold=hold))
    return felt
