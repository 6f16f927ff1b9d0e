"""An application that really listens on a port of this machine while a test runs, in a thread of its own."""

from __future__ import annotations

import asyncio
import socket
import threading
from typing import Self

from starlette.types import ASGIApp

from qaztech.runtime.shell import serve


class Served:
    """Serves `app` on a free port, or on `port`; `url` is where. `AssertionError` if it is not up in ten seconds."""

    def __init__(self, app: ASGIApp, *, port: int = 0) -> None:
        with socket.create_server(("127.0.0.1", port)) as free:
            self._port = free.getsockname()[1]
        self.url = f"http://127.0.0.1:{self._port}"
        self._loop = asyncio.new_event_loop()
        self._stop = asyncio.Event()
        self._thread = threading.Thread(target=self._run, args=(app,), daemon=True)

    def _run(self, app: ASGIApp) -> None:
        self._loop.run_until_complete(serve(app, host="127.0.0.1", port=self._port, stop=self._stop))
        self._loop.run_until_complete(self._loop.shutdown_default_executor())

    def __enter__(self) -> Self:
        self._thread.start()
        for _ in range(200):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self._port)) == 0:
                    return self
            threading.Event().wait(0.05)
        raise AssertionError("the application does not start")

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(20)
        self._loop.close()
