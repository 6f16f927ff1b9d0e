"""What detectors read from a case again and again: facts with their sources, days, money of a year, who is in life.

Not here: any rule. Money is whole tenge; days are those of the record.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from datetime import date
from typing import Final

from qaztech.hub.detectors.finding import Case, Fact
from qaztech.hub.register.law import Law
from qaztech.hub.register.rows import (
    NAMES,
    Cost,
    CostKind,
    CostState,
    DigitalObject,
    Document,
    DocumentType,
    Organisation,
    OrganisationClass,
    OrganisationKind,
    Row,
    Status,
)
from qaztech.hub.register.snapshot import Register

IN_SERVICE: Final = frozenset({Status.COMMISSIONED, Status.OPERATION, Status.DEVELOPMENT, Status.MODIFICATION})
BEFORE_SERVICE: Final = frozenset({Status.PLANNING, Status.CREATION, Status.TRIAL, Status.SECURITY_TESTS})
ENDED: Final = frozenset({Status.CEASED, Status.ARCHIVED, Status.WRITTEN_OFF})
UPKEEP: Final = frozenset({CostKind.SUPPORT, CostKind.HOSTING, CostKind.LICENCES})
INVESTMENT: Final = frozenset({CostKind.CREATION, CostKind.DEVELOPMENT, CostKind.MODIFICATION})


def fact(what: str, value: str | int | date, row: Row, field: str, as_of: date | None = None) -> Fact:
    """A fact that stands in a field of a row."""
    told = value.isoformat() if isinstance(value, date) else value
    known = as_of or (row.actualised if isinstance(row, DigitalObject) else None)
    return Fact(what=what, value=told, source=f"{NAMES[type(row)]}/{row.key}/{field}", as_of=known)


def law_fact(law: Law, name: str, today: date) -> Fact:
    """A limit or a date of the law data that a rule measures by."""
    value = law.value(name, today)
    if value is None:
        return Fact(what=name, value="", source=f"law/{name}")
    told: str | int = value.number if value.number is not None else str(value.day)
    return Fact(what=name, value=told, source=f"law/{name}", as_of=value.since)


def limit(case: Case, name: str) -> int:
    """A limit in force today. Raises `KeyError` where the law data have none: a rule without its limit says nothing."""
    number = case.law.number(name, case.today)
    if number is None:
        raise KeyError(name)
    return number


def objects(case: Case) -> Iterator[DigitalObject]:
    """All objects in the order of their ids."""
    for id_ in sorted(case.register.objects):
        yield case.register.objects[id_]


def in_life(object_: DigitalObject) -> bool:
    """Whether an object is neither ceased nor archived nor written off; what is not declared does not end a life."""
    return object_.status not in ENDED


def in_service(object_: DigitalObject) -> bool:
    """Whether an object is commissioned and works."""
    return object_.status in IN_SERVICE


def documents(register: Register, object_: DigitalObject, kind: DocumentType) -> list[Document]:
    """An object's documents of one type, the earliest first, those without a date last."""
    found = [document for document in register.of(Document, object_.id) if document.type is kind]
    return sorted(found, key=lambda document: (document.date or date.max, document.number))


def first_day(found: Iterable[Document]) -> tuple[date, Document] | None:
    """The earliest date among documents, with its document."""
    dated = [(document.date, document) for document in found if document.date is not None]
    return min(dated, key=lambda pair: pair[0], default=None)


def service_begun(register: Register, object_: DigitalObject) -> Fact | None:
    """The day from which an object has been in service: the commissioning act's, else that of its status."""
    if found := first_day(documents(register, object_, DocumentType.COMMISSIONING_ACT)):
        return fact("commissioned", found[0], found[1], "date", found[0])
    if object_.status_since is not None and object_.status in IN_SERVICE:
        return fact("status_since", object_.status_since, object_, "status_since")
    return None


def day_of(told: Fact) -> date:
    """The day that a fact tells."""
    return date.fromisoformat(str(told.value))


def spent(costs: Iterable[Cost]) -> list[Cost]:
    """What was or will be spent: where money of one year and kind is both planned and paid, the paid counts.

    Money whose state is not declared counts as paid: bodies send what they spent.
    """
    paid: defaultdict[tuple[int, CostKind], list[Cost]] = defaultdict(list)
    planned: defaultdict[tuple[int, CostKind], list[Cost]] = defaultdict(list)
    for cost in costs:
        (planned if cost.state is CostState.PLANNED else paid)[cost.year, cost.kind].append(cost)
    return [cost for place in sorted({*paid, *planned}) for cost in paid.get(place) or planned[place]]


def paid(costs: Iterable[Cost]) -> list[Cost]:
    """What was spent."""
    return [cost for cost in costs if cost.state is not CostState.PLANNED and cost.tenge > 0]


def money(costs: Iterable[Cost], what: str = "cost") -> tuple[int, tuple[Fact, ...]]:
    """The sum of costs, and a fact for each that is not zero."""
    counted = [cost for cost in costs if cost.tenge > 0]
    return sum(cost.tenge for cost in counted), tuple(fact(what, cost.tenge, cost, "tenge") for cost in counted)


def upkeep(case: Case, object_: DigitalObject) -> tuple[int, tuple[Fact, ...]]:
    """What a year of an object costs: support, hosting and licences of the last full year, else of this or the next.

    Zero with no facts where no such money is declared for these years.
    """
    costs = [cost for cost in case.register.of(Cost, object_.id) if cost.kind in UPKEEP]
    for year in (case.today.year - 1, case.today.year, case.today.year + 1):
        total, facts = money(spent(cost for cost in costs if cost.year == year), "upkeep")
        if total:
            return total, facts
    return 0, ()


def invested(case: Case, object_: DigitalObject) -> tuple[int, tuple[Fact, ...]]:
    """What was paid to make an object and to change it."""
    return money(paid(c for c in case.register.of(Cost, object_.id) if c.kind in INVESTMENT), "invested")


def organisation_of(register: Register, object_: DigitalObject) -> Organisation | None:
    """The owner's row."""
    return register.organisations.get(object_.owner_bin or "")


def of_state(register: Register, object_: DigitalObject) -> bool:
    """Whether the owner is a state or quasi-state body: by its class, else by what it is."""
    owner = organisation_of(register, object_)
    if owner is None:
        return False
    if owner.class_ is None:
        return owner.kind in {OrganisationKind.MINISTRY, OrganisationKind.COMMITTEE, OrganisationKind.AKIMAT}
    return owner.class_ in {OrganisationClass.GOV, OrganisationClass.QUASI}


def months_back(today: date, count: int) -> list[str]:
    """The full months before today's, YYYY-MM, the oldest first."""
    last = today.year * 12 + today.month - 2
    return [f"{number // 12:04d}-{number % 12 + 1:02d}" for number in range(last - count + 1, last + 1)]


def years_before(today: date, years: int) -> date:
    """The same day some years ago; 29 February becomes 28."""
    day = 28 if (today.month, today.day) == (2, 29) else today.day
    return today.replace(year=today.year - years, day=day)
