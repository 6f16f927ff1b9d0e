"""What at the registry ends one day: the metadata signed offline, the authorities, every member's file.

Each `Ending` says whose it is (`subject`: a role of the metadata, a number, a member's id), so that pages can name it
in their own words. The rule of when people must hear of it is in `expiry`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from qaztech.registry.admission import Registry
from qaztech.registry.expiry import Expiry, certificate_expiry, member_file_expiry
from qaztech.registry.publication import Publication


@dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    """One thing that ends."""

    subject: str
    expiry: Expiry


def endings(
    registry: Registry, publication: Publication, *, authorities: Sequence[str], tsas: Sequence[bytes]
) -> list[Ending]:
    """Everything that ends, what ends first first. `authorities` are PEM, `tsas` DER."""
    found = [Ending(subject=role, expiry=_metadata(role, ends)) for role, ends in publication.offline_ends.items()]
    for number, pem in enumerate(authorities, 1):
        remedy = "the registry adds one"
        _add(found, number, certificate_expiry("authority", f"authority {number} of the nodes", pem.encode(), remedy))
    for number, der in enumerate(tsas, 1):
        remedy = "the registry makes an anchor with another"
        what = f"timestamping authority {number}"
        _add(found, number, certificate_expiry("timestamping", what, der, remedy))
    for file in registry.files():
        member, statement = str(file.member), file.statement
        expiry = member_file_expiry(member, statement.issued, statement.expires)
        found.append(Ending(subject=member, expiry=expiry))
    return sorted(found, key=lambda each: (each.expiry.ends, each.expiry.kind, each.subject))


def _add(found: list[Ending], number: int, expiry: Expiry | None) -> None:
    if expiry is not None:
        found.append(Ending(subject=str(number), expiry=expiry))


def _metadata(role: str, ends: int) -> Expiry:
    remedy = "sign it with the offline keys"
    return Expiry(kind="metadata", what=f"{role}.json", begins=None, ends=ends, remedy=remedy)
