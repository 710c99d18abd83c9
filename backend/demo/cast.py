"""Who lives and works in the demo: names, places, and the story that each patient's months tell. Pure.

All of them are invented. Names are stable from load to load, and so are ids, since both come from one seed.
"""

import random
import uuid
from dataclasses import dataclass, replace
from datetime import date, time, timedelta

from backend.demo import curve
from backend.demo.life import Profile

SEED = "afterglow"
DOMAIN = "demo.afterglow.example"
PASSWORD = "afterglow-demo"  # noqa: S105 - printed at each start; the demo runs on loopback only
DAYS = 183  # six months; the last one is today
TODAY = DAYS - 1
_NAMESPACE = uuid.uuid5(uuid.NAMESPACE_DNS, DOMAIN)


def id_of(*parts: object) -> uuid.UUID:
    """The id of something in the demo; the same words give the same id."""
    return uuid.uuid5(_NAMESPACE, "/".join((SEED, *map(str, parts))))


def email_of(key: str) -> str:
    """The address of someone in the demo."""
    return f"{key}@{DOMAIN}"


@dataclass(frozen=True, kw_only=True)
class House:
    """One clinic of the demo."""

    key: str
    name: str
    short_name: str
    country: str
    time_zone: str
    phone: str


@dataclass(frozen=True, kw_only=True)
class Worker:
    """Someone who works at a clinic; `key` is the part of the address before the @."""

    key: str
    name: str
    role: str
    house: str


@dataclass(frozen=True, kw_only=True)
class Patient:
    """One patient: who it is, who cares, and how the months went."""

    key: str
    name: str
    sex: str
    born_on: date
    country: str
    house: str
    profile: Profile
    team: tuple[str, ...]
    says_nothing_today: bool = False


MUMBAI = House(
    key="mumbai", name="Sagar Clinic, Mumbai", short_name="Sagar Clinic", country="IN", time_zone="Asia/Kolkata",
    phone="+91 22 5550 0100",
)  # fmt: skip
LONDON = House(
    key="london", name="Canonbury Clinic, London", short_name="Canonbury", country="GB", time_zone="Europe/London",
    phone="+44 20 7946 0100",
)  # fmt: skip
HOUSES = (MUMBAI, LONDON)

WORKERS = (
    Worker(key="psychiatrist", name="Dr Anjali Deshpande", role="psychiatrist", house="mumbai"),
    Worker(key="therapist", name="Rohan Pinto", role="therapist", house="mumbai"),
    Worker(key="nurse", name="Sister Leela Thomas", role="nurse", house="mumbai"),
    Worker(key="administrator", name="Farhan Qureshi", role="administrator", house="mumbai"),
    Worker(key="colleague", name="Dr Behram Wadia", role="psychiatrist", house="mumbai"),
    Worker(key="outsider", name="Dr Helen Marsh", role="psychiatrist", house="london"),
    Worker(key="london.therapist", name="Owen Pryce", role="therapist", house="london"),
    Worker(key="london.administrator", name="Grace Adeyemi", role="administrator", house="london"),
)

# The first five have a part of their own; two of the last are not on the demo psychiatrist's care team.
_MUMBAI_NAMES = (
    ("Meera Joshi", "female"), ("Kabir Malhotra", "male"), ("Sunita Rao", "female"), ("Imran Shaikh", "male"),
    ("Tara D'Souza", "female"), ("Arjun Mehta", "male"), ("Priya Nair", "female"), ("Vikram Kulkarni", "male"),
    ("Zoya Merchant", "female"), ("Nikhil Sawant", "male"), ("Ananya Iyer", "female"), ("Dev Patel", "male"),
    ("Lakshmi Menon", "female"), ("Rustom Daruwala", "male"), ("Kavita Shinde", "female"), ("Joseph Fernandes", "male"),
    ("Ayesha Khan", "female"), ("Sameer Gokhale", "male"), ("Ritu Agarwal", "female"), ("Harsh Vora", "male"),
    ("Neha Bhosale", "female"), ("Faisal Ansari", "male"), ("Sneha Pillai", "female"), ("Aditya Chavan", "male"),
    ("Maria Gomes", "female"), ("Gaurav Jain", "male"), ("Shalini Kamath", "female"), ("Yusuf Contractor", "male"),
    ("Divya Reddy", "female"), ("Prakash More", "male"), ("Ishita Banerjee", "female"), ("Manoj Tiwari", "male"),
    ("Pooja Thakkar", "female"), ("Karan Sethi", "male"), ("Usha Krishnan", "female"), ("Rahul Jadhav", "male"),
    ("Farah Irani", "female"), ("Siddharth Bose", "male"), ("Geeta Parab", "female"), ("Omkar Naik", "male"),
)  # fmt: skip
_ELSEWHERE = (
    ("Daniel Okafor", "male", "GB", "Europe/London"),
    ("Ruth Castellano", "female", "US", "America/New_York"),
    ("Callum Frith", "male", "AU", "Australia/Lord_Howe"),
    ("Imogen Hale", "female", "GB", "Europe/London"),
)


def patients(*, today: date) -> list[Patient]:
    """All patients of both clinics. `today` is the last day of their six months."""
    rng = random.Random(SEED)  # noqa: S311 - made-up people, not secrets
    yesterday = today - timedelta(days=1)
    found = []
    for position, (name, sex) in enumerate(_MUMBAI_NAMES):
        profile, key, quiet = _part(position, rng, yesterday), _key(name), False
        if position == 0:
            key = "patient"
        elif position == 1:
            key = "other.patient"
        if position in (0, *range(5, 9)):
            quiet = True  # so that the agenda can remind of today's check-in within minutes
        lead = "colleague" if position >= len(_MUMBAI_NAMES) - 2 else "psychiatrist"
        found.append(
            Patient(
                key=key, name=name, sex=sex, born_on=_birthday(rng, today), country="IN", house="mumbai",
                profile=profile, team=(lead, *_others(position)), says_nothing_today=quiet,
            )
        )  # fmt: skip
    for name, sex, country, zone in _ELSEWHERE:
        found.append(
            Patient(
                key=_key(name), name=name, sex=sex, born_on=_birthday(rng, today), country=country, house="london",
                profile=_any(rng, time_zone=zone), team=("outsider", "london.therapist"),
            )
        )  # fmt: skip
    return found


def _key(name: str) -> str:
    return name.lower().replace("'", "").replace(" ", ".")


def _birthday(rng: random.Random, today: date) -> date:
    return today - timedelta(days=rng.randrange(21 * 366, 68 * 365))


def _others(position: int) -> tuple[str, ...]:
    """The demo patient and every third other see the therapist; every second is known to the nurse."""
    return (*(("therapist",) if position % 3 == 0 or position < 9 else ()), *(("nurse",) if position % 2 == 0 else ()))


def _part(position: int, rng: random.Random, yesterday: date) -> Profile:
    """The story of one patient of the Mumbai clinic."""
    drawn = _any(rng, time_zone="Asia/Kolkata")
    if position == 0:  # the demo patient: answered well, kept up by a session every three weeks
        return Profile(
            time_zone="Asia/Kolkata", low=2.8, gain=4.6, hold=34, sessions=_course(100, (21, 21, 21), 16),
            diligence=0.93, a_day=1.6, offline=((128, 131),), last_day=yesterday, lapses=0.03, weight_kg=58,
        )  # fmt: skip
    if position == 1:  # relapsing now: six weeks after the last session, the gain of spring is going
        return Profile(
            time_zone="Asia/Kolkata", low=2.4, gain=4.8, hold=30, sessions=_course(122), diligence=0.9, a_day=1.4,
            lapses=0.06, weight_kg=81,
        )  # fmt: skip
    if position == 2:  # silent for four days: today and the three before it
        return Profile(
            time_zone="Asia/Kolkata", low=3.0, gain=3.6, hold=60, sessions=_course(84, (28, 28)), diligence=0.97,
            last_day=yesterday - timedelta(days=3), weight_kg=64,
        )  # fmt: skip
    if position == 3:  # a safety alert to come: never answered much, very low for ten days
        return Profile(
            time_zone="Asia/Kolkata", low=2.9, gain=0.8, hold=20, sessions=_course(142), diligence=0.95, a_day=1.5,
            slump=10, slump_by=3.3, lapses=0.08, active=0.2, weight_kg=73,
        )  # fmt: skip
    if position == 4:  # often without a network: whole weeks arrive at once
        return Profile(
            time_zone="Asia/Kolkata", low=3.1, gain=4.0, hold=50, sessions=_course(70, (28, 28, 28)), diligence=0.9,
            a_day=2.2, offline=((30, 36), (75, 79), (120, 128), (172, 176)), weight_kg=55,
        )  # fmt: skip
    if position in range(5, 9):
        return _with(drawn, last_day=yesterday)
    if position == 39:  # moved to New York, kept the clinic
        return _with(drawn, time_zone="America/New_York")
    return drawn


def _with(profile: Profile, **changes: object) -> Profile:
    return replace(profile, **changes)  # type: ignore[arg-type]


def _course(first: int, maintenance: tuple[int, ...] = (), more: int = 0) -> tuple[int, ...]:
    """Induction from the day `first`, then maintenance by gaps in days, and a planned one `more` days later."""
    days = [first + offset for offset in curve.INDUCTIONS[1]]
    for gap in (*maintenance, *((more,) if more else ())):
        days.append(days[-1] + gap)
    return tuple(days)


def _any(rng: random.Random, *, time_zone: str) -> Profile:
    """Somebody's months, drawn: about half respond, some keep it up by maintenance, some lose it."""
    responds = rng.random() < curve.RESPONSE_RATE
    first = rng.randrange(25, 172)
    sessions = [first + offset for offset in rng.choice(curve.INDUCTIONS)]
    if responds and rng.random() < 0.6:
        gap = rng.choice((14, 21, 28))
        while sessions[-1] < TODAY:
            sessions.append(sessions[-1] + gap)
    return Profile(
        time_zone=time_zone,
        low=rng.uniform(2.0, 3.6),
        gain=rng.uniform(3.0, 5.0) if responds else rng.uniform(-0.2, 0.9),
        hold=curve.hold_days(rng),
        sessions=tuple(sessions),
        route=rng.choices(("iv", "intranasal", "intramuscular", "oral"), (6, 3, 1, 1))[0],
        weight_kg=round(rng.uniform(48, 98), 1),
        evening=time(rng.choice((20, 20, 21, 21, 22)), rng.choice((0, 15, 30))),
        diligence=rng.uniform(0.55, 0.97),
        a_day=rng.uniform(1.0, 2.4),
        offline=_stretches(rng),
        substances=rng.choice((("alcohol",), ("alcohol",), ("alcohol", "cannabis"), ("alcohol", "nicotine"))),
        lapses=rng.choice((0.0, 0.01, 0.03, 0.1)),
        active=rng.uniform(0.1, 0.7),
    )


def _stretches(rng: random.Random) -> tuple[tuple[int, int], ...]:
    """No, one or two stretches of 2 to 5 days without a network, apart from each other and from today."""
    starts = rng.sample(range(10, DAYS - 20, 12), rng.choice((0, 1, 2)))
    return tuple((start, start + rng.randrange(1, 5)) for start in sorted(starts))
