"""What we set out to reach, beside what was measured: met, missed, or not measured. Judged before rounding."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from bench.embedded import Up
from bench.exchange import Row
from bench.gateway import GatewayFound
from bench.memory import Passage, Soaked
from bench.receipts import Verified

MIB = 1024 * 1024
ENTRIES, BODY, EXCHANGES = 10**7, 100 * MIB, 100_000  # what the targets speak of


@dataclass(slots=True, kw_only=True)
class Found:
    """Everything one run has measured so far."""

    machine: Mapping[str, str] = field(default_factory=dict)
    seconds: float = 0.0  # the whole run
    rows: Sequence[Row] = ()
    passages: Sequence[Passage] = ()
    soaked: list[Soaked] = field(default_factory=list)
    verified: Verified | None = None
    up: Up | None = None
    append: Mapping[str, Any] | None = None  # as `bench.log_append` prints it
    gateway: GatewayFound | None = None
    pair: str = "nginx pair"

    def ratio(self, value: str, connections: int) -> float | None:
        """Our median over the pair's."""
        ours = [row for row in self.rows if row.connections == connections and row.side != self.pair]
        theirs = [row for row in self.rows if row.connections == connections and row.side == self.pair]
        if not ours or not theirs or any(row.faults for row in (*ours, *theirs)):
            return None
        return float(getattr(ours[0], value) / getattr(theirs[0], value))

    def body_ratio(self) -> float | None:
        """The slower way of a large body, over the pair's."""
        theirs = {passage.way: passage.rate for passage in self.passages if passage.side == self.pair}
        ours = [passage for passage in self.passages if passage.side != self.pair]
        return min((passage.rate / theirs[passage.way] for passage in ours), default=None)

    def body_growth(self) -> float | None:
        """MiB by which our process that grew most grew while a large body passed."""
        ours = [p for p in self.passages if p.side != self.pair and p.length >= BODY]
        return max((passage.growth / MIB for passage in ours), default=None)

    def rss_after(self) -> float | None:
        """MiB of our largest process after many exchanges."""
        ours = [each for each in self.soaked if each.side != self.pair and each.exchanges >= EXCHANGES]
        return max((size / MIB for each in ours for size in each.after.values()), default=None)

    def _large_log(self) -> Mapping[str, Any] | None:
        """What was found of the log, if it was as long as the target says."""
        return self.append if self.append is not None and self.append["large"] >= ENTRIES else None

    def append_ratio(self) -> float | None:
        """CPU of an append to the large log over one to the small, 32 in flight."""
        if (log := self._large_log()) is None:
            return None
        cost = {each["entries"]: each["cpu_us"] for each in log["appends"] if each["in_flight"] == 32}
        return float(cost[log["large"]] / cost[log["small"]])

    def opening(self) -> float | None:
        """Seconds until the large log is open, the worse of two ways to have left it."""
        log = self._large_log()
        return None if log is None else float(max(log["open_seconds"], log["open_killed_seconds"]))

    def up_pss(self) -> float | None:
        """MiB of all processes of `qaztech up`."""
        return self.up.pss / MIB if self.up else None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Target:
    name: str
    value: Callable[[Found], float | None]
    limit: float
    at_most: bool
    form: str = ".2f"


_TARGETS = (
    _Target(
        name="CPU of all, × the pair's, 32 connections", value=lambda f: f.ratio("all_cpu", 32), limit=3.4, at_most=True
    ),
    _Target(
        name="CPU of all, × the pair's, 128 connections",
        value=lambda f: f.ratio("all_cpu", 128),
        limit=2.6,
        at_most=True,
    ),
    _Target(
        name="exchanges/s, of the pair's, 32 connections",
        value=lambda f: f.ratio("rate", 32),
        limit=0.22,
        at_most=False,
    ),
    _Target(
        name="exchanges/s, of the pair's, 128 connections",
        value=lambda f: f.ratio("rate", 128),
        limit=0.30,
        at_most=False,
    ),
    _Target(name="RSS after 100,000 exchanges, MiB", value=Found.rss_after, limit=80, at_most=True, form=".1f"),
    _Target(name="RSS growth while 100 MiB pass, MiB", value=Found.body_growth, limit=16, at_most=True, form=".1f"),
    _Target(name="MB/s of a large body, of the pair's", value=Found.body_ratio, limit=0.35, at_most=False),
    _Target(name="CPU of an append at 10⁷ entries, × that at 10⁴", value=Found.append_ratio, limit=1.2, at_most=True),
    _Target(
        name="start-up on 10⁷ entries, seconds",
        value=Found.opening,
        limit=3,
        at_most=True,
    ),
    _Target(
        name="receipts verified a second",
        value=lambda f: f.verified.rate if f.verified else None,
        limit=200,
        at_most=False,
        form=".0f",
    ),
    _Target(
        name="`qaztech up` ready, seconds",
        value=lambda f: f.up.seconds if f.up else None,
        limit=10,
        at_most=True,
        form=".1f",
    ),
    _Target(
        name="all processes of `qaztech up`, MiB PSS",
        value=Found.up_pss,
        limit=500,
        at_most=True,
        form=".0f",
    ),
)


def judged(found: Found) -> list[list[str]]:
    """One line for each target: its name, the limit, what was measured, the verdict."""
    lines = []
    for target in _TARGETS:
        value = target.value(found)
        if value is None:
            measured, verdict = "–", "not measured"
        else:
            measured = format(value, target.form)
            verdict = "met" if (value <= target.limit if target.at_most else value >= target.limit) else "**missed**"
        lines.append([target.name, f"{'≤' if target.at_most else '≥'} {target.limit:g}", measured, verdict])
    return lines
