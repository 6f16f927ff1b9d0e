"""What the centre knows of this member's traffic, asked as any service is: by exchanges through the own node.

The centre tells a member what is its own: calls it made, calls of its services, findings about its logs. What it says
is its word; each exchange it names stands in the own node's log as well, with its receipt. Not here: how it counts.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from typing import Final, TypeVar
from urllib.parse import urlencode, urlsplit

import msgspec

from qaztech.core.errors import Malformed, Unavailable
from qaztech.core.ids import ServiceId, SubsystemId
from qaztech.core.time import Clock

# Bytes of one answer that are read at most.
MAX_ANSWER: Final = 8 * 1024 * 1024
# How long an answer is shown again before the centre is asked anew: each question is an exchange.
FRESH_MS: Final = 5_000
_T = TypeVar("_T")


class CentreTotal(msgspec.Struct, frozen=True, kw_only=True):
    """Calls of one client with one service on one day (YYYY-MM-DD, UTC+5), as the centre counts them."""

    day: str
    client: str
    service: str
    calls: int
    succeeded: int
    refused: int
    unanswered: int
    request_bytes: int
    response_bytes: int
    mean_ms: float | None = None
    unfinished: int = 0


class CentreExchange(msgspec.Struct, frozen=True, kw_only=True):
    """One exchange as the centre tells it; times in milliseconds."""

    message: str
    client: str
    service: str
    endpoint: str
    time: int
    outcome: str
    duration: int | None = None
    status: int | None = None
    code: str | None = None


class CentreFinding(msgspec.Struct, frozen=True, kw_only=True):
    """Something about an own log, or of another's against it, that does not add up; `found` in milliseconds."""

    code: str
    level: str
    origin: str
    other: str
    message: str
    place: int
    detail: str
    found: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """What the centre knows of the member in a period, and when it was asked (milliseconds)."""

    totals: list[CentreTotal]
    exchanges: list[CentreExchange]
    findings: list[CentreFinding]
    asked: int


class Centre:
    """The centre's `service`, asked as `client`, a subsystem of the own member, through the `edge` of the own node.

    Methods block: call from a thread.
    """

    def __init__(
        self,
        *,
        edge: str,
        service: ServiceId,
        client: SubsystemId,
        clock: Clock,
        token: str = "",
        seconds: float = 30.0,
    ) -> None:
        parts = urlsplit(edge)
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise Malformed("access.edge", "the edge of the own node is an http(s) address")
        self.service = service
        self._parts = parts
        self._client = client
        self._token = token
        self._clock = clock
        self._seconds = seconds
        self._turn = threading.Lock()
        self._kept: dict[tuple[int, int], Known] = {}

    def known(self, since: int, until: int) -> Known:
        """What it knows of [since, until) (ms). Raises `Unavailable` where it, or the way to it, is silent."""
        with self._turn:
            now = self._clock.now()
            kept = self._kept.get((since, until))
            if kept is None or now - kept.asked >= FRESH_MS:
                period = urlencode({"since": since, "until": until})
                kept = Known(
                    totals=self._ask(f"/totals?{period}", list[CentreTotal]),
                    exchanges=self._ask(f"/exchanges?{period}", list[CentreExchange]),
                    findings=self._ask("/findings", list[CentreFinding]),
                    asked=now,
                )
                self._kept = {(since, until): kept}
            return kept

    def _ask(self, path: str, kind: type[_T]) -> _T:
        connection = (HTTPSConnection if self._parts.scheme == "https" else HTTPConnection)(
            self._parts.hostname or "", self._parts.port, timeout=self._seconds
        )
        headers = {"X-Road-Client": str(self._client), "Accept": "application/json"}
        if self._token:
            headers["Authorization"] = f"Bearer {self._token}"
        try:
            connection.request("GET", f"/r1/{self.service}{path}", headers=headers)
            answer = connection.getresponse()
            data = answer.read(MAX_ANSWER + 1)
        except (OSError, HTTPException) as exc:
            raise Unavailable("access.no-edge", "the own node does not answer", context=repr(exc)) from exc
        finally:
            connection.close()
        if answer.status != 200 or len(data) > MAX_ANSWER:
            fault = answer.getheader("x-road-error") or ""
            raise Unavailable(
                "centre.silent", f"the centre answered {answer.status} {fault[:100]}".strip(), at="service"
            )
        try:
            return msgspec.json.decode(data, type=kind)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as exc:
            raise Unavailable("centre.silent", "the centre answered something else", at="service") from exc


def centre_of(service: str, client: str, *, edge: str, token: str, clock: Clock) -> Centre | None:
    """The centre as settings name it; None where they name none. Raises `Malformed` for names that are none."""
    if not service:
        return None
    return Centre(
        edge=edge, token=token, clock=clock, service=ServiceId.parse(service), client=SubsystemId.parse(client)
    )
