"""The receiver of the measurement: counts what arrives on loopback, by key, and notes when the last came."""

import socket
import threading
import time

PARCEL = 56  # sixteen bytes of the key, forty of words


class Counter:
    """Listens on a free port; `keys` holds each parcel's key once, `arrived` counts repetitions too."""

    def __init__(self) -> None:
        self.keys: set[bytes] = set()
        self.arrived = 0
        self.last = 0.0
        self._server = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._server.getsockname()[1])
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            line, _ = self._server.accept()
            threading.Thread(target=self._read, args=(line,), daemon=True).start()

    def _read(self, line: socket.socket) -> None:
        held = b""
        while found := line.recv(1 << 20):
            held += found
            whole = len(held) - len(held) % PARCEL
            for at in range(0, whole, PARCEL):
                self.keys.add(held[at : at + 16])
            self.arrived += whole // PARCEL
            self.last = time.monotonic()
            held = held[whole:]

    def reset(self) -> None:
        """Forgets all."""
        self.keys.clear()
        self.arrived = 0

    def wait(self, count: int, *, seconds: float) -> float:
        """Until so many keys are there; when the last of them came, on the monotonic clock."""
        until = time.monotonic() + seconds
        while len(self.keys) < count:
            if time.monotonic() > until:
                raise TimeoutError(f"{len(self.keys)} of {count} arrived within {seconds:.0f} s")
            time.sleep(0.01)
        return self.last
