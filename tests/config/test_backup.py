"""Backups: whole, sealed, apart from every key, and brought back to the last byte beside what runs."""

import os
import re
import resource
import secrets
import signal
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.core.cache import cache
from django.core.management import call_command
from django.db import connections

from backend.accounts import chain
from backend.common import clock
from backend.config import home, setup
from backend.config.backups import configured, manifest, places, swap, tables, verify
from backend.config.backups.sealing import Refused
from backend.interop import erasure, ledger
from tests import databases
from tests.cast import Cast
from tests.config.backing import NOW, PURPOSE, Vault, execute, opened

pytestmark = pytest.mark.slow

TOLD = {"accounts_auditevent", "accounts_auditlink", "accounts_auditpending", "accounts_auditsubject"}
NOTES = ("plain words", "tab\tand\nline\r\nend", "\\. \\N \\\\", "'; DROP TABLE accounts_person; --", "ನೆನಪು 🌙")


@pytest.fixture
def vault(database: str, tmp_path: Path, settings: Any) -> Iterator[Vault]:
    """A target for backups of this worker's database, and a ledger of erasures that is the test's own."""
    settings.ERASURES_FILE = tmp_path / "kept" / "erasures.jsonl"
    with opened(database, tmp_path / "backups") as vault:
        yield vault


@pytest.fixture
def kept(vault: Vault, cast: Cast) -> list[uuid.UUID]:
    """The cast, and five check-ins whose notes are hard to keep."""
    patient = cast.client(cast.patient)
    ids = [uuid.uuid4() for _ in NOTES]
    for number, (name, note) in enumerate(zip(ids, NOTES, strict=True)):
        body = {
            "felt_at": f"2026-02-0{number + 1}T08:00:00+05:30",
            "time_zone": "Asia/Kolkata",
            "mood": 3,
            "note": note,
        }
        assert patient.send("put", f"mood-check-ins/{name}", body).status_code == 201
    return ids


def test_a_backup_comes_back_to_the_last_byte_with_all_that_came_after_it_gone(
    vault: Vault, cast: Cast, kept: list[uuid.UUID]
) -> None:
    taken = vault.take()
    before = vault.contents()
    said = {name: (table.rows, table.content_sha256) for name, table in taken.tables.items()}
    assert {name: said[name] for name in before} == before
    patient = cast.client(cast.patient)
    assert patient.send("delete", f"mood-check-ins/{kept[0]}").status_code == 204
    late = uuid.uuid4()
    body = {"felt_at": "2026-02-09T08:00:00+05:30", "time_zone": "Asia/Kolkata", "mood": 9}
    assert patient.send("put", f"mood-check-ins/{late}", body).status_code == 201

    done = vault.bring_back(taken.name)

    after = vault.contents()
    assert after.pop("accounts_session") != before.pop("accounts_session")
    changed = {name for name in before if before[name] != after[name]}
    assert changed <= TOLD | {"config_backup"}, "the end of all sessions is told"
    assert after["config_backup"][0] == 1
    assert done.kept_as in vault.databases()
    assert patient.send("get", f"mood-check-ins/{kept[1]}").status_code == 401, "a token of before works no more"
    patient = cast.client(cast.patient)
    answers = {name: patient.send("get", f"mood-check-ins/{name}") for name in [*kept, late]}
    assert [answers[name].json()["note"] for name in kept] == list(NOTES)
    assert answers[late].status_code == 404
    outsider = cast.client(cast.outsider)
    assert outsider.send("get", f"mood-check-ins/{kept[1]}").status_code == 404
    assert patient.send("put", f"mood-check-ins/{late}", body).status_code == 201, "it is a database to work with"


def test_the_audit_chain_goes_on_after_a_restore_from_the_head_that_the_backup_had(
    vault: Vault, cast: Cast, kept: list[uuid.UUID]
) -> None:
    chain.seal()
    taken = vault.take()
    number, _, head = taken.chains[str(cast.clinic.id)].partition(":")
    assert int(number) > 5
    vault.bring_back(taken.name)
    assert "the audit chains hold" in vault.said
    body = {"felt_at": "2026-02-09T08:00:00+05:30", "time_zone": "Asia/Kolkata", "mood": 9}
    assert cast.client(cast.patient).send("put", f"mood-check-ins/{uuid.uuid4()}", body).status_code == 201
    chain.seal()
    report = chain.check(cast.clinic.id, now=clock.now(), exported={int(number): head})
    assert report.holds
    assert report.events > int(number), "it goes on where it was"
    code, said = vault.run("verify_audit")
    assert code == 0, said


def test_a_backup_whose_audit_trail_was_altered_is_refused(vault: Vault, cast: Cast, kept: list[uuid.UUID]) -> None:
    chain.seal()
    execute(
        vault,
        "ALTER TABLE accounts_auditevent DISABLE TRIGGER USER",
        "UPDATE accounts_auditevent SET action = 'read' WHERE action = 'create'",
        "ALTER TABLE accounts_auditevent ENABLE TRIGGER USER",
    )
    name = vault.take().name
    before = vault.contents()
    with pytest.raises(Refused, match=r"the audit chain of clinic .* does not hold .* not what was sealed"):
        vault.bring_back(name)
    assert vault.contents() == before
    assert vault.databases() == {vault.database}


def test_triggers_and_forced_security_are_as_before_after_a_restore(vault: Vault, cast: Cast) -> None:
    queries = (
        "SELECT tgrelid::regclass::text, tgname, tgenabled FROM pg_trigger WHERE NOT tgisinternal ORDER BY 1, 2",
        "SELECT relname, relrowsecurity, relforcerowsecurity FROM pg_class WHERE relkind = 'r' "
        "AND relnamespace = 'public'::regnamespace ORDER BY 1",
        "SELECT tablename, policyname, roles::text, cmd, qual, with_check FROM pg_policies ORDER BY 1, 2",
        "SELECT table_name, grantee, privilege_type FROM information_schema.role_table_grants "
        "WHERE table_schema = 'public' ORDER BY 1, 2, 3",
    )

    def seen() -> list[object]:
        with connections["owner"].cursor() as cursor:
            return [(cursor.execute(query), cursor.fetchall())[1] for query in queries]

    before = seen()
    vault.bring_back(vault.take().name)
    assert seen() == before


def test_a_backup_of_an_older_state_is_brought_to_the_present_one(vault: Vault, kept: list[uuid.UUID]) -> None:
    call_command("migrate", "config", "zero", database="owner", verbosity=0)
    taken = vault.take()
    assert "config_restore" not in taken.tables
    setup.migrate()
    vault.bring_back(taken.name)
    assert "config_restore" in vault.take(now=clock.now()).tables


def test_what_is_sealed_shows_nothing(vault: Vault, kept: list[uuid.UUID]) -> None:
    taken = vault.take()
    everything = b"".join(path.read_bytes() for path in (vault.target / taken.name).iterdir())
    for words in (b"plain words", b"patient@example.org", str(kept[0]).encode(), vault.key, vault.key.hex().encode()):
        assert words not in everything
    assert all(path.stat().st_mode & 0o077 == 0 for path in [vault.target / taken.name])


def test_no_key_of_the_installation_is_in_a_backup_even_for_who_can_open_it(
    vault: Vault, kept: list[uuid.UUID]
) -> None:
    taken = vault.take()
    inside = b"".join(
        piece
        for table in taken.tables
        for piece in verify.plain(vault.target / taken.name, taken, table, key=vault.key)
    )
    assert b"patient@example.org" in inside
    assert b"plain words" not in inside, "notes are sealed once more, by keys that are elsewhere"
    words = {word for path in configured.key_files(home.local_dir()) for word in places.KEY.findall(path.read_bytes())}
    assert len(words) > 3
    assert not [path for path in words if path in inside]


def test_a_table_that_hides_rows_from_the_backup_is_refused(vault: Vault, cast: Cast) -> None:
    execute(
        vault,
        "CREATE TABLE hidden (id int PRIMARY KEY, clinic_id int)",
        "INSERT INTO hidden VALUES (1, 1), (2, 2)",
        "ALTER TABLE hidden ENABLE ROW LEVEL SECURITY",
        "ALTER TABLE hidden FORCE ROW LEVEL SECURITY",
        "CREATE POLICY narrow ON hidden TO afterglow_owner USING (clinic_id = 1)",
    )
    try:
        with pytest.raises(Refused, match="hides rows of hidden"):
            vault.take()
        execute(
            vault,
            "CREATE POLICY all_of_them ON hidden TO afterglow_owner "
            "USING (coalesce(current_setting('afterglow.purpose', true), '') LIKE 'maintenance%')",
        )
        assert vault.take().tables["hidden"].rows == 2
        with pytest.raises(Refused, match=r"afterglow\.purpose must begin with 'maintenance'"):
            vault.take(purpose="backup")
        execute(vault, "CREATE POLICY narrowed ON hidden AS RESTRICTIVE TO afterglow_owner USING (clinic_id = 2)")
        with pytest.raises(Refused, match="hides rows of hidden"):
            vault.take()
    finally:
        execute(vault, "DROP TABLE hidden")
    assert len(places.known(vault.target)) == 1, "what was refused left nothing"


# Poison: what is done to a backup, and a word of the line with which it is refused.
def _flip(vault: Vault, name: str, other: str) -> None:
    path = vault.files(name)[0]
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def _cut(vault: Vault, name: str, other: str) -> None:
    path = vault.files(name)[0]
    os.truncate(path, path.stat().st_size - 1)


def _missing(vault: Vault, name: str, other: str) -> None:
    vault.files(name)[-1].unlink()


def _extra(vault: Vault, name: str, other: str) -> None:
    (vault.target / name / "restore.sql").write_text("DROP TABLE accounts_person")


def _manifest(vault: Vault, name: str, other: str) -> None:
    path = vault.target / name / manifest.MANIFEST
    path.write_text(path.read_text().replace('"rows": ', '"rows": 1', 1))


def _older_format(vault: Vault, name: str, other: str) -> None:
    path = vault.target / name / manifest.MARK
    path.write_text(path.read_text().replace("1 ", "0 ", 1))


def _of_another(vault: Vault, name: str, other: str) -> None:
    file = vault.files(name)[0].name
    (vault.target / name / file).write_bytes((vault.target / other / file).read_bytes())


def _of_another_table(vault: Vault, name: str, other: str) -> None:
    first, second = vault.files(name)[:2]
    first.write_bytes(second.read_bytes())


def _renamed(vault: Vault, name: str, other: str) -> None:
    os.rename(vault.target / name, vault.target / "aside")
    os.rename(vault.target / other, vault.target / name)


def _link(vault: Vault, name: str, other: str) -> None:
    path = vault.files(name)[0]
    os.rename(path, vault.target / "elsewhere")
    path.symlink_to(vault.target / "elsewhere")


POISONS = {
    _flip: "was changed, cut off or put together",
    _cut: "bytes, the manifest says",
    _missing: "is missing",
    _extra: "restore.sql does not belong to it",
    _manifest: "the manifest was changed",
    _older_format: "has format 0, and this version reads format 1",
    _of_another: "another backup",
    _of_another_table: "bytes, the manifest says",
    _renamed: "under another name",
    _link: "bytes, the manifest says",
}


@pytest.mark.parametrize("poison", POISONS, ids=lambda poison: poison.__name__.strip("_"))
def test_a_poisoned_backup_is_refused_and_nothing_changes(vault: Vault, kept: list[uuid.UUID], poison: object) -> None:
    other, name = vault.take(now=NOW.replace(hour=3)).name, vault.take().name
    poison(vault, name, other)  # type: ignore[operator]
    before, there = vault.contents(), vault.databases()
    with pytest.raises(Refused, match=POISONS[poison]) as refused:  # type: ignore[index]
        vault.bring_back(name)
    assert len(str(refused.value).splitlines()) == 1
    assert vault.contents() == before
    assert vault.databases() == there


def test_the_wrong_key_is_named_as_the_reason(vault: Vault, cast: Cast) -> None:
    name = vault.take().name
    with pytest.raises(Refused, match=r"was sealed with key [0-9a-f]{8}, and BACKUP_KEY_FILE holds key [0-9a-f]{8}"):
        vault.bring_back(name, key=secrets.token_bytes(32))


def test_a_backup_of_a_later_version_is_refused_before_a_database_is_touched(vault: Vault, cast: Cast) -> None:
    execute(vault, "INSERT INTO django_migrations (app, name, applied) VALUES ('aftercare', '9999_later', now())")
    try:
        name = vault.take().name
    finally:
        execute(vault, "DELETE FROM django_migrations WHERE name = '9999_later'")
    with pytest.raises(Refused, match=r"aftercare\.9999_later, which this version does not know"):
        vault.bring_back(name)
    assert vault.databases() == {vault.database}


def test_the_command_says_in_one_line_what_is_wrong_and_exits_1(vault: Vault, kept: list[uuid.UUID]) -> None:
    code, said = vault.run("backup")
    assert code == 0, said
    (name,) = places.known(vault.target)
    assert f"{name} is complete" in said
    assert vault.run("restore", "latest", "--check")[0] == 0
    assert vault.run("restore")[0] == 1, "without a name it lists"
    _flip(vault, name, "")
    code, said = vault.run("restore", "latest")
    assert code == 1
    assert "was changed" in said.strip().splitlines()[-1]
    assert "Traceback" not in said
    with connections["default"].cursor() as cursor:
        cursor.execute("SELECT name, row_count > 0, byte_count > 0 FROM config_backup")
        assert cursor.fetchall() == [(name, True, True)]


def test_a_restore_killed_on_its_way_leaves_the_database_as_it_was(vault: Vault, kept: list[uuid.UUID]) -> None:
    name = vault.take().name
    before = vault.contents()
    with vault.command("restore", name) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if "comparing every table" in line:
                process.send_signal(signal.SIGKILL)
        process.wait(30)
    assert process.returncode == -signal.SIGKILL
    assert vault.contents() == before
    assert f"{vault.database}_restoring" in vault.databases(), "it was in the midst of it"
    code, said = vault.run("restore", name)
    assert code == 0, said
    assert f"{vault.database}_restoring" not in vault.databases()


def test_a_disk_that_fills_leaves_nothing_that_looks_like_a_backup(vault: Vault, kept: list[uuid.UUID]) -> None:
    before, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (300, hard))
    try:
        with pytest.raises(Refused, match="is full: nothing was kept"):
            vault.take()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (before, hard))
    assert [path.name for path in vault.target.iterdir()] == [".lock"]


def test_what_a_killed_backup_left_is_no_backup_and_goes_with_the_next(vault: Vault, cast: Cast) -> None:
    left = vault.target / f"{places.PARTIAL}afterglow-20260301T000000Z-00000000"
    left.mkdir(parents=True)
    (left / "accounts_person.sealed").write_bytes(b"half")
    assert places.known(vault.target) == []
    name = vault.take().name
    assert sorted(path.name for path in vault.target.iterdir()) == [".lock", name]


# A vacuum that rests after each page, so that it is at work for as long as anybody looks.
SLOW = """
CREATE TABLE slow (n integer) WITH (autovacuum_vacuum_threshold = 1, autovacuum_vacuum_scale_factor = 0,
  autovacuum_vacuum_cost_delay = 100, autovacuum_vacuum_cost_limit = 1);
INSERT INTO slow SELECT generate_series(1, 100000);
DELETE FROM slow
"""
AT_WORK = "SELECT count(*) FROM pg_stat_activity WHERE datname = %s AND usesysid IS NULL"


def test_an_owner_drops_a_database_in_which_a_vacuum_is_at_work(database: str) -> None:
    with databases.maintenance() as admin:
        name = swap.make_beside(admin, database=f"busy_{database}")
        try:
            with databases.maintenance(name) as line:
                line.execute(SLOW)
            until = time.monotonic() + 150  # PostgreSQL looks by itself, once a minute where nobody told it otherwise
            while admin.execute(AT_WORK, [name]).fetchone() == (0,):
                assert time.monotonic() < until
                time.sleep(0.2)
        finally:
            swap.drop(admin, name)
        assert admin.execute("SELECT 1 FROM pg_database WHERE datname = %s", [name]).fetchone() is None


def test_only_the_newest_are_kept(vault: Vault, cast: Cast) -> None:
    names = [vault.take(now=NOW.replace(hour=hour)).name for hour in (1, 2, 3)]
    (vault.target / "notes.txt").write_text("mine")
    assert places.keep_only(vault.target, count=2) == names[:1]
    assert places.known(vault.target) == names[1:]
    assert (vault.target / "notes.txt").exists()
    assert places.keep_only(vault.target, count=0) == names[1:2], "one stays whatever is asked"


def test_two_at_once_are_refused(vault: Vault, cast: Cast) -> None:
    with places.alone(vault.target), pytest.raises(Refused, match="is at work"):
        vault.take()


@pytest.mark.parametrize(
    "case", ["inside", "beside", "linked", "behind a link", "hard link", "copied", "in an archive"]
)
def test_a_target_that_also_holds_a_key_is_refused(tmp_path: Path, case: str) -> None:
    keys, target = tmp_path / "keys", tmp_path / "backups"
    keys.mkdir()
    target.mkdir()
    key = keys / "notes_master"
    word = secrets.token_urlsafe(32)
    key.write_text(f'{{"keys": {{"k1": "{word}"}}}}')
    places.check_apart(target, keys=[key])
    if case == "inside":
        target = tmp_path
    elif case == "beside":
        target = keys / "backups"
    elif case == "linked":
        (target / "deeper").symlink_to(keys)
    elif case == "behind a link":
        (tmp_path / "elsewhere").symlink_to(keys)
        target = tmp_path / "elsewhere" / "backups"
    elif case == "hard link":
        os.link(key, target / "harmless")
    elif case == "copied":
        (target / "old").mkdir()
        (target / "old" / "copy.txt").write_text(f"key: {word}\n")
    else:
        (target / "env.tar").write_bytes(bytes(1000) + key.read_bytes() + bytes(1000))
    with pytest.raises(Refused, match="key") as refused:
        places.check_apart(target, keys=[key])
    assert len(str(refused.value).splitlines()) == 1
    assert word not in str(refused.value)


def test_the_commands_refuse_a_target_with_the_keys(vault: Vault, tmp_path: Path) -> None:
    keys = tmp_path / "keys"
    keys.mkdir()
    (keys / "notes").write_text(secrets.token_hex(32))
    for target in (tmp_path, keys / "backups"):
        for command in (["backup"], ["restore", "latest"]):
            code, said = vault.run(*command, "--target", str(target), SOMETHING_KEY_FILE=str(keys / "notes"))
            assert code == 1
            assert "are not apart" in said.strip().splitlines()[-1]


def test_a_key_that_is_none_is_refused(monkeypatch: pytest.MonkeyPatch, database: str, tmp_path: Path) -> None:
    for wrong in ("password", "00" * 31, "zz" * 32):
        monkeypatch.setenv("BACKUP_KEY", wrong)
        with pytest.raises(Refused, match="64 hexadecimal digits"):
            configured.read(target=str(tmp_path / "backups"))


def test_a_restored_database_serves_nobody_before_the_erasures_were_replayed(vault: Vault, cast: Cast) -> None:
    patient = cast.client(cast.patient)
    execute(vault, "INSERT INTO config_restore (backup, restored_at) VALUES ('by hand', now())")
    connections["default"].close()
    ready = patient.get("/readyz")
    assert ready.status_code == 503
    assert ready.json()["database"] == "restored, but the erasures were not replayed yet: manage.py replay_erasures"
    answer = patient.send("get", "me")
    assert answer.status_code == 503
    assert (answer.json()["code"], answer["Retry-After"]) == ("restoring", "30")
    page = patient.get("/")
    assert page.status_code == 503
    assert "being restored" in page.content.decode()
    assert patient.get("/healthz").status_code == 200

    code, said = vault.run("replay_erasures")
    assert code == 0, said
    assert patient.get("/readyz").status_code == 200
    assert patient.send("get", "me").status_code == 200


def test_who_was_erased_after_the_backup_is_not_back_after_the_restore(
    vault: Vault, cast: Cast, kept: list[uuid.UUID]
) -> None:
    taken = vault.take()
    ledger.add(settings.ERASURES_FILE, ledger.Entry(uuid.uuid4(), cast.patient.id, NOW))
    done = vault.bring_back(taken.name)
    assert done.erased == 1
    with tables.connect(vault.address, purpose=PURPOSE) as connection:
        found = connection.execute("SELECT id FROM aftercare_moodcheckin").fetchall()
        people = {name for (name,) in connection.execute("SELECT id FROM accounts_person").fetchall()}
    assert found == []
    assert cast.patient.id not in people
    assert cast.other_patient.id in people
    assert cast.client(cast.psychiatrist).send("get", f"patients/{cast.patient.id}").status_code == 404


def test_a_restore_without_the_ledger_is_refused_once_somebody_was_erased(
    vault: Vault, cast: Cast, kept: list[uuid.UUID]
) -> None:
    early = vault.take(now=NOW.replace(hour=1))
    path = Path(settings.ERASURES_FILE)
    ledger.add(path, ledger.Entry(uuid.uuid4(), cast.patient.id, NOW))
    assert erasure.replay(path, now=NOW).erased == 1
    late = vault.take()
    assert (early.erasures, late.erasures) == (0, 1)
    before = vault.contents()
    os.rename(path, path.with_suffix(".away"))
    with pytest.raises(Refused, match="lacks 1 of those that were done"):
        vault.bring_back(early.name)  # the running database knows
    execute(vault, "UPDATE interop_erasurerequest SET status = 'cancelled'")
    with pytest.raises(Refused, match="lacks 1 of those that were done"):
        vault.bring_back(late.name)  # the backup knows
    path.write_text("not ours\n")
    with pytest.raises(Refused, match="cannot be read"):
        vault.bring_back(early.name)
    after = vault.contents()
    assert {name for name in before if before[name] != after[name]} <= TOLD | {"interop_erasurerequest"}


def test_the_application_cannot_open_a_closed_database_itself(vault: Vault, cast: Cast) -> None:
    execute(vault, "INSERT INTO config_restore (backup, restored_at) VALUES ('by hand', now())")
    with connections["default"].cursor() as cursor:
        cursor.execute("UPDATE config_restore SET opened_at = now()")
        assert cursor.rowcount == 0
        cursor.execute("DELETE FROM config_restore")
        assert cursor.rowcount == 0


def test_readiness_tells_the_age_of_the_last_good_backup(vault: Vault, cast: Cast) -> None:
    client = cast.client()
    assert client.get("/readyz").json()["backup"] == {"made_at": None, "age_hours": None}
    assert vault.run("backup")[0] == 0
    told = client.get("/readyz").json()["backup"]
    assert told["made_at"] is not None
    assert told["age_hours"] < 1
    figure = re.search(r"^afterglow_backup_age_seconds ([0-9.e+-]+)$", client.get("/metrics").content.decode(), re.M)
    assert figure is not None
    assert 0 < float(figure[1]) < 3600


@pytest.mark.torture
def test_a_million_check_ins_come_back_within_ten_minutes(vault: Vault, capsys: pytest.CaptureFixture[str]) -> None:
    _drill(vault, 1_000_000, capsys, seconds=600)


def test_twenty_thousand_check_ins_come_back(vault: Vault, capsys: pytest.CaptureFixture[str]) -> None:
    _drill(vault, 20_000, capsys, seconds=600)


def _drill(vault: Vault, check_ins: int, capsys: pytest.CaptureFixture[str], *, seconds: int) -> None:
    from backend.demo import volume

    volume.load(check_ins=check_ins, now=NOW)
    connections["owner"].close()
    before = vault.contents()
    began = clock.now()
    taken = vault.take()
    backed_up = (clock.now() - began).total_seconds()
    began = clock.now()
    verify.check(vault.target / taken.name, key=vault.key)
    verified = (clock.now() - began).total_seconds()
    began = clock.now()
    done = vault.bring_back(taken.name)
    brought_back = (clock.now() - began).total_seconds()
    after = vault.contents()
    assert before["aftercare_moodcheckin"][0] == check_ins
    changed = {name for name in before if before[name] != after[name]}
    assert changed <= TOLD | {"accounts_session", "config_backup"}
    assert backed_up + brought_back < seconds
    cache.clear()
    with capsys.disabled():
        print(
            f"\nbackup and restore of {check_ins:,} check-ins ({taken.rows:,} rows in {len(taken.tables)} tables): "
            f"{taken.size / 1e6:,.1f} MB sealed; backup {backed_up:.1f} s, check {verified:.1f} s, "
            f"restore {brought_back:.1f} s ({done.erased} erasures), every table equal"
        )
