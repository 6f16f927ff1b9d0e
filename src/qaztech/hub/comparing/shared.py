"""What two objects share besides their words: codes, data, fields of interfaces, legal basis, and who uses them.

Each value counts by how few objects have it: a code that only two have says much, a field `status` nothing. Pure,
standard library only.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping
from itertools import combinations
from typing import Final

from qaztech.hub.observation import Traffic
from qaztech.hub.register.rows import DigitalObject, Integration, IntegrationStatus, Interface
from qaztech.hub.register.snapshot import Register

# A value that more objects have leads to no pair.
_LEADING: Final = 12
# Callers that each of two must have before it means anything that they have none in common.
_CALLERS: Final = 3
# Fields and elements that two must share before it means anything.
_FEWEST: Final = {"fields": 2, "data_elements": 2}


class Shared:
    """What objects declare and who uses them, by kind of reason."""

    def __init__(self, register: Register, traffic: Traffic) -> None:
        registered = {
            element for object_ in register.objects.values() if object_.source_of_truth for element in _data(object_)
        }
        objects = register.objects.values()
        self._held: dict[str, dict[str, frozenset[str]]] = {
            "functions": {one.id: frozenset(one.functions) for one in objects},
            "public_services": {one.id: frozenset(one.public_services) for one in objects},
            # What both take from one register is no sign of anything.
            "data_elements": {one.id: frozenset(_data(one)) - registered for one in objects},
            "fields": {one.id: _fields(register, one) for one in objects},
            "legal_basis": {one.id: frozenset(one.legal_basis) for one in objects},
            "consumers": _consumers(register, traffic),
        }
        self._holders = {what: _holders(held) for what, held in self._held.items()}
        self._callers = {
            one.id: frozenset(flow.client for flow in traffic.to(one.subsystems) if flow.calls) for one in objects
        }

    def of(self, one: str, other: str) -> list[tuple[str, float, tuple[str, ...]]]:
        """Kinds of reason, how strong each is (0..1), and what is shared."""
        found = []
        for what, held in self._held.items():
            here, there = held.get(one, frozenset()), held.get(other, frozenset())
            common = here & there
            if len(common) < min(_FEWEST.get(what, 1), len(here) or 1, len(there) or 1) or not common:
                continue
            strength = self._strength(what, here, there, common)
            if strength > 0:
                found.append((what, strength, tuple(sorted(common))))
        here, there = self._callers.get(one, frozenset()), self._callers.get(other, frozenset())
        if len(here) >= _CALLERS and len(there) >= _CALLERS:
            apart = 1 - len(here & there) / min(len(here), len(there))
            if apart > 0.8:
                found.append(("rarely_together", apart, ()))
        return found

    def leads(self) -> set[tuple[str, str]]:
        """Pairs (ids in order) that share something few have."""
        found: set[tuple[str, str]] = set()
        for what in ("functions", "public_services", "data_elements", "fields"):
            for holders in self._holders[what].values():
                if 1 < len(holders) <= _LEADING:
                    found |= set(combinations(sorted(holders), 2))
        return found

    def _strength(self, what: str, here: frozenset[str], there: frozenset[str], common: frozenset[str]) -> float:
        """The rarity of what is shared, over that of all both have; a value that only these two have counts in full."""
        telling = sum(self._rarity(what, value) for value in common)
        whole = telling + sum(
            max(self._rarity(what, value), 0.25) for value in (here | there) - common if what != "consumers"
        )
        best = max(self._rarity(what, value) for value in common)
        return best * telling / whole if whole else 0.0

    def _rarity(self, what: str, value: str) -> float:
        return 1 / math.sqrt(max(len(self._holders[what][value]) - 1, 1))


def _data(object_: DigitalObject) -> Iterable[str]:
    return (element.casefold() for element in object_.data_elements)


def _fields(register: Register, object_: DigitalObject) -> frozenset[str]:
    return frozenset(field.casefold() for row in register.of(Interface, object_.id) for field in row.fields)


def _consumers(register: Register, traffic: Traffic) -> dict[str, frozenset[str]]:
    """The bodies whose objects take from each object, declared or observed; its own left out."""
    found: defaultdict[str, set[str]] = defaultdict(set)
    for row in register.all(Integration).values():
        consumer = register.objects.get(row.consumer_object)
        if consumer is not None and consumer.owner_bin and row.status is not IntegrationStatus.STOPPED:
            found[row.provider_object].add(consumer.owner_bin)
    for flow in traffic.flows:
        provider, client = register.by_subsystem(flow.provider), register.by_subsystem(flow.client)
        if provider is not None and client is not None and client.owner_bin and flow.calls:
            found[provider.id].add(client.owner_bin)
    return {
        id_: frozenset(bins - {object_.owner_bin or ""})
        for id_, bins in found.items()
        if (object_ := register.objects.get(id_)) is not None
    }


def _holders(held: Mapping[str, frozenset[str]]) -> dict[str, list[str]]:
    holders: defaultdict[str, list[str]] = defaultdict(list)
    for id_, values in held.items():
        for value in values:
            holders[value].append(id_)
    return holders
