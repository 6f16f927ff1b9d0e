"""Bodies and systems of the sample as they are written in the JSON files beside this: names, purposes, what they hold.

Each system is one of four kinds: a task for a subject of a national body (`subjects.json` with `tasks.json`), a task of
an akimat (`regional.json`), one with a fate of its own (`special.json`), or one that exchanges for real (`real.json`).
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, Final

from qaztech.core.bin import reserved_bin

HERE: Final = Path(__file__).parent
INSTANCE: Final = "KZ"
FIRST_BODY: Final = 60_000
FIRST_SUPPLIER: Final = 60_500
CAPITAL: Final = "710000000"
# Two akimats that made for themselves what the others have as parts of a single system.
ALONE: Final = ("taxibus-27", "taxibus-43")
# How many of the regional systems an akimat has.
OF_AKIMAT: Final = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Words:
    """A text in three languages."""

    kk: str
    ru: str
    en: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Body:
    """A body that owns systems. `id` is a word of ours, `class_` its member class."""

    id: str
    bin: str
    class_: str
    kind: str
    names: Words
    area: str
    kato: str = CAPITAL
    parent: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class System:
    """What a system is for. `task` groups systems of like work, `subject` those of one matter; `more` is its fate."""

    id: str
    body: Body
    names: Words
    purposes: Words
    area: str
    data: tuple[str, ...]
    task: str
    subject: str
    function: str
    act: str
    subsystem: str
    service: str
    more: dict[str, Any] = field(default_factory=dict)


_PART: Final = Words(
    kk="Әкімдіктердің бірыңғай жүйесінің өңірлік бөлігі болып табылады.",
    ru="Является региональной частью единой системы акиматов.",
    en="It is the regional part of a single system of the akimats.",
)
# What systems of a task hold beside what their subject's register holds.
_OWN_DATA: Final = {
    "register": (),
    "permits": ("permit_no", "applicant_bin", "decision", "valid_until"),
    "monitoring": ("alarm_no", "measured_value", "threshold", "told_to"),
    "analytics": ("indicator", "district", "forecast_value", "confidence"),
    "applications": ("request_no", "applicant_code", "executor", "answered_on"),
    "inspections": ("visit_no", "risk_score", "violation_kind", "order_due"),
    "subsidies": ("claim_no", "claimed_sum", "payment_order", "refusal_ground"),
    "reports": ("form_no", "quarter", "respondent_bin", "error_count"),
}


def _read(name: str) -> Any:
    return json.loads((HERE / f"{name}.json").read_text(encoding="utf-8"))


def _words(entry: dict[str, str], prefix: str = "") -> Words:
    return Words(kk=entry[f"{prefix}kk"], ru=entry[f"{prefix}ru"], en=entry[f"{prefix}en"])


@cache
def bodies() -> dict[str, Body]:
    """Every fictitious body by our word for it; those of the embedded country are not among them."""
    held = _read("bodies")
    entries = [(entry, "GOV", "ministry") for entry in held["ministries"]]
    entries += [(entry, "GOV", "committee") for entry in held["committees"]]
    entries += [(entry, "QUASI", entry["kind"]) for entry in held["companies"]]
    entries += [(entry, "EDU", "university") for entry in held["universities"]]
    found: dict[str, Body] = {}
    for number, (entry, class_, kind) in enumerate(entries):
        parent = entry.get("parent")
        found[entry["id"]] = Body(
            id=entry["id"], bin=reserved_bin(FIRST_BODY + number), class_=class_, kind=kind, names=_words(entry),
            area=entry["area"], parent=found[parent].bin if parent else None,
        )  # fmt: skip
    for number, body in enumerate(_akimats(), len(entries)):
        found[body["id"]] = Body(
            id=body["id"], bin=reserved_bin(FIRST_BODY + number), class_="GOV", kind="akimat", names=body["names"],
            area="administration", kato=body["kato"],
        )  # fmt: skip
    return found


def _akimats() -> list[dict[str, Any]]:
    regions = {region["code"]: region for region in _regions()}
    found = []
    for code, genitive in _read("regional")["akimats_ru"].items():
        names = Words(
            kk=f"{regions[code]['kk']}ның әкімдігі (үлгі)",
            ru=f"Акимат {genitive} (пример)",
            en=f"Akimat of {regions[code]['en']} (demo)",
        )
        found.append({"id": f"akimat-{code}", "names": names, "kato": f"{code}0000000"})
    return found


@cache
def _regions() -> list[dict[str, Any]]:
    from qaztech.hub.register.kato import FILE  # noqa: PLC0415  # its path alone

    regions: list[dict[str, Any]] = json.loads(FILE.read_text(encoding="utf-8"))["regions"]
    return regions


def suppliers() -> list[tuple[str, Words]]:
    """BIN and names of the fictitious suppliers; the first two are affiliated."""
    return [
        (reserved_bin(FIRST_SUPPLIER + number), _words(entry))
        for number, entry in enumerate(_read("bodies")["suppliers"])
    ]


def systems(embedded: dict[str, Body]) -> list[System]:
    """Every system of the sample, those of the embedded organisations (by their word) first, always in one order."""
    return [*_real(embedded), *_special(), *_national(), *_regional()]


def _subsystem(body: Body, code: str) -> str:
    return f"{INSTANCE}/{body.class_}/{body.bin}/{code}"


def real_entries() -> list[dict[str, Any]]:
    """The systems that exchange for real, as written: member, system, service and the table behind it."""
    entries: list[dict[str, Any]] = _read("real")
    return entries


def _real(embedded: dict[str, Body]) -> list[System]:
    found = []
    for number, entry in enumerate(real_entries()):
        body = embedded[entry["member"]]
        subsystem = _subsystem(body, entry["system"])
        found.append(
            System(
                id=entry["id"], body=body, names=_words(entry), purposes=_words(entry, "p"), area=entry["area"],
                data=tuple(entry["data"].split(";")), task="real", subject=entry["id"],
                function=f"SF-{950 + number}", act=f"DEMO-95:{number + 1}", subsystem=subsystem,
                service=f"{subsystem}/{entry['service']}" if "service" in entry else "", more=entry,
            )
        )  # fmt: skip
    return found


def _special() -> list[System]:
    found = []
    for entry in _read("special"):
        body = bodies()[entry["owner"]]
        subsystem = _subsystem(body, entry["id"])
        found.append(
            System(
                id=entry["id"], body=body, names=_words(entry), purposes=_words(entry, "p"), area=entry["area"],
                data=tuple(entry["data"].split(";")), task="special", subject=entry["id"],
                function=entry["function"], act=f"DEMO-{entry['function'][3:]}:4", subsystem=subsystem,
                service=f"{subsystem}/v1", more=entry,
            )
        )  # fmt: skip
    return found


def _national() -> list[System]:
    tasks, found = _read("tasks"), []
    for number, subject in enumerate(_read("subjects"), 1):
        body = bodies()[subject["owner"]]
        for place, task in enumerate(subject["tasks"]):
            code = f"{subject['id']}-{task}"
            subsystem = _subsystem(body, code)
            holds = place == 0
            found.append(
                System(
                    id=code, body=body, area=body.area, task=task, subject=subject["id"],
                    names=_filled(tasks[task]["name"], subject),
                    purposes=_joined(_filled(tasks[task]["purpose"], subject), _detail(subject, place)),
                    data=tuple(subject["data"].split(";")) if holds else _OWN_DATA[task],
                    function=f"SF-{number:03d}{'ABCDEFGH'[list(tasks).index(task)]}",
                    act=f"DEMO-{number}:{place + 3}", subsystem=subsystem, service=f"{subsystem}/v1",
                    more={"holds": holds},
                )
            )  # fmt: skip
    return found


def _detail(subject: dict[str, Any], place: int) -> Words:
    """What is told of this system alone."""
    return Words(kk=subject["kk"][place], ru=subject["rus"][place], en=subject["eng"][place])


def _joined(one: Words, other: Words) -> Words:
    return Words(kk=f"{one.kk} {other.kk}", ru=f"{one.ru} {other.ru}", en=f"{one.en} {other.en}")


def _filled(pattern: dict[str, str], subject: dict[str, Any]) -> Words:
    kazakh = {"nom": subject["nom"], "gen": subject["gen"]}
    texts = (
        pattern["kk"].format(**kazakh),
        pattern["ru"].format(gen=subject["ru"]),
        pattern["en"].format(en=subject["en"]),
    )
    return Words(kk=_capital(texts[0]), ru=_capital(texts[1]), en=_capital(texts[2]))


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def _regional() -> list[System]:
    entries = _read("regional")["systems"]
    akimats = [body for body in bodies().values() if body.kind == "akimat"]
    regions = {region["code"]: region for region in _regions()}
    found = []
    for place, body in enumerate(akimats):
        region = regions[body.kato[:2]]
        for step in range(OF_AKIMAT):
            entry = entries[(place * 3 + step * 7) % len(entries)]
            code = f"{entry['id']}-{body.kato[:2]}"
            subsystem = _subsystem(body, code)
            number, own = entries.index(entry) + 1, _words(entry, "p")
            purposes = own if code in ALONE else _joined(own, _PART)
            found.append(
                System(
                    id=code, body=body, area=entry["area"], task="regional", subject=entry["id"],
                    names=Words(
                        kk=f"{entry['kk']}, {region['kk']}", ru=f"{entry['ru']}, {region['ru']}",
                        en=f"{entry['en']}, {region['en']}",
                    ),
                    purposes=purposes, data=tuple(entry["data"].split(";")),
                    function=f"SF-R{number:02d}", act=f"DEMO-{800 + number}:2", subsystem=subsystem,
                    service=f"{subsystem}/v1",
                )
            )  # fmt: skip
    return found
