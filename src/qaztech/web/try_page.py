"""The try-it form of a service's page: makes one reading call of a test environment, and shows what came back.

What may be tried, and which call a form makes, is decided in `trying`; the call goes through a node, is decided there
as any other and stands in both logs. Here: who may send the form, how often, and how an answer is shown.
"""

from __future__ import annotations

import codecs
import re
import time
from collections import deque
from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl

from starlette.requests import Request
from starlette.responses import Response

from qaztech.core.errors import Conflict, Forbidden, Limited, Malformed, NotFound
from qaztech.member.rendering import Rendered
from qaztech.registry.catalogue import Caller, CatalogueService
from qaztech.web.asking import Answer, ask
from qaztech.web.country import Call, Country
from qaztech.web.portal_pages import PortalPages, require_own_page
from qaztech.web.trying import MAX_FIELDS, Trial, Trier, call_for, is_for_trying, rights_of, trials, trier_of

SECONDS = 30.0
MAX_SHOWN = 64 * 1024
MAX_HEADERS, MAX_HEADER = 50, 1000
EVERY, A_MINUTE, ADDRESSES = 0.25, 20, 1024
_MESSAGE = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\Z")

Described = Callable[[CatalogueService], Awaitable[tuple[Rendered | None, bool]]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """What a service's page offers to try, and as whom; `document` is the hash of the description it was made from."""

    trier: Trier
    trials: dict[str, Trial]
    document: str


class Pace:
    """How often calls are tried: by everybody together, and by one address a minute."""

    def __init__(self, seconds: Callable[[], float] = time.monotonic) -> None:
        self._seconds = seconds
        self._last = float("-inf")
        self._by: dict[str, deque[float]] = {}

    def take(self, address: str) -> None:
        """One more call from that address. Raises `Limited`."""
        now = self._seconds()
        mine = self._by.pop(address, deque())
        while mine and mine[0] <= now - 60:
            mine.popleft()
        self._by[address] = mine  # the latest last: the first are forgotten when there are too many
        while len(self._by) > ADDRESSES:
            self._by.pop(next(iter(self._by)))
        if len(mine) >= A_MINUTE:
            raise Limited("call.too-often", "so many calls a minute are enough", at="caller", retry_after=60)
        if now < self._last + EVERY:
            raise Limited("call.too-often", "a call was made just now", at="caller", retry_after=1)
        self._last = now
        mine.append(now)


class TryPage:
    """The form's other side."""

    def __init__(self, *, country: Country, pages: PortalPages) -> None:
        self._trier = trier_of(country)
        self._pages = pages
        self._pace = Pace()

    def offer(self, service: CatalogueService, rendered: Rendered | None, callers: Collection[Caller]) -> Offer | None:
        """What can be tried of a service; None where nothing can."""
        reference = service.shown.description if service.shown is not None else None
        if self._trier is None or rendered is None or reference is None or not is_for_trying(service):
            return None
        found = trials(rendered, rights_of(callers, self._trier.client))
        return Offer(trier=self._trier, trials=found, document=reference.sha256) if found else None

    async def answer(
        self, request: Request, service: CatalogueService, rendered: Rendered | None, callers: Collection[Caller]
    ) -> Response:
        """Make the call that a form asks for. Raises `Forbidden`, `NotFound`, `Conflict`, `Malformed` or `Limited`."""
        require_own_page(request)
        offer = self.offer(service, rendered, callers)
        values = await _form(request)
        if offer is None:
            raise NotFound("trial.none", "nothing of this service can be tried here", at="caller")
        if values.get("document") != offer.document:
            raise Conflict("trial.changed", "the description has changed since the page was shown", at="caller")
        trial = offer.trials.get(values.get("operation", ""))
        if trial is None:
            raise NotFound("trial.none", "that operation cannot be tried here", at="caller")
        rights = rights_of(callers, offer.trier.client)
        shown: dict[str, Any] = {"service": service, "trial": trial, "trier": offer.trier}
        try:
            call = call_for(trial, values, trier=offer.trier, service=service.id, rights=rights)
        except (Malformed, Forbidden) as exc:
            wrong = exc.detail if isinstance(exc, Malformed) else None
            empty: dict[str, Any] = {"told": None, "call": None}
            return self._pages.render(
                "portal/tried.html", request, status=exc.status, code=exc.code, wrong=wrong, **empty, **shown
            )
        self._pace.take(request.client.host if request.client is not None else "")
        told = await _made(call, trial)
        return self._pages.render("portal/tried.html", request, told=told, call=call, code=None, wrong=None, **shown)


async def _form(request: Request) -> dict[str, str]:
    """The fields of a form; the last of a name counts."""
    try:
        text = (await request.body()).decode("ascii")
        return dict(parse_qsl(text, keep_blank_values=True, max_num_fields=2 * MAX_FIELDS, errors="strict"))
    except ValueError as exc:
        raise Malformed("request.malformed", "this is not a form of the page", at="caller") from exc


async def _made(call: Call, trial: Trial) -> dict[str, Any]:
    began = time.monotonic()
    answer = await ask(call.url, method=trial.operation.method, headers=call.headers, seconds=SECONDS)
    text, size = _text(answer.body), len(answer.body)
    message = answer.headers.get("x-road-request-id", "")
    return {
        "status": answer.status,
        "milliseconds": round((time.monotonic() - began) * 1000),
        "headers": _headers(answer),
        "text": text,
        "size": size,
        "cut": size > MAX_SHOWN,
        "fault": answer.headers.get("x-road-error", "")[:MAX_HEADER],
        "message": message if _MESSAGE.match(message) else "",
    }


def _headers(answer: Answer) -> list[tuple[str, str]]:
    return [(name[:MAX_HEADER], value[:MAX_HEADER]) for name, value in list(answer.headers.items())[:MAX_HEADERS]]


def _text(body: bytes) -> str | None:
    """The beginning of a body as text; None for what is no text."""
    try:
        text = codecs.getincrementaldecoder("utf-8")().decode(body[:MAX_SHOWN], final=len(body) <= MAX_SHOWN)
    except UnicodeDecodeError:
        return None
    return None if "\0" in text else text
