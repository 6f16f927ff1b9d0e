"""A console of people that really runs, on a port of this machine, for browsers: pages, database, admin log."""

from __future__ import annotations

import asyncio
import socket
import threading
from pathlib import Path
from typing import Any, Self

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from people_console import CHEAP, PASSWORD, ROLES
from qaztech.core.time import SystemClock
from qaztech.people.actors import COMMAND_LINE
from qaztech.people.acts import AdminLog
from qaztech.people.gate import Gate
from qaztech.people.oidc import CALLBACK, OutboundFetcher, Provider, ProviderSettings
from qaztech.people.people import People, Person
from qaztech.people.tables import PEOPLE
from qaztech.runtime.database import open_database, sqlite_url
from qaztech.runtime.shell import application, serve
from qaztech.testing.free_ports import free_ports
from qaztech.web.files import StaticFiles
from qaztech.web.headers import HEADERS
from qaztech.web.sign_in import sign_in_routes
from qaztech.web.texts import STATIC

ARGUMENTS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
]  # fmt: skip
SITE = {"kk": "Мүше консолі", "ru": "Консоль участника", "en": "Member's console"}


class Console:
    """A console of people on a port of this machine, with its admin log; everything real but small."""

    def __init__(self, directory: Path, *, settings: ProviderSettings | None = None, port: int = 0) -> None:
        self.port = port or free_ports(1)[0]
        self._settings = settings
        self.url = f"http://localhost:{self.port}"
        self.directory = directory
        database = open_database(sqlite_url(directory / "people.db"), PEOPLE)
        self.people = People(database, roles=ROLES, clock=SystemClock(), parameters=CHEAP)
        self.people.accounts.add("aigerim", "Айгерім Сейтқызы", ["administrator"], PASSWORD, by=COMMAND_LINE)
        self.acts: list[str] = []
        self._loop = asyncio.new_event_loop()
        self._stop = asyncio.Event()
        self._thread = threading.Thread(target=self._loop.run_until_complete, args=(self._run(),), daemon=True)

    async def _run(self) -> None:
        log = AdminLog.create(self.directory / "admin", instance="KZ", clock=SystemClock())
        gate = Gate(self.people, origin=self.url)
        provider = None
        if self._settings is not None:
            callback, fetcher = self.url + CALLBACK, OutboundFetcher()
            provider = Provider(self.people, self._settings, redirect_uri=callback, fetcher=fetcher)
        routes, pages = sign_in_routes(self.people, gate, site=SITE, home="/", admin_log=log, provider=provider)

        async def home(_: Request, __: Person) -> Response:
            return RedirectResponse("/account?lang=kk")

        files = Route("/static/{path:path}", StaticFiles(STATIC).answer)
        app = application([*routes, files, Route("/", pages.signed_in(gate, home))])

        async def with_headers(scope: Any, receive: Any, send: Any) -> None:
            async def sending(message: Any) -> None:
                if message["type"] == "http.response.start":
                    message["headers"] = [*message.get("headers", []), *HEADERS]
                await send(message)

            await app(scope, receive, sending)

        await serve(with_headers, host="127.0.0.1", port=self.port, stop=self._stop)
        self.acts = [found.act.act for found in log.acts(newest_first=False) if found.act is not None]
        await log.close()

    def __enter__(self) -> Self:
        self._thread.start()
        for _ in range(200):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return self
            threading.Event().wait(0.05)
        raise AssertionError("the console does not start")

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(20)
        self._loop.close()
        self.people.engine.dispose()
