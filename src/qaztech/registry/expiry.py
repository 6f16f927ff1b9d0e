"""What will end one day, and when people must hear of it: long before.

Whatever is valid for a time is an `Expiry`: a certificate, a member file, metadata that needs offline keys. Nothing is
kept here and nothing decided; nodes and the registry make their lists from what they hold and warn by the same rule.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, Literal

from qaztech.core.errors import Error
from qaztech.registry.member_file import MemberFile
from qaztech.trust.certificates import certificate_period

DAY: Final = 24 * 3600 * 1000
WARNING: Final = 30 * DAY
# Of a short life the last part: a warning that is always there is none.
PART: Final = 3
Kind = Literal["certificate", "edge-certificate", "member-file", "metadata", "authority", "timestamping"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Expiry:
    """One thing that ends. `begins` and `ends` in milliseconds since 1970; `begins` is None where nobody says it."""

    kind: Kind
    what: str
    begins: int | None
    ends: int
    remedy: str
    part: int = PART

    @property
    def warns(self) -> int:
        """From when on people are warned: 30 days before, or for the last third of a shorter life."""
        if self.begins is None:
            return self.ends - WARNING
        return self.ends - min(WARNING, (self.ends - self.begins) // self.part)

    def is_due(self, now: int) -> bool:
        """Whether people must hear of it."""
        return now >= self.warns

    def code(self, now: int) -> str:
        """The alarm's code: `<kind>.expiring`, or `<kind>.expired`."""
        return f"{self.kind}.expired" if now >= self.ends else f"{self.kind}.expiring"

    def text(self, now: int) -> str:
        """One sentence: what ends when, and what is to be done."""
        day = datetime.fromtimestamp(self.ends / 1000, UTC).date()
        return f"{self.what} {'ended' if now >= self.ends else 'ends'} on {day}: {self.remedy}"

    def facts(self, now: int) -> dict[str, Any]:
        """For programs; `seconds_left` is below 0 once it has ended."""
        return {
            "kind": self.kind,
            "what": self.what,
            "ends": self.ends,
            "warns": self.warns,
            "seconds_left": (self.ends - now) // 1000,
        }


def soonest(expiries: Iterable[Expiry]) -> list[Expiry]:
    """The same, what ends first first."""
    return sorted(expiries, key=lambda each: (each.ends, each.what))


def warnings(expiries: Iterable[Expiry], now: int) -> list[str]:
    """A sentence for each that people must hear of."""
    return [each.text(now) for each in soonest(expiries) if each.is_due(now)]


def certificate_expiry(kind: Kind, what: str, data: bytes, remedy: str) -> Expiry | None:
    """When a certificate (PEM or DER) ends; None where it is none, which others complain about."""
    try:
        period = certificate_period(data)
    except Error:
        return None
    return Expiry(kind=kind, what=what, begins=period.begins, ends=period.ends, remedy=remedy)


def member_file_expiry(member: str, issued: int, expires: int) -> Expiry:
    """When a member file ends: signed again, it holds for another year."""
    return Expiry(
        kind="member-file",
        what=f"the file of {member}",
        begins=issued,
        ends=expires,
        remedy="its member signs it anew (qaztech member renew), or nobody takes its word any more",
    )


def authority_expiries(authorities: Iterable[str], tsas: Iterable[bytes]) -> list[Expiry]:
    """When the instance's authorities end: those of node certificates (PEM), those of timestamps (DER)."""
    found = [
        certificate_expiry(
            "authority", f"certificate authority {n} of the nodes", pem.encode(), "the registry adds one"
        )
        for n, pem in enumerate(authorities, 1)
    ]
    found += [
        certificate_expiry(
            "timestamping", f"timestamping authority {n}", der, "the registry makes an anchor with another"
        )
        for n, der in enumerate(tsas, 1)
    ]
    return [each for each in found if each is not None]


def file_expiries(files: Iterable[MemberFile]) -> list[Expiry]:
    """When these member files end."""
    return [member_file_expiry(str(f.member), f.statement.issued, f.statement.expires) for f in files]
