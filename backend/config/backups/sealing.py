"""The sealed file: compressed, then AES-256-GCM in chunks that know their backup, their file, their place and the end.

Layout: MAGIC, one byte of format, the backup's 16-byte id; then chunks of a four-byte length and the sealed bytes. Each
file has a key of its own, derived from the backup key, the backup's id and the file's name, so a chunk of another
backup or another file does not open; the nonce is the chunk's number and whether it is the last, so chunks that were
reordered, left out or cut off at the end do not open either.
"""

import hashlib
import hmac
import struct
import zlib
from collections.abc import Generator
from typing import BinaryIO

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

FORMAT = 1
MAGIC = b"AFTERGLOW BACKUP"
CHUNK = 1024 * 1024
TAG = 16
LEVEL = 1  # COPY's text shrinks to a fifth at this level; higher ones cost more time than they save
HEADER = len(MAGIC) + 1 + 16


class Refused(Exception):
    """Why a backup is not taken, not trusted or not brought back: one line that says what to do."""


def read_key(text: str) -> bytes:
    """The 32 bytes of the backup key from 64 hexadecimal digits. Raises Refused."""
    try:
        key = bytes.fromhex(text)
    except ValueError:
        key = b""
    if len(key) != 32:
        raise Refused("BACKUP_KEY_FILE must hold 64 hexadecimal digits: `openssl rand -hex 32` draws them")
    return key


def derive(key: bytes, *, salt: bytes, purpose: str) -> bytes:
    """A key for one purpose only (HKDF, RFC 5869)."""
    return HKDF(algorithm=SHA256(), length=32, salt=salt, info=b"afterglow backup: " + purpose.encode()).derive(key)


def key_name(key: bytes) -> str:
    """Eight characters by which a key is told from another; they say nothing about the key."""
    return derive(key, salt=b"", purpose="name").hex()[:8]


def mark(key: bytes, content: bytes) -> str:
    """The HMAC of a manifest."""
    return hmac.new(derive(key, salt=b"", purpose="manifest"), content, hashlib.sha256).hexdigest()


class Sealer:
    """Writes one sealed file; `close` writes the last chunk, without which the file does not open."""

    def __init__(self, file: BinaryIO, *, key: bytes, backup: bytes, name: str) -> None:
        self._file, self._name = file, name
        self._aead = AESGCM(derive(key, salt=backup, purpose=f"file {name}"))
        self._deflate = zlib.compressobj(LEVEL)
        self._waiting = bytearray()
        self._number = 0
        self._header = MAGIC + bytes([FORMAT]) + backup
        self._plain, self._sealed = hashlib.sha256(), hashlib.sha256()
        self.size = 0
        self._put(self._header)

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Take plain bytes."""
        self._plain.update(data)
        self._waiting += self._deflate.compress(data)
        while len(self._waiting) > CHUNK:
            self._seal(bytes(self._waiting[:CHUNK]), last=False)
            del self._waiting[:CHUNK]

    def close(self) -> tuple[str, str]:
        """Write the rest; returns the SHA-256 of the plain bytes and of the file."""
        self._waiting += self._deflate.flush()
        while len(self._waiting) > CHUNK:
            self._seal(bytes(self._waiting[:CHUNK]), last=False)
            del self._waiting[:CHUNK]
        self._seal(bytes(self._waiting), last=True)
        return self._plain.hexdigest(), self._sealed.hexdigest()

    def _seal(self, chunk: bytes, *, last: bool) -> None:
        sealed = self._aead.encrypt(_nonce(self._number, last=last), chunk, self._header)
        self._put(struct.pack(">I", len(sealed)))
        self._put(sealed)
        self._number += 1

    def _put(self, data: bytes) -> None:
        self._file.write(data)
        self._sealed.update(data)
        self.size += len(data)


def unseal(file: BinaryIO, *, key: bytes, backup: bytes, name: str, sha256: str) -> Generator[bytes, None, None]:
    """The plain bytes of a sealed file, in pieces of at most a chunk. Raises Refused at the first thing that is wrong.

    What was yielded before a refusal is genuine but may be incomplete: use nothing before the end was reached.
    """
    seen = hashlib.sha256()
    header = file.read(HEADER)
    seen.update(header)
    if header != MAGIC + bytes([FORMAT]) + backup:
        raise Refused(f"{name} is no file of this backup (its header says another format or another backup)")
    aead = AESGCM(derive(key, salt=backup, purpose=f"file {name}"))
    inflate = zlib.decompressobj()
    number, last = 0, False
    while not last:
        sealed, raw = _next(file, name)
        seen.update(raw)
        last = len(sealed) < CHUNK + TAG or not file.peek(1)  # type: ignore[attr-defined]
        try:
            piece = aead.decrypt(_nonce(number, last=last), sealed, header)
        except InvalidTag:
            raise Refused(f"{name} was changed, cut off or put together from others (chunk {number + 1})") from None
        number += 1
        while piece:
            yield inflate.decompress(piece, CHUNK)
            piece = inflate.unconsumed_tail
    if file.read(1):
        raise Refused(f"{name} goes on after its end")
    if not inflate.eof or not hmac.compare_digest(seen.hexdigest(), sha256):
        raise Refused(f"{name} is not the file that the manifest names (its SHA-256 differs)")


def _next(file: BinaryIO, name: str) -> tuple[bytes, bytes]:
    length = file.read(4)
    size = struct.unpack(">I", length)[0] if len(length) == 4 else 0
    if not TAG <= size <= CHUNK + TAG:
        raise Refused(f"{name} is cut off or changed")
    sealed = file.read(size)
    if len(sealed) != size:
        raise Refused(f"{name} is cut off")
    return sealed, length + sealed


def _nonce(number: int, *, last: bool) -> bytes:
    return struct.pack(">QI", number, int(last))
