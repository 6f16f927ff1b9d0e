"""What the benchmark needs of a side: where to call it, which processes it is made of, what it counted itself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from bench.load import Target


@dataclass(frozen=True, slots=True, kw_only=True)
class Counters:
    """What the nodes of a side have counted since they began, both nodes together."""

    exchanges: int
    entries: int  # appended to the logs
    fsyncs: int
    signatures: int  # tree heads signed

    def since(self, earlier: Counters) -> Counters:
        """What was counted between two readings."""
        return Counters(
            exchanges=self.exchanges - earlier.exchanges,
            entries=self.entries - earlier.entries,
            fsyncs=self.fsyncs - earlier.fsyncs,
            signatures=self.signatures - earlier.signatures,
        )


class Side(Protocol):
    """One of the two things compared; it is running for as long as the benchmark holds it."""

    @property
    def name(self) -> str:
        """What the tables call it."""

    def exchange(self) -> Target:
        """Where 1 KiB is posted and 1 KiB comes back."""

    def bodies(self) -> Target:
        """Where a large body is posted, and fetched from at `/LENGTH`."""

    def nodes(self) -> Mapping[str, list[int]]:
        """The processes of each of the two nodes, data plane and all that serves it."""

    def processes(self) -> list[int]:
        """Every process of this side; the client and the service called are counted apart."""

    def counters(self) -> Counters | None:
        """What the nodes say of themselves, if they sign and store anything."""
