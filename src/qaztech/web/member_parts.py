"""What every group of the console's pages is given, and the form of a route: method, path, the scope it needs."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeVar

from starlette.requests import Request
from starlette.responses import Response

from qaztech.ai.office import AiOffice
from qaztech.member.console import Console
from qaztech.member.desk_work import Outcome
from qaztech.people.acts import AdminLog
from qaztech.people.people import People, Person
from qaztech.web.member_site import MemberPages

T = TypeVar("T")
Handler = Callable[[Request, Person], Awaitable[Response]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """The console, its people, its admin log, the anchor's bytes, what draws pages, and what is done with AI."""

    console: Console
    people: People
    log: AdminLog
    anchor: bytes
    pages: MemberPages
    ai: AiOffice


@dataclass(frozen=True, slots=True)
class PageRoute:
    """One route of the console."""

    method: str
    path: str
    scope: str
    handler: Handler


async def off_loop(act: Callable[[], T]) -> T:
    """Do what blocks in a thread."""
    return await asyncio.to_thread(act)


def late(outcome: Outcome) -> dict[str, str | None]:
    """What of a change has not arrived, for the page after it."""
    return {"registry": outcome.registry, "node": outcome.node}
