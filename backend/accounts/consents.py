"""Who agreed to what: the documents that count in a clinic, each agreement and withdrawal, and what holds now."""

import hashlib
import uuid
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from django.db import connection

from backend.accounts.access import Actor
from backend.accounts.consent_texts import BUILT_IN, Purpose, Words, built_in, for_channel
from backend.accounts.models import Act, ConsentDocument, ConsentRecord, Membership, Person, Role
from backend.common import locks
from backend.common.problems import Problem

# The newest act decides; an agreement holds until a later version binds. One round trip, two look-ups by index.
_STANDS = """
SELECT r.clinic_id, r.purpose, r.act = 'agreed' AND r.version >= coalesce(
  (SELECT max(d.version) FROM accounts_consentdocument d
   WHERE d.clinic_id = r.clinic_id AND d.purpose = r.purpose AND d.binding_at <= %(now)s), ours.version)
FROM unnest(%(purposes)s::text[], %(versions)s::int[]) AS ours(purpose, version)
CROSS JOIN LATERAL (
  SELECT DISTINCT ON (clinic_id) clinic_id, purpose, act, version FROM accounts_consentrecord
  WHERE patient_id = %(patient)s AND purpose = ours.purpose AND (%(clinic)s::uuid IS NULL OR clinic_id = %(clinic)s)
  ORDER BY clinic_id, id DESC) AS r
"""


class VersionChanged(ValueError):
    """Another version is asked for than the one agreed to; read the present one first."""


@dataclass(frozen=True, slots=True)
class Asked:
    """One purpose as it stands for a patient in a clinic: the present words, and every act so far, newest first."""

    words: Words
    of_clinic: bool
    holds: bool
    acts: tuple[ConsentRecord, ...]

    @property
    def status(self) -> str:
        """`asked` at first, `agreed`, `asked_again` when there are newer words, `withdrawn`."""
        if not self.acts:
            return "asked"
        if self.acts[0].act == Act.WITHDRAWN:
            return "withdrawn"
        return "agreed" if self.acts[0].version >= self.words.version else "asked_again"


Change = Callable[[Person, str, datetime], None]
_after: list[Change] = []


def after_change(call: Change) -> None:
    """Registers what a room does when a person agreed or withdrew, in the same transaction; at start-up, once."""
    _after.append(call)


def stands(*, patient_id: uuid.UUID, clinic_id: uuid.UUID | None, purpose: Purpose, now: datetime) -> bool:
    """Whether the patient's agreement holds in this clinic; without a clinic, in any."""
    return any(_standing(patient_id, clinic_id, [purpose], now).values())


def _standing(
    patient_id: uuid.UUID, clinic_id: uuid.UUID | None, purposes: Sequence[Purpose], now: datetime
) -> dict[tuple[uuid.UUID, str], bool]:
    versions = [_binding_version(purpose, now) for purpose in purposes]
    values = {
        "patient": patient_id, "clinic": clinic_id, "purposes": list(purposes), "versions": versions, "now": now,
    }  # fmt: skip
    with connection.cursor() as cursor:
        cursor.execute(_STANDS, values)
        return {(clinic, purpose): holds for clinic, purpose, holds in cursor.fetchall()}


def _binding_version(purpose: Purpose, now: datetime) -> int:
    return max((words.version for words in built_in(purpose) if words.binding_at <= now), default=1)


def binding_version(channel: str, *, now: datetime) -> int:
    """The version of our own words about a channel to which an agreement must be by now; a clinic's own count first."""
    return _binding_version(for_channel(channel), now)


def require(actor: Actor, purpose: Purpose, *, now: datetime) -> None:
    """Raises a 403 problem unless the patient who acts has agreed, in the clinic for which they act."""
    if stands(patient_id=actor.person.id, clinic_id=actor.here, purpose=purpose, now=now):
        return
    raise Problem(
        status=403,
        code="consent_required",
        detail=f"This needs your agreement: read it at GET consents, then POST consents/{purpose}/agree. "
        "Keep what you wrote and send it again afterwards.",
        extra={"purpose": purpose},
    )


def chosen_channels(person: Person, purpose: str | None) -> list[str]:
    """The channels that the person wants for messages of a purpose, whatever was agreed to.

    A choice for the purpose replaces the general list; an empty one is the inbox alone.
    """
    wanted: list[str] = person.reminder_choices.get(purpose, {}).get("channels", person.channels)
    return wanted


def channels_of(person: Person, *, clinic_id: uuid.UUID | None, now: datetime, purpose: str | None = None) -> list[str]:
    """The person's channels through which messages may go; only patients are asked, staff are reached for work."""
    return agreed_to(person, chosen_channels(person, purpose), clinic_id=clinic_id, now=now)


def agreed_to(person: Person, wanted: Sequence[str], *, clinic_id: uuid.UUID | None, now: datetime) -> list[str]:
    """Those of the wanted channels to which the person agrees, or is not asked about; in their order."""
    if not wanted:
        return []
    purposes = {channel: for_channel(channel) for channel in wanted}
    holding = {p for (_, p), holds in _standing(person.id, clinic_id, list(purposes.values()), now).items() if holds}
    if holding >= set(purposes.values()):
        return list(wanted)
    roles = Membership.objects.filter(person_id=person.id, role=Role.PATIENT)
    is_asked = (roles if clinic_id is None else roles.filter(clinic_id=clinic_id)).exists()
    return [channel for channel in wanted if not is_asked or purposes[channel] in holding]


def asked(*, patient: Person, clinic_id: uuid.UUID, now: datetime, language: str | None = None) -> list[Asked]:
    """Every purpose with its present words, in the patient's language where there are such, and all acts so far."""
    wanted = language or patient.locale
    held = _standing(patient.id, clinic_id, list(Purpose), now)
    acts: dict[str, list[ConsentRecord]] = {}
    for act in ConsentRecord.objects.filter(patient=patient, clinic_id=clinic_id).order_by("-id"):
        acts.setdefault(act.purpose, []).append(act)
    own: dict[str, list[ConsentDocument]] = {}
    for document in ConsentDocument.objects.filter(clinic_id=clinic_id, published_at__lte=now):
        own.setdefault(document.purpose, []).append(document)
    found = []
    for purpose in Purpose:
        documents = [_words(document) for document in own.get(purpose, [])]
        words = _in_language(_newest(documents or built_in(purpose)), wanted)
        holds = held.get((clinic_id, purpose), False)
        found.append(Asked(words, bool(documents), holds, tuple(acts.get(purpose, []))))
    return found


def agree(
    *, patient: Person, clinic_id: uuid.UUID, purpose: Purpose, version: int, language: str | None,
    device_id: uuid.UUID | None, now: datetime,
) -> Asked:  # fmt: skip
    """Records that the patient agreed to this version; twice is the same as once. Raises VersionChanged."""
    _lock(patient)
    one = _one(patient, clinic_id, purpose, language, now)
    if version != one.words.version:
        raise VersionChanged(f"Version {one.words.version} is asked for now: read it at GET consents, agree to that.")
    if one.status == "agreed":
        return one
    return _record(one, Act.AGREED, patient, clinic_id, device_id, language, now)


def withdraw(
    *, patient: Person, clinic_id: uuid.UUID, purpose: Purpose, device_id: uuid.UUID | None, now: datetime
) -> Asked:
    """Records that the patient no longer agrees, or never will; twice is the same as once.

    It closes no alert, lowers none, and removes nothing.
    """
    _lock(patient)
    one = _one(patient, clinic_id, purpose, None, now)
    if one.status == "withdrawn":
        return one
    return _record(one, Act.WITHDRAWN, patient, clinic_id, device_id, None, now)


def first_agreement(*, patient_id: uuid.UUID, clinic_id: uuid.UUID, words: Words, now: datetime) -> ConsentRecord:
    """An agreement to our own words as a row that is not stored yet: for the demo's people and the tests' cast."""
    return ConsentRecord(
        patient_id=patient_id,
        clinic_id=clinic_id,
        purpose=words.purpose,
        act=Act.AGREED,
        version=words.version,
        language=words.language,
        text_sha256=digest(words),
        recorded_at=now,
    )


def first_agreements(*, patient_id: uuid.UUID, clinic_id: uuid.UUID, now: datetime) -> None:
    """Stores an agreement to all of our own documents; as maintenance."""
    ConsentRecord.objects.bulk_create(
        first_agreement(patient_id=patient_id, clinic_id=clinic_id, words=words, now=now) for words in BUILT_IN
    )


def agree_on_joining(*, patient: Person, clinic_id: uuid.UUID, now: datetime) -> None:
    """Accepting a clinic's invitation is the patient's first agreement: its mail says to what, and where the words are.

    In the patient's own context, since nobody else agrees for them. What was answered before stays.
    """
    for each in asked(patient=patient, clinic_id=clinic_id, now=now):
        if each.status == "asked":
            _record(each, Act.AGREED, patient, clinic_id, None, None, now)


def _lock(patient: Person) -> None:
    """Two answers at once of one person come one after the other."""
    locks.take(f"consents of {patient.id}")


def _record(
    one: Asked, act: Act, patient: Person, clinic_id: uuid.UUID, device_id: uuid.UUID | None, language: str | None,
    now: datetime,
) -> Asked:  # fmt: skip
    ConsentRecord.objects.create(
        patient=patient,
        clinic_id=clinic_id,
        purpose=one.words.purpose,
        act=act,
        version=one.words.version,
        language=one.words.language,
        text_sha256=digest(one.words),
        recorded_at=now,
        device_id=device_id,
    )
    for call in _after:
        call(patient, one.words.purpose, now)
    return _one(patient, clinic_id, one.words.purpose, language, now)


def _one(patient: Person, clinic_id: uuid.UUID, purpose: str, language: str | None, now: datetime) -> Asked:
    every = asked(patient=patient, clinic_id=clinic_id, now=now, language=language)
    return next(one for one in every if one.words.purpose == purpose)


def publish(
    *, clinic_id: uuid.UUID, purpose: Purpose, texts: Sequence[tuple[str, str, str]], binding_at: datetime,
    by: uuid.UUID, now: datetime,
) -> list[ConsentDocument]:  # fmt: skip
    """A clinic's own words as (language, title, text), all as one new version, whose number is the next one."""
    locks.take(f"consents in {clinic_id}")
    known = ConsentDocument.objects.filter(clinic_id=clinic_id, purpose=purpose).order_by("-version").first()
    latest = max(known.version if known else 0, built_in(purpose)[0].version)
    return [
        ConsentDocument.objects.create(
            clinic_id=clinic_id, purpose=purpose, version=latest + 1, language=language, title=title, text=text,
            published_at=now, binding_at=max(now, binding_at), published_by_id=by,
        )
        for language, title, text in texts
    ]  # fmt: skip


def digest(words: Words) -> str:
    """The fingerprint of what was shown, by which an agreement can be held against the words."""
    return hashlib.sha256(f"{words.title}\n\n{words.text}".encode()).hexdigest()


def _words(document: ConsentDocument) -> Words:
    return Words(
        purpose=Purpose(document.purpose),
        version=document.version,
        language=document.language,
        title=document.title,
        text=document.text,
        published_at=document.published_at,
        binding_at=document.binding_at,
    )


def _newest(documents: Iterable[Words]) -> list[Words]:
    every = list(documents)
    latest = max(words.version for words in every)
    return [words for words in every if words.version == latest]


def _in_language(texts: Sequence[Words], language: str) -> Words:
    """The text in this language, else in English, else the first."""
    by_language = {words.language: words for words in sorted(texts, key=lambda words: words.language, reverse=True)}
    for name in (language, language.partition("-")[0], "en"):
        if name in by_language:
            return by_language[name]
    return min(texts, key=lambda words: words.language)
