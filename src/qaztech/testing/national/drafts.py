"""A system's record while it is being made: values by table, days counted from the day of the sample."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from datetime import date, timedelta
from hashlib import sha256
from random import Random
from typing import Any, Final

from qaztech.testing.national.texts import System

Values = dict[str, Any]
# A state body that begins something from then on does so on the platform.
MORATORIUM: Final = date(2026, 1, 1)
SEED: Final = "national sample 1"


class Draft:
    """The rows of one object. `object` are the values of its own row; `tables` those of the others."""

    def __init__(self, number: int, system: System, today: date) -> None:
        self.system = system
        self.today = today
        self.chance = Random(f"{SEED}/{system.id}")  # noqa: S311 - a sample, not a secret
        self.object: Values = {"id": f"ns-{number:04d}"}
        self.tables: defaultdict[str, list[Values]] = defaultdict(list)
        self.planted: set[str] = set()

    @property
    def id(self) -> str:
        """The object's id."""
        return str(self.object["id"])

    def day(self, ago: int) -> str:
        """The day so many days ago (negative: to come)."""
        return (self.today - timedelta(days=ago)).isoformat()

    def add(self, table: str, **values: Any) -> None:
        """One more row of a table, of this object."""
        self.tables[table].append({"object": self.id, **values})

    def drop(self, table: str, keep: Callable[[Values], bool] = lambda _: False) -> None:
        """Take away the rows of a table but those to be kept."""
        self.tables[table] = [row for row in self.tables[table] if keep(row)]

    def document(self, kind: str, ago: int, until: str | None = None) -> None:
        """A document that many days old."""
        self.add(
            "documents", type=kind, number=f"{kind[:2].upper()}-{self.id[3:]}", date=self.day(ago), valid_until=until,
            sha256=digest(self.system.id, kind),
        )  # fmt: skip

    def cost(self, year: int, kind: str, tenge: float) -> None:
        """Money of a year: spent, or planned where the year is not over. Whole ten thousands of tenge."""
        state = "paid" if year < self.today.year else "planned"
        programme = f"{1 + sum(map(ord, self.system.body.id)) % 60:03d}"
        whole = max(10_000, round(tenge / 10_000) * 10_000)
        self.add("costs", year=year, kind=kind, tenge=whole, programme=programme, state=state)

    def upkeep(self, begun: date, creation: int) -> None:
        """Support, hosting and licences of the last two years, this one and the next."""
        shares = self.chance.uniform(0.06, 0.14), self.chance.uniform(0.02, 0.04), self.chance.uniform(0.005, 0.03)
        for year in range(max(begun.year, self.today.year - 2), self.today.year + 2):
            growth = 1.06 ** (year - self.today.year)
            for kind, share in zip(("support", "hosting", "licences"), shares, strict=True):
                self.cost(year, kind, creation * share * growth)


def digest(*parts: str) -> str:
    """A SHA-256 (hex) that stands for a file that nobody has."""
    return sha256("/".join((SEED, *parts)).encode()).hexdigest()


def pseudonym(*parts: str) -> str:
    """A pseudonym of a person whom nobody is."""
    return f"p-{digest(*parts)[:8]}"


def months_back(today: date, count: int) -> Sequence[str]:
    """The full months before a day's, YYYY-MM, the oldest first."""
    last = today.year * 12 + today.month - 2
    return [f"{number // 12:04d}-{number % 12 + 1:02d}" for number in range(last - count + 1, last + 1)]
