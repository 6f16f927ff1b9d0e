"""Detector 9 supplier_concentration: a body that depends on one supplier or group; the same source sold twice.

Affiliated suppliers count as one. Shares are of the money of a body's contracts; HHI is the sum of squared percents.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence

from qaztech.hub.detectors.finding import Case, Detector, Fact, Finding, MoneyOf
from qaztech.hub.detectors.reading import fact, law_fact, limit
from qaztech.hub.register.rows import Affiliation, Component, Contract


def supplier_concentration(case: Case) -> Iterator[Finding]:
    """Both kinds, concentration first."""
    groups = {row.supplier_bin: row.group for row in case.register.all(Affiliation).values()}
    yield from _concentrated(case, groups)
    yield from _sold_twice(case, groups)


def _body(case: Case, object_id: str) -> str | None:
    object_ = case.register.objects.get(object_id)
    return None if object_ is None else object_.owner_bin


def _concentrated(case: Case, groups: dict[str, str]) -> Iterator[Finding]:
    """Each supplier or group that has most of the contract money of some body with several contracts."""
    of_body: defaultdict[str, list[Contract]] = defaultdict(list)
    for contract in sorted(case.register.all(Contract).values(), key=lambda row: row.key):
        body = _body(case, contract.object)
        if body is not None and contract.supplier_bin:
            of_body[body].append(contract)
    found: defaultdict[str, list[tuple[str, Sequence[Contract], int, int]]] = defaultdict(list)
    for body, contracts in sorted(of_body.items()):
        if len(contracts) < limit(case, "concentration_contracts"):
            continue
        sums: defaultdict[str, int] = defaultdict(int)
        for contract in contracts:
            sums[_group(groups, contract)] += contract.tenge or 0
        total = sum(sums.values())
        if not total:
            continue
        hhi = sum((100 * each) ** 2 // total**2 for each in sums.values())
        top = max(sorted(sums), key=lambda name: sums[name])
        of_top = [contract for contract in contracts if _group(groups, contract) == top]
        share = 100 * sums[top] // total
        if share < limit(case, "supplier_share_percent") or hhi < limit(case, "concentration_hhi") or len(of_top) < 2:
            continue
        found[top].append((body, of_top, share, hhi))
    for _, bodies in sorted(found.items()):
        suppliers = sorted({c.supplier_bin for _, contracts, _, _ in bodies for c in contracts if c.supplier_bin})
        told = [each for body, contracts, share, hhi in bodies for each in _told(case, body, contracts, share, hhi)]
        told += _affiliated(case, suppliers)
        yield Finding(
            detector="supplier_concentration",
            objects=tuple(f"bin:{supplier}" for supplier in suppliers),
            evidence=(*told, law_fact(case.law, "concentration_hhi", case.today)),
            confidence=0.9,
            money=sum(c.tenge or 0 for _, contracts, _, _ in bodies for c in contracts),
            money_of=MoneyOf.CONTRACTS,
        )


def _group(groups: dict[str, str], contract: Contract) -> str:
    return groups.get(contract.supplier_bin or "", contract.supplier_bin or "")


def _told(case: Case, body: str, contracts: Sequence[Contract], share: int, hhi: int) -> list[Fact]:
    source = f"organisations/{body}"
    return [
        Fact(what="body", value=body, source=f"organisations/{body}"),
        Fact(what="share_percent", value=share, source=source, as_of=case.today),
        Fact(what="hhi", value=hhi, source=source, as_of=case.today),
        *(fact("contract", contract.tenge or 0, contract, "tenge", contract.signed) for contract in contracts),
    ]


def _affiliated(case: Case, suppliers: Sequence[str]) -> list[Fact]:
    rows = sorted(case.register.all(Affiliation).values(), key=lambda row: row.key)
    return [fact("affiliated", row.group, row, "group") for row in rows if row.supplier_bin in suppliers]


def _sold_twice(case: Case, groups: dict[str, str]) -> Iterator[Finding]:
    """The same source (by fingerprint) in objects of different owners, each of whom has a contract with its sellers."""
    copies: defaultdict[str, list[Component]] = defaultdict(list)
    for row in sorted(case.register.all(Component).values(), key=lambda row: row.key):
        if row.fingerprint and row.supplier_bin:
            copies[row.fingerprint.lower()].append(row)
    paying: defaultdict[str, dict[str, list[Contract]]] = defaultdict(dict)
    for contract in sorted(case.register.all(Contract).values(), key=lambda row: row.key):
        body = _body(case, contract.object)
        if body is not None and contract.supplier_bin:
            paying[body].setdefault(_group(groups, contract), []).append(contract)
    for rows in copies.values():
        sellers: defaultdict[str, list[Component]] = defaultdict(list)
        for row in rows:
            body = _body(case, row.object)
            group = groups.get(row.supplier_bin or "", row.supplier_bin or "")
            if body is not None and group in paying[body]:
                sellers[group].append(row)
        for group, sold in sorted(sellers.items()):
            bodies = sorted({body for row in sold if (body := _body(case, row.object))})
            if len(bodies) > 1:
                yield _twice(case, sold, [c for body in bodies for c in paying[body][group]])


def _twice(case: Case, sold: Sequence[Component], contracts: Sequence[Contract]) -> Finding:
    suppliers = sorted({row.supplier_bin for row in sold if row.supplier_bin})
    held = sorted({row.object for row in sold})
    of_held = [contract for contract in contracts if contract.object in held and contract.supplier_bin in suppliers]
    told = [fact("fingerprint", row.fingerprint[:16], row, "fingerprint") for row in sold]
    told += [fact("contract", c.tenge or 0, c, "tenge", c.signed) for c in of_held or contracts]
    prices = sorted(c.tenge or 0 for c in of_held)
    return Finding(
        detector="supplier_concentration",
        objects=(*(f"bin:{supplier}" for supplier in suppliers), *held),
        evidence=(*told, *_affiliated(case, suppliers)),
        confidence=0.85,
        money=sum(prices[1:]) or None,
        money_of=MoneyOf.PRICE,
    )


DETECTORS = (
    Detector(
        slug="supplier_concentration",
        detect=supplier_concentration,
        deterministic=False,
        references=("center.settings",),
    ),
)
