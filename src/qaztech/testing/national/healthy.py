"""A system as it should be: papers in order, money in proportion, people in their roles, used as declared."""

from __future__ import annotations

from datetime import timedelta
from math import exp
from typing import Any, Final

from qaztech.testing.national.drafts import MORATORIUM, Draft, digest, months_back, pseudonym
from qaztech.testing.national.texts import CAPITAL, Body, bodies, suppliers

_KINDS: Final = {"analytics": "data_product", "reports": "digital_resource"}
_STACKS: Final = (
    ("PostgreSQL 17", "Debian 13", "Java 21"),
    ("PostgreSQL 17", "Ubuntu 24.04", "Python 3.13"),
    ("PostgreSQL 16", "Ubuntu 24.04", "Java 21"),
    ("MySQL 8.4", "Debian 13", "PHP 8.4"),
)
_ROLES: Final = ("product_owner", "architect", "administrator", "security_officer")
# Systems of akimats that people use directly and where nobody counts calls.
_OF_PEOPLE: Final = frozenset({"volunteers", "tourism", "culture", "youth", "kindergarten", "sports"})
_OFFLINE: Final = frozenset({"trees"})
IN_SERVICE: Final = frozenset({"operation", "development", "modification"})


def make(draft: Draft, number: int, place: int) -> None:
    """Fill a draft: its own row, documents, money, contracts, roles, sign-ins.

    `number` is its place among all, `place` among those of its body.
    """
    system, chance = draft.system, draft.chance
    status = _status(draft, number)
    age = chance.randint(1200, 3600) if status in IN_SERVICE else chance.randint(110, 330)
    commissioned = age - chance.randint(380, 760)
    creation = round(exp(chance.gauss(19.2, 0.6)) / 100_000) * 100_000
    draft.object |= _described(draft)
    draft.object |= {
        "status": status,
        "status_since": draft.day(commissioned if status == "operation" else chance.randint(40, 200)),
        "created": draft.day(age),
        "initial_estimate": creation,
        "declared_users": chance.choice((300, 800, 1500, 4000, 12_000, 35_000)),
        "actualised": draft.day(chance.randint(5, 300)),
        "hosting": chance.choice(("own", "own", "qaztech", "commercial")),
    }
    _papers(draft, status, age, commissioned)
    _money(draft, age, commissioned, _suppliers(draft, place))
    for role in _ROLES:
        draft.add("roles", role=role, holder=pseudonym(system.body.id, role, str(number % 5)), since=draft.day(age))
    if status in IN_SERVICE:
        draft.object["result"] = ["service in operation", "paper form abolished"]
        _plans(draft, number)
        _sign_ins(draft)
    created = draft.today - timedelta(days=age)
    if created >= MORATORIUM and system.body.class_ in {"GOV", "QUASI"}:
        draft.object["hosting"] = "qaztech"


def _status(draft: Draft, number: int) -> str:
    """Most are in operation; some are still being made."""
    if draft.system.task == "real" or draft.system.more.get("holds"):
        return "operation"
    for every, status in ((23, "creation"), (29, "trial"), (31, "planning"), (13, "development"), (17, "modification")):
        if number % every == 0:
            return status
    return "operation"


def _described(draft: Draft) -> dict[str, Any]:
    system, chance = draft.system, draft.chance
    channel = "mixed" if system.task in {"permits", "applications", "subsidies", "real"} else "backbone"
    if system.task == "regional":
        channel = "people" if system.subject in _OF_PEOPLE else "offline" if system.subject in _OFFLINE else "mixed"
    names, purposes = system.names, system.purposes
    operator = bodies()["yurt"].bin if chance.random() < 0.4 else system.body.bin
    return {
        "kind": system.more.get("kind", _KINDS.get(system.task, "digital_system")),
        "name_kk": names.kk, "name_ru": names.ru, "name_en": names.en,
        "purpose_kk": purposes.kk, "purpose_ru": purposes.ru, "purpose_en": purposes.en,
        "owner_bin": system.body.bin, "holder_bin": system.body.bin, "operator_bin": operator,
        "area": system.area, "kato": system.body.kato, "legal_basis": [system.act], "functions": [system.function],
        "public_services": [f"PS-{system.function[3:]}"] if channel != "backbone" else [],
        "object_class": chance.choice((1, 2, 2, 3, 3)), "critical": chance.random() < 0.08,
        "subsystems": [] if channel in {"people", "offline"} else [system.subsystem], "use_channel": channel,
        "data_elements": list(system.data), "source_of_truth": bool(system.more.get("holds")),
        "personal_data": _personal(system.data), "data_location": CAPITAL,
        "stack": list(chance.choice(_STACKS)), "monolith": False, "source_code_deposited": True,
        "acquisition": "create", "disposition": chance.choice(("migrate", "migrate", "keep")),
        "ai": bool(system.more.get("ai")),
    }  # fmt: skip


def _personal(data: tuple[str, ...]) -> list[str]:
    words = {
        "iin": "identity",
        "pupil": "education",
        "student": "education",
        "vaccin": "health",
        "applicant": "contact",
    }
    return sorted({kind for word, kind in words.items() if any(word in element for element in data)})


def _papers(draft: Draft, status: str, age: int, commissioned: int) -> None:
    draft.document("concept", age + 20)
    if status == "planning":
        return
    draft.document("technical_assignment", age)
    draft.document("digital_conclusion", age - 20)
    draft.document("security_conclusion", age - 25)
    if status == "trial":
        begun = draft.chance.randint(40, 90)
        draft.document("trial_order", begun)
        draft.object["status_since"] = draft.day(begun)
    if status not in IN_SERVICE:
        return
    trial = commissioned + draft.chance.randint(90, 300)
    draft.document("trial_order", trial)
    draft.document("trial_act", commissioned + 40)
    draft.document("security_test", commissioned + 15)
    draft.document("commissioning_act", commissioned)
    if status == "modification":
        draft.document("modification_consent", 210)


def _money(draft: Draft, age: int, commissioned: int, supplied: tuple[str, str]) -> None:
    status, creation = draft.object["status"], draft.object["initial_estimate"]
    begun = draft.today - timedelta(days=age)
    if status == "planning":
        draft.cost(draft.today.year + 1, "creation", creation)
        return
    draft.cost(begun.year, "creation", creation * 0.4)
    draft.cost(begun.year + 1, "creation", creation * 0.6)
    maker, keeper = supplied
    service = draft.day(commissioned)
    draft.add(
        "contracts", id=f"DC-{draft.id[3:]}", supplier_bin=maker, subject="development", signed=draft.day(age - 30),
        ends=service, warranty_until=draft.day(commissioned - 366 - draft.chance.randint(0, 400)), tenge=creation,
    )  # fmt: skip
    if status not in IN_SERVICE:
        return
    since = draft.today - timedelta(days=commissioned)
    draft.upkeep(since, creation)
    _supported(draft, keeper)
    if status == "modification":
        draft.cost(draft.today.year - 1, "modification", creation * 0.07)
    if status == "development":
        draft.cost(draft.today.year, "development", creation * 0.3)


def _supported(draft: Draft, supplier: str) -> None:
    """A contract of support that goes on."""
    costs = [row["tenge"] for row in draft.tables["costs"] if row["kind"] == "support"]
    draft.add(
        "contracts", id=f"SC-{draft.id[3:]}", supplier_bin=supplier, subject="support",
        signed=draft.day(draft.chance.randint(60, 300)), ends=draft.day(-draft.chance.randint(130, 600)),
        warranty_until=None, tenge=costs[-2] if len(costs) > 1 else 9_000_000,
    )  # fmt: skip


def _suppliers(draft: Draft, place: int) -> tuple[str, str]:
    """Who made it and who keeps it: suppliers take turns among the systems of a body, so that none has most."""
    names = [bin_ for bin_, _ in suppliers()[2:]]
    turn = 2 * ((sum(map(ord, draft.system.body.id)) + place) % (len(names) // 2))
    return names[turn], names[turn + 1]


def _plans(draft: Draft, number: int) -> None:
    """Milestones that were kept, and a move to the platform that is possible."""
    if number % 4 == 0:
        for name, ago in (("first release", 400), ("all regions", 150)):
            due, budget = draft.day(ago), 20_000_000 + 1_000_000 * (number % 30)
            draft.add(
                "milestones", name=name, version=1, due=due, budget=budget,
                done=draft.day(ago - draft.chance.randint(-20, 90)), recorded=draft.day(ago + 300),
            )  # fmt: skip
    if draft.object["disposition"] == "migrate":
        target = draft.day(-draft.chance.randint(200, 420))
        draft.object["disposition_due"] = target
        team = draft.chance.randint(3, 8)
        draft.add("migration", person_days_left=team * draft.chance.randint(20, 90), team=team, target=target)


def _sign_ins(draft: Draft) -> None:
    """What the identity provider signed for, where people use it."""
    if draft.object["use_channel"] not in {"people", "mixed"}:
        return
    users = draft.object["declared_users"]
    for month in months_back(draft.today, 12):
        share = draft.chance.uniform(0.35, 0.9)
        draft.add("signals", month=month, sign_ins=round(users * share), signed_by=bodies()["yurt"].bin)


def organisation(body: Body) -> dict[str, Any]:
    """The row of a body."""
    return {
        "bin": body.bin, "class": body.class_, "name_kk": body.names.kk, "name_ru": body.names.ru,
        "name_en": body.names.en, "kind": body.kind, "parent_bin": body.parent, "kato": body.kato, "area": body.area,
    }  # fmt: skip


def components(draft: Draft) -> None:
    """The part of its software that was delivered last."""
    if contracts := draft.tables["contracts"]:
        draft.add(
            "components", component="core", fingerprint=digest(draft.system.id, "core"),
            supplier_bin=contracts[0]["supplier_bin"],
        )  # fmt: skip
