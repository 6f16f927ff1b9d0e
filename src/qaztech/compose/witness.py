"""Builds a witness that is a process of its own: one small HTTP server, its keys, and the logs of everyone admitted."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Sequence
from pathlib import Path

import msgspec

from qaztech.core.errors import Error
from qaztech.core.time import SystemClock
from qaztech.evidence.dev_tsa import DevelopmentAuthority
from qaztech.evidence.note import VerifierKey
from qaztech.evidence.timestamp import REPLY_TYPE
from qaztech.evidence.witness import SqliteWitnessStore, Witness
from qaztech.node.http_request import Request
from qaztech.node.http_server import HttpServer
from qaztech.registry.anchor import Anchor, parse_anchor
from qaztech.registry.client import ClientSettings, ConfigurationClient
from qaztech.registry.fetch import HttpFetcher
from qaztech.registry.key_files import load_cosigner
from qaztech.runtime.settings import read_settings
from qaztech.runtime.telemetry import log_error, set_up_logging

logger = logging.getLogger("qaztech.witness")


class WitnessSettings(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """The settings of a witness, as they stand in its `witness.toml`. Paths are relative to that file."""

    # Key name of the witness, as in the anchor's policy.
    name: str
    directory: str
    anchor: str
    registry: str
    host: str = "127.0.0.1"
    port: int = 8402
    refresh_seconds: float = 20.0
    # Also answer RFC 3161 requests at /tsa with the development authority's keys in the directory.
    timestamping: bool = False


def known_logs(client: ConfigurationClient, anchor: Anchor, origin: str) -> Sequence[VerifierKey]:
    """The keys of a log that may be witnessed: the registry's two, and every open log of a member."""
    if origin == anchor.log_origin:
        return anchor.log_keys
    try:
        configuration = client.configuration()
    except Error:
        return ()
    entry = configuration.log(origin)
    if entry is None:
        return configuration.admin_log_keys(origin)
    return entry.keys if entry.closed is None else ()


def want_everyone(client: ConfigurationClient) -> bool:
    """Fetch the file of every member of the directory: a witness serves all. True if somebody is new."""
    with contextlib.suppress(Error):
        return any([client.want(member.id) for member in client.configuration().members()])  # noqa: C419  # all of them
    return False


async def run_witness(path: Path, stop: asyncio.Event) -> None:
    """Run one witness until told to stop."""
    set_up_logging()
    settings = read_settings(path, WitnessSettings)
    directory = (path.parent / settings.directory).resolve()
    anchor = parse_anchor((path.parent / settings.anchor).read_bytes())
    clock = SystemClock()
    client = ConfigurationClient(
        anchor=anchor,
        directory=directory / "configuration",
        fetcher=HttpFetcher(settings.registry),
        own_members={},
        clock=clock,
        settings=ClientSettings(admin_logs=True),
    )
    witness = Witness(
        store=SqliteWitnessStore(directory / "witness.db"),
        keys=load_cosigner(directory, settings.name),
        log_keys=lambda origin: known_logs(client, anchor, origin),
        clock=clock,
    )
    authority = DevelopmentAuthority.load(directory, clock) if settings.timestamping else None
    server = HttpServer(on_request=lambda request: answer_to(witness, authority, request))
    await server.listen(settings.host, settings.port)
    following = asyncio.create_task(follow_everyone(client, settings.refresh_seconds))
    await stop.wait()
    following.cancel()
    await server.drain(2.0)


def answer_to(witness: Witness, authority: DevelopmentAuthority | None, request: Request) -> None:
    """Answer a request to a witness's process; what it cannot remember it does not cosign, and says so."""
    try:
        _answer(witness, authority, request)
    except Error as exc:
        log_error(logger, "request failed", exc)
        request.respond(exc.status, [(b"Content-Type", b"text/plain")], f"{exc.detail}\n".encode())


def _answer(witness: Witness, authority: DevelopmentAuthority | None, request: Request) -> None:
    if request.method == "GET" and request.target == b"/health":
        request.respond(200, [(b"Content-Type", b"application/json")], b'{"alive": true}')
    elif request.method == "POST" and request.target == b"/add-checkpoint" and request.body is not None:
        answer = witness.add_checkpoint(request.body)
        request.respond(answer.status, [(b"Content-Type", answer.content_type.encode())], answer.body)
    elif request.method == "GET" and request.target.endswith(b"/checkpoint"):
        answer = witness.checkpoint(request.target[1:].decode("ascii", "replace"))
        request.respond(answer.status, [(b"Content-Type", answer.content_type.encode())], answer.body)
    elif request.method == "POST" and request.target == b"/tsa" and request.body and authority is not None:
        headers = [(b"Content-Type", REPLY_TYPE.encode())]
        request.respond(200, headers, authority.timestamp_reply(request.body))
    else:
        request.respond(404, [(b"Content-Type", b"text/plain")], b"this witness answers POST /add-checkpoint\n")


async def follow_everyone(client: ConfigurationClient, interval: float) -> None:
    """Keep the files of all members at hand, for a process that serves all: a witness, the centre."""
    while True:
        pause = interval
        try:
            await asyncio.to_thread(client.refresh)
            if want_everyone(client):
                continue
        except Error as exc:
            log_error(logger, "the configuration was not refreshed", exc)
            pause = 1.0
        await asyncio.sleep(pause)
