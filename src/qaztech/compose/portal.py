"""Builds the page of an instance, a process of its own that holds no keys."""

from __future__ import annotations

import asyncio
from pathlib import Path
from urllib.parse import urlsplit

from qaztech.core.time import SystemClock
from qaztech.runtime.shell import serve
from qaztech.web.country import read_country
from qaztech.web.portal import portal_app


async def run_portal(path: Path, stop: asyncio.Event) -> None:
    """Run the page of the instance that `country.json` describes until told to stop."""
    country = read_country(path)
    portal = portal_app(country, clock=SystemClock())
    parts = urlsplit(country.portal)

    async def close() -> None:
        await stop.wait()
        portal.close()

    closing = asyncio.create_task(close())
    await serve(portal.app, host=parts.hostname or "127.0.0.1", port=parts.port or 8400, stop=stop)
    closing.cancel()
