"""What we set out to reach, beside what was measured: met, missed, or not measured. Judged before rounding."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from bench.exchange import Row
from bench.memory import Passage, Soaked

MIB = 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """Everything one run has measured."""

    rows: Sequence[Row] = ()
    passages: Sequence[Passage] = ()
    soaked: Sequence[Soaked] = ()
    up_seconds: float | None = None
    up_pss: int | None = None
    verify_rate: float | None = None
    pair: str = field(default="nginx pair")

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
        ours = [passage for passage in self.passages if passage.side != self.pair]
        return max((passage.growth / MIB for passage in ours), default=None)

    def rss_after(self) -> float | None:
        """MiB of our largest process after many exchanges."""
        ours = [each for each in self.soaked if each.side != self.pair and each.exchanges >= 100_000]
        return max((size / MIB for each in ours for size in each.after.values()), default=None)


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
    _Target(name="receipts verified a second", value=lambda f: f.verify_rate, limit=200, at_most=False, form=".0f"),
    _Target(name="`qaztech up` ready, seconds", value=lambda f: f.up_seconds, limit=10, at_most=True, form=".1f"),
    _Target(
        name="all processes of `qaztech up`, MiB PSS",
        value=lambda f: None if f.up_pss is None else f.up_pss / MIB,
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
