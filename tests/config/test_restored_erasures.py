"""A restore does not bring back anybody who was erased after the backup was taken."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from backend.common import clock
from backend.config.backups.sealing import Refused
from backend.interop import work
from tests.cast import Cast
from tests.config.backing import Vault, opened
from tests.interop.life import as_owner, held, lead

pytestmark = pytest.mark.slow


@pytest.fixture
def vault(database: str, tmp_path: Path, settings: Any) -> Iterator[Vault]:
    """A target for backups, and a ledger of this test's own."""
    settings.ERASURES_FILE = tmp_path / "ledger" / "erasures.jsonl"
    settings.EXPORTS_DIR = tmp_path / "exports"
    with opened(database, tmp_path / "backups") as vault:
        yield vault


def erase(cast: Cast) -> None:
    """The patient asks, confirms, and the days are over."""
    phone = cast.client(cast.patient)
    id = phone.send("POST", "erasure-requests", {}).json()["id"]
    assert phone.send("POST", f"erasure-requests/{id}/confirm", {"confirm": True}).status_code == 200
    as_owner("UPDATE interop_erasurerequest SET erase_after_at = now() - interval '1 second'")
    work.round(now=clock.now())


def test_whoever_was_erased_after_the_backup_is_erased_again_before_the_restored_system_opens(
    vault: Vault, cast: Cast, settings: Any
) -> None:
    for patient in (cast.patient, cast.other_patient):
        lead(cast, patient, doctor=cast.psychiatrist, clinic_id=cast.clinic.id)
    other = held(cast.other_patient)
    taken = vault.take()
    erase(cast)
    assert held(cast.patient) == {}

    done = vault.bring_back(taken.name)

    assert done.erased == 1
    assert held(cast.patient) == {}, "nobody comes back with a backup"
    assert held(cast.other_patient) == other
    assert as_owner("SELECT patient_id, status, source FROM interop_erasurerequest") == [
        (cast.patient.id, "erased", "ledger")
    ]
    Path(settings.ERASURES_FILE).unlink()
    with pytest.raises(Refused, match="ledger of erasures"):
        vault.bring_back(taken.name)
