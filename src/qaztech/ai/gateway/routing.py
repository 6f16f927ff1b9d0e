"""Which of the places that may take a call is asked first, and which next: the least loaded, the resting ones last.

A place that failed rests for some seconds, longer with each failure in a row. Not here: who may take a call at all
(`policy`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from qaztech.ai.gateway.models import Deployment

_REST_SECONDS = 2.0
_MOST_REST_SECONDS = 60.0


@dataclass(slots=True)
class _State:
    in_flight: int = 0
    failures: int = 0
    rests_until: float = 0.0


class Routing:
    """What is known of the places of one model. Times are the loop's, in seconds."""

    def __init__(self, places: Sequence[Deployment]) -> None:
        self._states = {place.name: _State() for place in places}

    def next(self, places: Sequence[Deployment], tried: frozenset[str], now: float) -> Deployment | None:
        """The place to ask, of those that may take the call and were not asked for it; None when all were."""
        left = [place for place in places if place.name not in tried]
        if not left:
            return None

        def cost(place: Deployment) -> tuple[bool, int, float]:
            state = self._states[place.name]
            return state.rests_until > now, place.rank, state.in_flight / place.weight

        return min(left, key=cost)

    def began(self, place: Deployment) -> None:
        """A call is on its way there."""
        self._states[place.name].in_flight += 1

    def ended(self, place: Deployment, *, failed: bool, now: float) -> None:
        """It came back, or did not."""
        state = self._states[place.name]
        state.in_flight -= 1
        if failed:
            rest = min(_REST_SECONDS * 2**state.failures, _MOST_REST_SECONDS)
            state.failures = min(state.failures + 1, 10)
            state.rests_until = now + rest
        else:
            state.failures, state.rests_until = 0, 0.0

    def in_flight(self) -> dict[str, int]:
        """How many calls are on their way, by place."""
        return {name: state.in_flight for name, state in self._states.items()}
