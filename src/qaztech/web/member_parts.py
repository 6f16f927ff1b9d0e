"""What every group of the console's pages is given, and the form of a route: method, path, the scope it needs.

The same for calls of its API. Not here: how either is carried out.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import msgspec
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Action:
    """One call of the API. `run` gets the person, the path's parameters and the body, blocks, and gives JSON."""

    method: str
    path: str
    scope: str
    summary: str
    run: Callable[[Person, dict[str, str], Any], Any]
    answer: Any
    body: type[msgspec.Struct] | None = None
    status: int = 200


async def off_loop(act: Callable[[], T]) -> T:
    """Do what blocks in a thread."""
    return await asyncio.to_thread(act)


def late(outcome: Outcome) -> dict[str, str | None]:
    """What of a change has not arrived, for the page after it."""
    return {"registry": outcome.registry, "node": outcome.node}
