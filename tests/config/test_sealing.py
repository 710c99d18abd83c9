"""A sealed file opens whole or not at all: 1,000 tamperings, cuts, chunks moved within and between files."""

import io
import random
import struct
from pathlib import Path

import pytest

from backend.config.backups import sealing
from backend.config.backups.sealing import Refused

KEY, BACKUP, NAME = bytes(range(32)), bytes(16), "accounts_person.sealed"


def sealed(plain: bytes, *, key: bytes = KEY, backup: bytes = BACKUP, name: str = NAME) -> tuple[bytes, str]:
    """A sealed file and its SHA-256."""
    file = io.BytesIO()
    sealer = sealing.Sealer(file, key=key, backup=backup, name=name)
    for start in range(0, len(plain), 100_000):
        sealer.write(plain[start : start + 100_000])
    _, sha256 = sealer.close()
    return file.getvalue(), sha256


def opened(content: bytes, sha256: str, *, key: bytes = KEY, backup: bytes = BACKUP, name: str = NAME) -> bytes:
    """The plain bytes."""
    file = io.BufferedReader(io.BytesIO(content))  # type: ignore[arg-type]
    return b"".join(sealing.unseal(file, key=key, backup=backup, name=name, sha256=sha256))


def chunks(content: bytes) -> list[bytes]:
    """The chunks of a sealed file with their lengths."""
    found, at = [], sealing.HEADER
    while at < len(content):
        size = 4 + struct.unpack(">I", content[at : at + 4])[0]
        found.append(content[at : at + size])
        at += size
    return found


@pytest.mark.parametrize("size", [0, 1, 100, sealing.CHUNK, 3 * sealing.CHUNK + 17])
def test_what_was_sealed_comes_out(size: int) -> None:
    plain = random.Random(size).randbytes(size)  # noqa: S311 - it does not shrink, so chunks are many
    content, sha256 = sealed(plain)
    assert opened(content, sha256) == plain
    assert plain[:64] not in content or size < 64


def test_text_that_shrinks_a_thousandfold_comes_out_in_small_pieces() -> None:
    content, sha256 = sealed(b"a" * 50_000_000)
    assert len(content) < 500_000
    file = io.BufferedReader(io.BytesIO(content))  # type: ignore[arg-type]
    sizes = [len(piece) for piece in sealing.unseal(file, key=KEY, backup=BACKUP, name=NAME, sha256=sha256)]
    assert sum(sizes) == 50_000_000
    assert max(sizes) <= sealing.CHUNK


def test_a_thousand_tamperings_are_found() -> None:
    chance = random.Random(3)  # noqa: S311
    content, sha256 = sealed(chance.randbytes(30_000))
    found = 0
    for _ in range(1000):
        poisoned = bytearray(content)
        at = chance.randrange(len(poisoned))
        kind = chance.choice(("flip", "drop", "double", "cut", "add"))
        if kind == "flip":
            poisoned[at] ^= 1 << chance.randrange(8)
        elif kind == "drop":
            del poisoned[at]
        elif kind == "double":
            poisoned.insert(at, poisoned[at])
        elif kind == "cut":
            del poisoned[at:]
        else:
            poisoned += bytes([chance.randrange(256)])
        try:
            opened(bytes(poisoned), sha256)
        except Refused:
            found += 1
    assert found == 1000


def test_chunks_cannot_be_cut_off_moved_or_brought_from_elsewhere() -> None:
    chance = random.Random(5)  # noqa: S311
    plain = chance.randbytes(3 * sealing.CHUNK)
    content, sha256 = sealed(plain)
    header, parts = content[: sealing.HEADER], chunks(content)
    assert len(parts) >= 4
    other = chunks(sealed(plain, backup=bytes([1]) * 16)[0])
    table = chunks(sealed(plain, name="accounts_clinic.sealed")[0])
    for poisoned in (
        parts[:-1],
        parts[:1],
        [],
        [parts[1], parts[0], *parts[2:]],
        [parts[0], parts[0], *parts[2:]],
        [*parts, parts[-1]],
        [other[0], *parts[1:]],
        [table[0], *parts[1:]],
    ):
        with pytest.raises(Refused):
            opened(header + b"".join(poisoned), sha256)
    with pytest.raises(Refused, match="another backup"):
        opened(sealed(plain, backup=bytes([1]) * 16)[0], sha256)


def test_nothing_opens_with_another_key() -> None:
    content, sha256 = sealed(b"text")
    with pytest.raises(Refused):
        opened(content, sha256, key=bytes(32))


def test_the_key_stands_in_no_file(tmp_path: Path) -> None:
    content, _ = sealed(b"text")
    assert KEY not in content
    assert sealing.key_name(KEY) not in KEY.hex()
