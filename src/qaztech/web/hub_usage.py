"""Integrations of one object as they are declared, each beside what was observed of it; and flows nobody declared."""

from __future__ import annotations

from dataclasses import dataclass

from qaztech.hub.observation import Flow, Traffic
from qaztech.hub.register.rows import DigitalObject, Integration
from qaztech.hub.register.snapshot import Register

# Days of an average month.
_MONTH = 30.4375


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """One integration, declared, observed or both. `coming` where this object provides; `monthly` observed calls.

    `other` is the object at the other end, or the identity on the backbone of one that nobody registered.
    """

    coming: bool
    other: str
    declared: Integration | None
    flows: tuple[Flow, ...]
    monthly: int

    @property
    def calls(self) -> int:
        """All calls that were observed."""
        return sum(flow.calls for flow in self.flows)


def links_of(object_: DigitalObject, register: Register, traffic: Traffic) -> list[Link]:
    """Declared ones first, in the order of their ids; then what was observed only, the most called first."""
    coming, going = traffic.to(object_.subsystems), traffic.of(object_.subsystems)
    told: set[tuple[str, str]] = set()
    links = []
    for row in sorted(register.of(Integration, object_.id), key=lambda each: each.id):
        provides = row.provider_object == object_.id
        other = row.consumer_object if provides else row.provider_object
        known = register.objects.get(other)
        ends = frozenset(known.subsystems if known else ())
        found = [
            flow
            for flow in (coming if provides else going)
            if (flow.client if provides else flow.provider) in ends and row.service in {"", flow.service}
        ]
        told |= {(flow.client, flow.service) for flow in found}
        links.append(_link(provides, other, row, found, traffic))
    rest = [(True, flow) for flow in coming] + [(False, flow) for flow in going]
    silent = [(provides, flow) for provides, flow in rest if (flow.client, flow.service) not in told]
    for provides, flow in sorted(silent, key=lambda pair: (-pair[1].calls, pair[1].client, pair[1].service)):
        subsystem = flow.client if provides else flow.provider
        known = register.by_subsystem(subsystem)
        links.append(_link(provides, known.id if known else subsystem, None, [flow], traffic))
    return links


def _link(coming: bool, other: str, declared: Integration | None, flows: list[Flow], traffic: Traffic) -> Link:
    calls = sum(flow.calls for flow in flows)
    monthly = round(calls * _MONTH / traffic.days) if traffic.days else 0
    return Link(coming=coming, other=other, declared=declared, flows=tuple(flows), monthly=monthly)
