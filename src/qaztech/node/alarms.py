"""What an operator must know of a node itself: derived from its state each time somebody asks, never kept.

What the configuration client knows of the registry comes beside it (`ConfigurationClient.alarms`), and what ends or
is not right about the own members (`upkeep`).
"""

from __future__ import annotations

from dataclasses import dataclass

from qaztech.core.errors import Halt
from qaztech.registry.client import Alarm

# A quorum may be away for a restart; longer, and receipts lose their witnessed state.
UNWITNESSED_WARNING = 60 * 1000
# Two segments of the write-ahead file and what is derived from them.
FREE_WARNING = 64 << 20


@dataclass(frozen=True, slots=True)
class Health:
    """What the alarms are derived from; times in milliseconds since 1970."""

    now: int
    # Bytes left where the log is; None where nobody can say.
    free: int | None
    # Why and since when the log is halted.
    halted: tuple[int, Halt] | None
    # Since when no quorum of witnesses has answered, and which did not.
    unwitnessed: tuple[int, tuple[str, ...]] | None


def alarms_of(health: Health) -> list[Alarm]:
    """The alarms, the worst first."""
    found = []
    if health.halted is not None:
        since, why = health.halted
        found.append(Alarm(code=why.code, detail=f"the log is halted: {why.detail}", since=since))
    if health.unwitnessed is not None and health.now - health.unwitnessed[0] >= UNWITNESSED_WARNING:
        since, missing = health.unwitnessed
        detail = f"no quorum of witnesses answers; missing: {', '.join(missing) or 'none by name'}"
        found.append(Alarm(code="witness.quorum", detail=detail, since=since))
    if health.free is not None and health.free < FREE_WARNING:
        detail = f"{health.free >> 20} MiB are free where the log is; below 16 the node may halt, and not start"
        found.append(Alarm(code="disk.low", detail=detail, since=health.now))
    return found
