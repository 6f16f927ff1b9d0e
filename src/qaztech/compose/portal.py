"""Builds the portal of an instance, a process of its own that holds no keys."""

from __future__ import annotations

import asyncio
from pathlib import Path
from urllib.parse import urlsplit

from qaztech.core.errors import NotFound
from qaztech.core.time import Clock, SystemClock
from qaztech.registry.anchor import parse_anchor
from qaztech.registry.archive import Archive
from qaztech.registry.fetch import HttpFetcher
from qaztech.registry.granted import RightsBook
from qaztech.registry.past_rights import RightsKeeper
from qaztech.registry.survey import Surveyor
from qaztech.runtime.database import sqlite_url
from qaztech.runtime.shell import serve
from qaztech.web.catalogue_view import Follower
from qaztech.web.country import Country, read_country
from qaztech.web.portal import portal_app

# Beside the instance's file: what was verified of the registry, and which members were met.
SURVEY = "portal"
BOOK = "granted.db"


async def run_portal(path: Path, stop: asyncio.Event) -> None:
    """Run the page of the instance that `country.json` describes until told to stop."""
    country, clock = read_country(path), SystemClock()
    folder = path.parent / SURVEY
    folder.mkdir(parents=True, exist_ok=True)
    book = RightsBook.open(sqlite_url(folder / BOOK))
    follower = _follower(country, folder, book, clock)
    portal = portal_app(country, clock=clock, catalogues=follower, rights=book)
    parts = urlsplit(country.portal)

    async def close() -> None:
        await stop.wait()
        portal.close()
        follower.stop()

    follower.start()
    closing = asyncio.create_task(close())
    await serve(portal.app, host=parts.hostname or "127.0.0.1", port=parts.port or 8400, stop=stop)
    follower.stop()
    closing.cancel()
    book.close()


def _follower(country: Country, directory: Path, book: RightsBook, clock: Clock) -> Follower:
    surveyor = Surveyor(
        anchor=parse_anchor(_read(Path(country.anchor))),
        directory=directory,
        fetcher=HttpFetcher(country.registry),
        descriptions=HttpFetcher(country.registry),
        clock=clock,
        built=RightsKeeper(book, Archive(directory)).follow,
    )
    return Follower(surveyor, seconds=country.refresh_seconds)


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as exc:
        raise NotFound("anchor.missing", "the anchor's file is not there") from exc
