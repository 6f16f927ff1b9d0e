"""Builds the centre: a process of its own behind a node, which takes the nodes' operational data."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path

import msgspec

from qaztech.compose.witness import follow_everyone
from qaztech.core.time import SystemClock
from qaztech.hub.judging import JudgeApart
from qaztech.hub.operational import hub_app, keep_checking, keep_compacting
from qaztech.hub.receiving import Deliveries, HubLimits, owner_in
from qaztech.hub.store import METADATA, OperationalStore
from qaztech.registry.anchor import parse_anchor
from qaztech.registry.client import ConfigurationClient
from qaztech.registry.fetch import HttpFetcher
from qaztech.runtime.database import database_url, open_database
from qaztech.runtime.settings import read_settings
from qaztech.runtime.shell import serve

logger = logging.getLogger("qaztech.hub")
COMPACT_SECONDS = 3600.0


class HubSettings(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """The settings of a centre, as they stand in its `hub.toml`. Paths are relative to that file."""

    directory: str
    anchor: str
    registry: str
    # Its node calls it here; it answers nobody from another machine.
    host: str = "127.0.0.1"
    port: int = 8404
    # URL of the database; empty: a SQLite file in the directory.
    database: str = ""
    refresh_seconds: float = 20.0
    # How often the two sides' rows are compared.
    check_seconds: float = 60.0
    max_body_bytes: int = 2 * 1024**3
    max_leaves: int = 2_000_000
    # How long after others have named a log it must have been delivered.
    late_seconds: float = 3600.0


def open_store(path: Path) -> OperationalStore:
    """What the centre with these settings keeps."""
    settings = read_settings(path, HubSettings)
    directory = (path.parent / settings.directory).resolve()
    directory.mkdir(parents=True, exist_ok=True)
    url = database_url(settings.database, directory / "hub.db")
    return OperationalStore(open_database(url, METADATA), directory / "rows")


async def run_hub(path: Path, stop: asyncio.Event) -> None:
    """Run the centre until told to stop."""
    settings = read_settings(path, HubSettings)
    directory = (path.parent / settings.directory).resolve()
    anchor = parse_anchor((path.parent / settings.anchor).read_bytes())
    clock = SystemClock()
    fetcher = HttpFetcher(settings.registry)
    client = ConfigurationClient(
        anchor=anchor, directory=directory / "configuration", fetcher=fetcher, own_members={}, clock=clock
    )
    store = open_store(path)
    judge = JudgeApart()
    limits = HubLimits(body=settings.max_body_bytes, leaves=settings.max_leaves, late=int(settings.late_seconds * 1000))
    deliveries = Deliveries(
        store=store, owner=owner_in(client.configuration), policy=anchor.policy, clock=clock, limits=limits, judge=judge
    )
    deliveries.clean()
    tasks = [
        asyncio.create_task(follow_everyone(client, settings.refresh_seconds)),
        asyncio.create_task(keep_checking(deliveries, settings.check_seconds)),
        asyncio.create_task(keep_compacting(deliveries, COMPACT_SECONDS)),
    ]
    await serve(hub_app(deliveries, limits=limits), host=settings.host, port=settings.port, stop=stop)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    judge.close()
    fetcher.close()
    store.close()
