"""How the cards of the members stand in the register, asked again and again over the backbone.

An answer that is too old stands for nothing: then no call is let through, whatever it said. A register that is away for
some minutes stops nobody. Not here: what follows from a card (`policy`).
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Mapping

from qaztech.ai.register.standing import CardStanding, Standing
from qaztech.core.errors import Error, Unavailable
from qaztech.core.time import Clock
from qaztech.runtime.telemetry import log_error

logger = logging.getLogger("qaztech.ai")
ASK_SECONDS = 15.0
STALE_MS = 15 * 60 * 1000
_FIRST_PATIENCE = 0.5
# One that does not answer is asked more often, so that its return is noticed.
_FAILING_SECONDS = 5.0


class Standings:
    """What the register said last, of each member that this gateway serves."""

    def __init__(
        self, ask: Mapping[str, Callable[[], Awaitable[Standing]]], clock: Clock, *, every: float = ASK_SECONDS
    ) -> None:
        self._ask = ask
        self._clock = clock
        self._every = every
        # By member: when it was asked (ms, own clock), and the cards.
        self._known: dict[str, tuple[int, dict[str, CardStanding]]] = {}
        # By member: why the last question had no answer.
        self._failing: dict[str, Error] = {}
        # What was logged of it, so that it is said once.
        self._said: dict[str, set[str]] = {}
        self._tasks: list[asyncio.Task[None]] = []

    def start(self) -> None:
        """Begin to ask."""
        self._tasks = [asyncio.create_task(self._follow(member)) for member in self._ask]

    def card(self, member: str, identifier: str) -> CardStanding | None:
        """How a card stands; None where the member has none. Raises `Unavailable`: nobody knows any more."""
        known = self._known.get(member)
        if known is None or self._is_stale(known[0]):
            raise Unavailable(
                "ai.register.silent", "the register of AI systems does not answer, so nothing may be called",
                at="consumer-node", retry_after=max(1, int(self._every)),
            )  # fmt: skip
        card = known[1].get(identifier)
        if card is not None and card.until is not None and card.until <= self._clock.now():
            return None
        return card

    def _is_stale(self, asked: int) -> bool:
        # A clock that was set back must not keep an answer for longer.
        return abs(self._clock.now() - asked) > STALE_MS

    def silent(self) -> list[str]:
        """Members whose calls are refused, because nobody knows any more how their cards stand."""
        known = self._known
        return [member for member in self._ask if member not in known or self._is_stale(known[member][0])]

    def failing(self) -> dict[str, Error]:
        """Members for whom the last question had no answer, and why; their calls may still go on."""
        return dict(self._failing)

    def ages(self) -> dict[str, int]:
        """Milliseconds since each member's cards were asked for."""
        now = self._clock.now()
        return {member: now - asked for member, (asked, _) in self._known.items()}

    async def refresh(self, member: str) -> None:
        """Ask once. Raises what asking raises."""
        asked = self._clock.now()
        standing = await self._ask[member]()
        own = [card for card in standing.cards if card.owner == member]
        self._known[member] = (asked, {card.id: card for card in own})

    async def _follow(self, member: str) -> None:
        while True:
            try:
                await self.refresh(member)
            except Error as exc:
                self._failed(member, exc)
            except Exception as exc:  # noqa: BLE001 - an answer that nobody thought of does not end the asking
                said = "the answer of the register of AI systems could not be read"
                self._failed(member, Unavailable("ai.register.silent", said, context=type(exc).__name__))
            else:
                if self._failing.pop(member, None) is not None:
                    logger.info("the register of AI systems answers again", extra={"fields": {"member": member}})
                    self._said.pop(member, None)
            await asyncio.sleep(self._pause(member))

    def _pause(self, member: str) -> float:
        if member not in self._known:
            return _FIRST_PATIENCE
        return min(self._every, _FAILING_SECONDS) if member in self._failing else self._every

    def _failed(self, member: str, error: Error) -> None:
        """Said once for each reason, and when calls are refused for it; not with each question."""
        self._failing[member] = error
        said = self._said.setdefault(member, set())
        if error.code not in said:
            said.add(error.code)
            log_error(logger, "the register of AI systems does not answer", error, member=member)
        if member in self._known and member in self.silent() and "" not in said:
            said.add("")
            log_error(
                logger, "it has not answered for so long that the member's calls are refused", error, member=member
            )

    async def close(self) -> None:
        """Ask no more."""
        for task in self._tasks:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
