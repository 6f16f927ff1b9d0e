"""Detector 8 integration_gap: the gateway passed by, integrations without traffic, traffic nobody declared.

What is declared is held beside what was observed, one finding for each pair of objects and each kind of gap in it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from datetime import timedelta
from typing import Final

from qaztech.hub.detectors.finding import Case, Detector, Fact, Finding
from qaztech.hub.detectors.reading import fact, in_life, limit
from qaztech.hub.observation import Flow
from qaztech.hub.register.rows import Channel, DigitalObject, Integration, IntegrationStatus

_BYPASS: Final = frozenset({Channel.DIRECT, Channel.FILE})
# A declared volume counts as not reached where it is this many times what was seen, and not itself next to nothing;
# calls on more than one day of so many are work, however few they are.
_FAR: Final = 50
_FEWEST: Final = 10
_SELDOM: Final = 4
_DAYS_OF_MONTH: Final = 30


def integration_gap(case: Case) -> Iterator[Finding]:
    """All three kinds of gap, by the objects concerned."""
    gaps: defaultdict[tuple[str, ...], list[tuple[float, tuple[Fact, ...]]]] = defaultdict(list)
    for row in sorted(case.register.all(Integration).values(), key=lambda row: row.key):
        if told := _bypass(case, row):
            gaps[row.consumer_object, row.provider_object].append((1.0, told))
        elif told := _silent(case, row):
            gaps[row.consumer_object, row.provider_object].append((0.9, told))
    for objects, told in _not_declared(case):
        gaps[objects].append((0.8, told))
    for objects, told in _not_registered(case):
        gaps[objects].append((0.9, told))
    for objects in sorted(gaps):
        found = gaps[objects]
        yield Finding(
            detector="integration_gap",
            objects=objects,
            evidence=tuple(each for _, told in found for each in told),
            confidence=max(sure for sure, _ in found),
        )


def _ends(case: Case, row: Integration) -> tuple[DigitalObject, DigitalObject] | None:
    """Both objects of an active integration, where both are in life."""
    consumer = case.register.objects.get(row.consumer_object)
    provider = case.register.objects.get(row.provider_object)
    if consumer is None or provider is None or row.status is not IntegrationStatus.ACTIVE:
        return None
    return (consumer, provider) if in_life(consumer) and in_life(provider) else None


def _bypass(case: Case, row: Integration) -> tuple[Fact, ...]:
    """Active, and past the gateway."""
    if row.channel not in _BYPASS or _ends(case, row) is None:
        return ()
    told = fact("bypass", row.channel.value, row, "channel"), fact("integration", row.id, row, "status")
    return (*told, Fact(what="provision", value="code.83", source="law/code.83"))


def _silent(case: Case, row: Integration) -> tuple[Fact, ...]:
    """Active through the gateway for months, and next to none of what is declared was seen."""
    ends = _ends(case, row)
    if ends is None or row.channel is not Channel.GATEWAY or not row.service:
        return ()
    quiet, provider = limit(case, "unused_days"), row.service.rsplit("/", 1)[0]
    # Both ends record a call: it is seen where either delivers.
    seen = max(case.traffic.days_for([provider]), case.traffic.days_for(ends[0].subsystems))
    if seen < quiet or (row.since is not None and (case.today - row.since).days < quiet):
        return ()
    flows = [flow for flow in case.traffic.to([provider]) if _of(case, row, flow)]
    calls, days = sum(flow.calls for flow in flows), max((flow.active_days for flow in flows), default=0)
    declared = row.declared_monthly_calls
    monthly = calls * _DAYS_OF_MONTH / seen
    if declared is None and monthly > limit(case, "unused_calls_per_month"):
        return ()
    if declared is not None and declared < max(_FAR * monthly, _FEWEST):
        return ()
    if days * _SELDOM > seen:
        return ()
    source = f"flows/{(*ends[0].subsystems, '*')[0]}/{row.service}"
    return (
        fact("declared_monthly_calls", "" if declared is None else declared, row, "declared_monthly_calls"),
        Fact(what="calls", value=calls, source=source, as_of=case.traffic.until, moving=True),
        Fact(what="observed_days", value=seen, source="flows", as_of=case.traffic.until, moving=True),
    )


def _of(case: Case, row: Integration, flow: Flow) -> bool:
    """Whether calls may be those of an integration: its service, from its consumer or from a system nobody knows."""
    caller = case.register.by_subsystem(flow.client)
    return flow.service == row.service and (caller is None or caller.id == row.consumer_object)


def _not_declared(case: Case) -> Iterator[tuple[tuple[str, ...], tuple[Fact, ...]]]:
    """Calls between two registered objects of which no integration is declared, in either direction or state."""
    between: defaultdict[tuple[str, str], list[Flow]] = defaultdict(list)
    for flow in case.traffic.flows:
        consumer = case.register.by_subsystem(flow.client)
        provider = case.register.by_subsystem(flow.provider)
        if consumer is not None and provider is not None and consumer.id != provider.id and flow.calls:
            between[consumer.id, provider.id].append(flow)
    for (consumer_id, provider_id), flows in sorted(between.items()):
        rows = case.register.of(Integration, consumer_id)
        declared = any(provider_id in {row.provider_object, row.consumer_object} for row in rows)
        lately = max(flow.last for flow in flows) >= case.today - timedelta(days=limit(case, "unused_days"))
        if not declared and lately:
            told = [
                Fact(what="not_declared", value=flow.service, source=f"flows/{flow.client}/{flow.service}")
                for flow in flows
            ]
            yield (consumer_id, provider_id), (*told, *(_seen(flow) for flow in flows))


def _not_registered(case: Case) -> Iterator[tuple[tuple[str, ...], tuple[Fact, ...]]]:
    """Subsystems that exchange and that no object of the registry has, by the member that they belong to."""
    unknown: defaultdict[str, dict[str, list[Flow]]] = defaultdict(dict)
    for flow in case.traffic.flows:
        for subsystem in {flow.client, flow.provider}:
            if flow.calls and case.register.by_subsystem(subsystem) is None:
                unknown[_member(subsystem)].setdefault(subsystem, []).append(flow)
    for member, subsystems in sorted(unknown.items()):
        told = []
        for subsystem, flows in sorted(subsystems.items()):
            told.append(Fact(what="not_registered", value=subsystem, source=f"flows/{subsystem}"))
            told += [_seen(flow) for flow in flows]
        yield (f"bin:{member}",), tuple(told)


def _member(subsystem: str) -> str:
    parts = subsystem.split("/")
    return parts[2] if len(parts) == 4 else subsystem


def _seen(flow: Flow) -> Fact:
    source = f"flows/{flow.client}/{flow.service}"
    return Fact(what="calls", value=flow.calls, source=source, as_of=flow.last, moving=True)


DETECTORS = (
    Detector(
        slug="integration_gap",
        detect=integration_gap,
        deterministic=False,
        references=("code.83", "code.72", "code.71"),
    ),
)
