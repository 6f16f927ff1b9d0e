"""A real host on this machine that answers as a test says, for what fetches a document: well, badly, or without end."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable
from contextlib import closing, suppress
from typing import Self


class Host:
    """A real server that answers each connection by writing what it was given; counts them, keeps the requests."""

    def __init__(self, answer: Callable[[socket.socket], None]) -> None:
        self._answer = answer
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listening.getsockname()[1]
        self.requests: list[bytes] = []
        self._thread = threading.Thread(target=self._serve, daemon=True)

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listening.accept()
            except OSError:
                return
            with closing(connection):
                connection.settimeout(5)
                with suppress(OSError):
                    self.requests.append(connection.recv(65536))
                    self._answer(connection)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        with suppress(OSError):
            self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()
        self._thread.join(5)

    def url(self, host: str = "127.0.0.1", path: str = "/openapi.json") -> str:
        """Its address."""
        return f"http://{host}:{self.port}{path}"


def saying(head: str, body: bytes) -> Callable[[socket.socket], None]:
    """An answer with these lines at its head."""
    return lambda connection: connection.sendall(f"HTTP/1.1 {head}\r\n\r\n".encode() + body)
