"""Tells the provider of each call what it is taken to have used: one more exchange, whose record both sides keep.

So a statement is proved by either side from its own log. The exchange asks for the list of models, which every server
has; what matters is the header its request record commits to. What could not be told is told later, also after a start.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import Counter, deque
from collections.abc import Iterable, Sequence

from qaztech.ai.gateway.answers import Usage
from qaztech.ai.gateway.ledger import Ledger
from qaztech.ai.gateway.models import Model
from qaztech.ai.gateway.places import USAGE_HEADER, Places, exchange_of, refusal_of
from qaztech.ai.gateway.serving import Settled
from qaztech.ai.gateway.usage import CallRow
from qaztech.core.errors import Error
from qaztech.node.http_call import Response
from qaztech.runtime.telemetry import log_error

logger = logging.getLogger("qaztech.ai")
AT_ONCE = 16
AGAIN_SECONDS = 10.0
MOST_WAITING = 100_000


class Teller:
    """What is still to be told, and to whom. On the loop's thread."""

    def __init__(self, ledger: Ledger, places: Places) -> None:
        self._ledger = ledger
        self._places = places
        # By service: one that does not answer keeps no other waiting.
        self._waiting: dict[str, deque[Settled]] = {}
        self._count = 0
        self._under_way: Counter[str] = Counter()
        self._empty = asyncio.Event()
        self._empty.set()
        self._loop = asyncio.get_running_loop()
        self._resting: dict[str, asyncio.TimerHandle] = {}
        # Services that could not be told at the last attempt.
        self._deaf: set[str] = set()

    @property
    def deaf(self) -> frozenset[str]:
        """The services whose hosts were not told at the last attempt."""
        return frozenset(self._deaf)

    def __len__(self) -> int:
        return self._count + self._under_way.total()

    def tell(self, settled: Settled) -> None:
        """Tell of one call, soon."""
        if not settled.place.service or settled.exchange is None:
            return
        if self._count >= MOST_WAITING:
            return  # it stands in the ledger as untold, and is told after the next start
        self._wait(settled)
        self._go_on(settled.place.service)

    def _wait(self, settled: Settled) -> None:
        self._waiting.setdefault(settled.place.service, deque()).append(settled)
        self._count += 1
        self._empty.clear()

    def resume(self, rows: Iterable[tuple[CallRow, str]], models: Sequence[Model]) -> None:
        """Tell of calls that an earlier process did not get to, each with the member whose call it was."""
        places = {(model.name, place.name): place for model in models for place in model.deployments}
        for row, member in rows:
            place = places.get((row.model, row.deployment))
            if place is None or place.service != row.service or row.exchange is None:
                continue  # the place is not called any more: the ledger's row stands by itself
            usage = Usage(prompt=row.prompt_tokens or 0, completion=row.completion_tokens or 0)
            self.tell(
                Settled(
                    call=row.id, place=place, member=member, system=row.system, exchange=row.exchange, usage=usage,
                    cost=row.cost or 0, outcome=row.outcome, answer=row.answer_digest or "",
                )
            )  # fmt: skip

    def _go_on(self, service: str) -> None:
        waiting = self._waiting.get(service)
        # Who did not answer the last time is asked with one call until it does.
        most = 1 if service in self._deaf else AT_ONCE
        while waiting and self._under_way[service] < most and service not in self._resting:
            self._count -= 1
            self._send(waiting.popleft())
        if not len(self):
            self._empty.set()

    def _send(self, settled: Settled) -> None:
        place = settled.place
        self._under_way[place.service] += 1

        def answered(response: Response) -> None:
            if response.body is None:
                response.on_data, response.on_end = (lambda _: None), (lambda: None)
            self._under_way[place.service] -= 1
            exchange = exchange_of(response)
            if response.status < 400 and exchange is not None:
                if place.service in self._deaf:
                    self._deaf.discard(place.service)
                    logger.info("a provider is told of usage again", extra={"fields": {"service": place.service}})
                with contextlib.suppress(Error):
                    self._ledger.tell(settled.call, exchange)
                self._go_on(place.service)
            else:
                not_told(refusal_of(response, ""))

        def not_told(error: Error) -> None:
            if place.service not in self._deaf:
                self._deaf.add(place.service)
                log_error(
                    logger, "a provider was not told of usage; it is tried again until it is", error,
                    call=settled.call, service=place.service,
                )  # fmt: skip
            self._later(settled)

        def failed(error: Error) -> None:
            self._under_way[place.service] -= 1
            not_told(self._places.failure(error))

        try:
            self._places.client(place).send(
                "GET",
                self._places.target(place, "models"),
                self._places.head(
                    place, member=settled.member, system=settled.system, said=usage_line(settled), name=USAGE_HEADER,
                    has_body=False,
                ),
                on_response=answered,
                on_error=failed,
                timeout=30.0,
            )  # fmt: skip
        except Error as exc:
            failed(exc)

    def _later(self, settled: Settled) -> None:
        self._wait(settled)
        service = settled.place.service
        if service not in self._resting:
            self._resting[service] = self._loop.call_later(AGAIN_SECONDS, self._try_again, service)

    def _try_again(self, service: str) -> None:
        del self._resting[service]
        self._go_on(service)

    async def drain(self, grace: float) -> None:
        """Wait until all is told, for so many seconds at most; the rest stands in the ledger."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._empty.wait(), grace)
        for timer in self._resting.values():
            timer.cancel()


def usage_line(settled: Settled) -> bytes:
    """What the record says of a call's usage. One spelling, so that both sides read the same."""
    usage = settled.usage
    return (
        f"call={settled.call}; exchange={settled.exchange}; model={_plain(settled.place.model)};"
        f" version={settled.place.version}; prompt={usage.prompt}; completion={usage.completion};"
        f" estimated={'yes' if usage.estimated else 'no'}; cost={settled.cost}; outcome={settled.outcome};"
        f" answer={settled.answer or '-'}"
    ).encode("ascii", "replace")


def _plain(text: str) -> str:
    return "".join(each if each.isalnum() or each in "._:/-" else "_" for each in text)
