"""Files that are noise without their row: AES-256-GCM in chunks, one random key a file, readable only from the start.

Each chunk is a length in four bytes and the ciphertext. Its number is the nonce, and its place (the last one or not) is
authenticated, so that a chunk that was moved, changed or cut off is an error and never a shorter file.
"""

import os
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import IO

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

CHUNK = 64 * 1024


class Damaged(Exception):
    """The file is not what was written, or its key is another one."""


def new_key() -> bytes:
    """A key for one file."""
    return AESGCM.generate_key(bit_length=256)


class Writer:
    """A file to write bytes into, readable for its owner only; it is there under its name once it is whole.

    Without an exception the file takes its name on exit; with one nothing is left of it.
    """

    def __init__(self, path: Path, *, key: bytes) -> None:
        self.size = 0
        self._path, self._cipher = path, AESGCM(key)
        self._part = path.with_suffix(".part")
        self._buffer, self._number = bytearray(), 0
        self._file: IO[bytes]

    def __enter__(self) -> "Writer":
        self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._part.unlink(missing_ok=True)  # left by a job that was killed
        self._file = os.fdopen(os.open(self._part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb")
        return self

    def write(self, data: bytes) -> int:
        """Takes some bytes; whole chunks go to the file at once."""
        self._buffer += data
        self.size += len(data)
        while len(self._buffer) > CHUNK:  # one byte at least stays for the last chunk
            self._seal(bytes(self._buffer[:CHUNK]), b"more")
            del self._buffer[:CHUNK]
        return len(data)

    def flush(self) -> None:
        """Nothing to do: a chunk is written when it is full."""

    def _seal(self, data: bytes, place: bytes) -> None:
        sealed = self._cipher.encrypt(self._number.to_bytes(12, "big"), data, place)
        self._file.write(len(sealed).to_bytes(4, "big") + sealed)
        self._number += 1

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None:
            self._seal(bytes(self._buffer), b"last")
            self._file.flush()
            os.fsync(self._file.fileno())
        self._file.close()
        if error is None:
            self._part.replace(self._path)
        else:
            self._part.unlink(missing_ok=True)


def read(file: IO[bytes], *, key: bytes) -> Iterator[bytes]:
    """The content, chunk by chunk; the file is closed at the end. Raises Damaged."""
    cipher = AESGCM(key)
    with file:
        number, header = 0, file.read(4)
        if not header:
            raise Damaged("The file is empty.")
        while header:
            sealed = file.read(int.from_bytes(header, "big"))
            header = file.read(4)
            try:
                yield cipher.decrypt(number.to_bytes(12, "big"), sealed, b"more" if header else b"last")
            except InvalidTag:
                raise Damaged("The file was changed or cut off.") from None
            number += 1


def remove(path: Path) -> None:
    """Takes the file away, and what a killed job left of it."""
    for each in (path, path.with_suffix(".part")):
        each.unlink(missing_ok=True)
