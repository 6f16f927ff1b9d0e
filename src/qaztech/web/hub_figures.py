"""Charts as data: a table with a row for each point, and the same for the script that draws it. Pure.

Without the script, or on paper, the table is what one sees; the script draws what the table says and nothing else.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from qaztech.hub.observation import Traffic
from qaztech.hub.register.rows import CostKind, DigitalObject
from qaztech.hub.stakes import Stake
from qaztech.web.hub_words import Words

_MOST_BARS = 15


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """Points along `labels`, and for each series (name) a number at every point. `unit` is tenge, calls or findings."""

    name: str
    labels: tuple[str, ...]
    series: Mapping[str, tuple[int, ...]]
    unit: str
    stacked: bool = True
    lying: bool = False

    def data(self, names: Mapping[str, str]) -> str:
        """For the script: JSON, series under the names that people read."""
        series = [{"name": names.get(key, key), "data": list(numbers)} for key, numbers in self.series.items()]
        return json.dumps(
            {"labels": list(self.labels), "series": series, "stacked": self.stacked, "lying": self.lying},
            ensure_ascii=False,
        )

    def __bool__(self) -> bool:
        """Whether there is anything to draw."""
        return any(any(numbers) for numbers in self.series.values())


def costs_figure(years: Mapping[int, Mapping[str, int]], words: Words) -> Figure:
    """What something cost by year and kind, in tenge."""
    kinds = [kind.value for kind in CostKind if any(kind.value in year for year in years.values())]
    named = {kind: words.value("costs", "kind", kind) for kind in kinds}
    return Figure(
        name="costs",
        labels=tuple(map(str, years)),
        series={named[kind]: tuple(year.get(kind, 0) for year in years.values()) for kind in kinds},
        unit="tenge",
    )


def calls_figure(object_: DigitalObject, traffic: Traffic, sign_ins: Iterable[tuple[str, int]]) -> Figure:
    """Observed calls to and by an object by month, and sign-ins where an identity provider counted them."""
    counted: dict[str, dict[str, int]] = {"calls-in": {}, "calls-out": {}, "sign-ins": dict(sign_ins)}
    for name, flows in (("calls-in", traffic.to(object_.subsystems)), ("calls-out", traffic.of(object_.subsystems))):
        for flow in flows:
            for month, calls in flow.monthly:
                counted[name][month] = counted[name].get(month, 0) + calls
    months = sorted({month for found in counted.values() for month in found})
    return Figure(
        name="calls",
        labels=tuple(months),
        series={name: tuple(found.get(month, 0) for month in months) for name, found in counted.items() if found},
        unit="calls",
        stacked=False,
    )


def stakes_figure(stakes: Sequence[Stake], words: Words) -> Figure:
    """Money at stake of the first few bodies, areas or regions, in tenge a year."""
    shown = [stake for stake in stakes if stake.money][:_MOST_BARS]
    return Figure(
        name="stakes",
        labels=tuple(words.place(stake.scope, stake.code) for stake in shown),
        series={"money": tuple(stake.money for stake in shown)},
        unit="tenge",
        lying=True,
    )


def detectors_figure(stake: Stake, names: Mapping[str, str]) -> Figure:
    """How many findings stand of each detector."""
    found = sorted(stake.by_detector.items(), key=lambda pair: (-pair[1], pair[0]))
    return Figure(
        name="detectors",
        labels=tuple(names.get(slug, slug) for slug, _ in found),
        series={"findings": tuple(count for _, count in found)},
        unit="findings",
        lying=True,
    )
