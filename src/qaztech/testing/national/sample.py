"""The sample as a whole: rows of every table, hours of calls, and what was planted, for one day.

    made = national_sample(date(2026, 11, 23))

Half a second of work for some 340 systems. The hours are told as patterns, which `hours` writes to Parquet.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from typing import Any

from qaztech.core.bin import reserved_bin
from qaztech.testing.national.drafts import Draft
from qaztech.testing.national.healthy import components, make, organisation
from qaztech.testing.national.links import Hourly, Link, make_links, real_links
from qaztech.testing.national.planted import Planted, plant
from qaztech.testing.national.texts import Body, Words, bodies, suppliers, systems

SOURCE = "national sample"


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """Rows as (table, values by column), patterns of calls, and ids of objects planted for each detector."""

    rows: tuple[tuple[str, dict[str, Any]], ...]
    hourly: tuple[Hourly, ...]
    planted: Planted


def embedded_bodies() -> dict[str, Body]:
    """The three organisations of the embedded country, by their names there."""
    told = (
        ("ministry", 1, "GOV", "ministry", "administration", "Рұқсаттар министрлігі (үлгі)",
         "Министерство разрешений (пример)", "Ministry of Permits (demo)"),
        ("registers", 2, "QUASI", "company", "administration", "Тізілімдер орталығы (үлгі)",
         "Центр регистров (пример)", "Centre of Registers (demo)"),
        ("university", 3, "EDU", "university", "education", "Дала университеті (үлгі)",
         "Степной университет (пример)", "Steppe University (demo)"),
    )  # fmt: skip
    return {
        id_: Body(
            id=id_, bin=reserved_bin(serial), class_=class_, kind=kind, names=Words(kk=kk, ru=ru, en=en), area=area
        )
        for id_, serial, class_, kind, area, kk, ru, en in told
    }


def national_sample(today: date) -> Sample:
    """The sample as it is on a day."""
    embedded = embedded_bodies()
    drafts = [Draft(number, system, today) for number, system in enumerate(systems(embedded), 1)]
    places: Counter[str] = Counter()
    for number, draft in enumerate(drafts, 1):
        make(draft, number, places[draft.system.body.id])
        components(draft)
        places[draft.system.body.id] += 1
    links = [*make_links(drafts), *real_links(drafts)]
    work = plant(drafts, links, today)
    hourly = [link.hourly for link in links if link.seen]
    return Sample(
        rows=tuple(_rows(embedded, drafts, links)),
        hourly=(*hourly, *work.hourly, *_before(drafts)),
        planted=work.planted,
    )


def _before(drafts: list[Draft]) -> Iterator[Hourly]:
    """What two links that exchange for real had each night of the half year before.

    Without it their organisations would be seen only since they deliver, some minutes.
    """
    of = {draft.system.id: draft.system for draft in drafts}
    for consumer in ("permits", "research"):
        yield Hourly(client=of[consumer].subsystem, service=of["codes"].service, calls=2, pattern="night")


def _rows(embedded: dict[str, Body], drafts: list[Draft], links: list[Link]) -> Iterator[tuple[str, dict[str, Any]]]:
    for body in (*embedded.values(), *bodies().values()):
        yield "organisations", organisation(body)
    for number, (bin_, names) in enumerate(suppliers()):
        yield (
            "organisations",
            {"bin": bin_, "class": "COM", "name_kk": names.kk, "name_ru": names.ru, "name_en": names.en,
             "kind": "supplier", "kato": "710000000"},
        )  # fmt: skip
        if number < 2:
            yield "affiliations", {"supplier_bin": bin_, "group": "Tulpar"}
    declared = [link for link in links if link.declared]
    _take_from_registers(declared)
    called = {link.provider.id for link in declared}
    for draft in drafts:
        yield "objects", draft.object
        for table, rows in draft.tables.items():
            for row in rows:
                yield table, row
        if draft.id in called and draft.system.service:
            fields = list(draft.system.data)
            yield "interfaces", {"object": draft.id, "service": draft.system.service, "fields": fields}
    for number, link in enumerate(declared, 1):
        yield "integrations", link.integration(number)


def _take_from_registers(links: list[Link]) -> None:
    """Say at each consumer what it takes from registers."""
    for link in links:
        if link.provider.object.get("source_of_truth") and link.channel == "gateway":
            taken = link.consumer.object.setdefault("register_data", [])
            taken += [f"{link.provider.id}:{element}" for element in link.provider.system.data[:2]]
