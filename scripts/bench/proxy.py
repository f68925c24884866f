"""A TCP relay that counts, for the bytes that a TLS connection really puts on the wire."""

import contextlib
import socket
import threading
from types import TracebackType
from typing import Self

_READ = 1 << 16


class CountingProxy:
    """Listens on `port`, relays every connection to `target` on the loopback. `up` and `down` are bytes so far, TLS
    records and handshakes included, TCP and IP headers not."""

    def __init__(self, target: int) -> None:
        self.up = self.down = self.connections = 0
        self._target = target
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._open: list[socket.socket] = []

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, where: TracebackType | None
    ) -> None:
        for each in (self._listener, *self._open):
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                near, _ = self._listener.accept()
                far = socket.create_connection(("127.0.0.1", self._target))
                self._open += [near, far]
                self.connections += 1
                for source, sink, is_up in ((near, far, True), (far, near, False)):
                    source.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                    threading.Thread(target=self._relay, args=(source, sink, is_up), daemon=True).start()

    def _relay(self, source: socket.socket, sink: socket.socket, is_up: bool) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(_READ):
                if is_up:
                    self.up += len(data)
                else:
                    self.down += len(data)
                sink.sendall(data)
            sink.shutdown(socket.SHUT_WR)
