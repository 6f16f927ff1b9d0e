"""What the pages of findings, systems and bodies read together: the registry, the queue, the flows, on one day."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from qaztech.core.errors import Error, NotFound
from qaztech.hub.detecting import today_in_kazakhstan
from qaztech.hub.observation import NOTHING_SEEN, Traffic
from qaztech.hub.register.rows import DigitalObject
from qaztech.hub.register.snapshot import Register
from qaztech.hub.stakes import Stakes
from qaztech.people.people import Person
from qaztech.web.hub_pages import PRINTED, HubPages, hub_texts
from qaztech.web.hub_parts import HubParts
from qaztech.web.hub_words import Words
from qaztech.web.people_pages import page_language
from qaztech.web.printing import can_print, print_pdf


@dataclass(frozen=True, slots=True, kw_only=True)
class Book:
    """The registry as it stands, the cases of the queue beside it, today in Kazakhstan."""

    register: Register
    stakes: Stakes
    today: date

    def object(self, id_: str) -> DigitalObject:
        """One object. Raises `NotFound`."""
        found = self.register.objects.get(id_)
        if found is None:
            raise NotFound("objects.none", "the registry has no such object", at="caller")
        return found


def book_of(parts: HubParts, *, gone: bool = False) -> Book:
    """Read it now; waits for the database. Cases that are gone only if asked for."""
    register, today = parts.objects.register(), today_in_kazakhstan(parts.clock)
    return Book(register=register, stakes=Stakes(register, parts.findings.cases(gone=gone), today), today=today)


def traffic_of(parts: HubParts) -> tuple[Traffic, bool]:
    """What was observed, and whether it could be read."""
    try:
        return parts.flows.traffic(), True
    except Error:  # DuckDB is not installed, or a file cannot be read: pages say so
        return NOTHING_SEEN, False


def words_for(request: Request, book: Book) -> Words:
    """The words of the reader's language for this registry."""
    language = page_language(request)
    return Words(language, hub_texts(language), book.register, book.today)


def as_json(value: Any) -> Response:
    """An answer for programs; no cache keeps it."""
    text = json.dumps(value, ensure_ascii=False, default=str)
    return Response(text, media_type="application/json", headers={"Cache-Control": "no-store"})


def printed(
    pages: HubPages, request: Request, person: Person, template: str, *, name: str, at: int, **values: Any
) -> Response:
    """A page as PDF. Takes seconds: call it off the loop. Raises `Unavailable` where none can be made."""
    text = pages.text(request, person, template, frame=PRINTED, **{**values, "printed_at": at, "printable": False})
    headers = {
        "Content-Disposition": f'inline; filename="{name}.pdf"',
        "Cache-Control": "no-store",
        "Content-Language": page_language(request),
    }
    return Response(print_pdf(text), media_type="application/pdf", headers=headers)


PRINTABLE: Callable[[], bool] = can_print
