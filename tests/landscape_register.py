"""A small country for the landscape: nine systems of four bodies, with a gap of each kind, and hours of its traffic."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from qaztech.core.bin import reserved_bin
from qaztech.hub.register.store import Edit

MINISTRY, TAX, AKIMAT, STRANGER = (reserved_bin(number) for number in (61_001, 61_002, 61_003, 61_004))
UNREGISTERED = f"unregistered:KZ/GOV/{STRANGER}/shadow"


def subsystem(owner: str, code: str) -> str:
    """A system's identity on the backbone."""
    return f"KZ/GOV/{owner}/{code}"


def _body(bin_: str, names: tuple[str, str, str], kato: str, area: str) -> dict[str, Any]:
    kk, ru, en = names
    return {"bin": bin_, "class": "GOV", "name_kk": kk, "name_ru": ru, "name_en": en, "kato": kato, "area": area}


BODIES = [
    _body(MINISTRY, ("Үлгі министрлігі", "Министерство образцов", "Ministry of Samples"), "710000000", "health"),
    _body(TAX, ("Салық комитеті (үлгі)", "Комитет доходов (пример)", "Revenue Committee"), "710000000", "economy"),
    _body(AKIMAT, ("Абай әкімдігі (үлгі)", "Акимат Абая (пример)", "Akimat of Abai"), "100000000", "smart_city"),
]
# A name that must stay text wherever it is shown.
HOSTILE = "Archive <img src=x onerror=alert(1)>"
SYSTEMS = [
    ("people", MINISTRY, "Адамдар тізілімі", "Реестр людей", "Register of people"),
    ("houses", MINISTRY, "Үйлер тізілімі", "Реестр домов", "Register of houses"),
    ("tax", TAX, "Салық есебі", "Учёт налогов", "Tax accounts"),
    ("income", TAX, "Табыс анықтамасы", "Справка о доходах", "Proof of income"),
    ("benefits", AKIMAT, "Жәрдемақылар", "Пособия", "Benefits"),
    ("school", AKIMAT, "Мектепке жазылу", "Запись в школу", "School places"),
    ("parking", AKIMAT, "Тұрақтар", "Парковки", "Parking"),
    ("archive", MINISTRY, "Мұрағат", "Архив", HOSTILE),
]
# Provider, consumer, elements, channel.
INTEGRATIONS = [
    ("people", "tax", ["iin"], "gateway"),
    ("people", "benefits", ["iin", "address"], "gateway"),
    ("people", "school", ["iin"], "direct"),
    ("houses", "school", ["address"], "gateway"),
    ("tax", "income", ["income"], "gateway"),
    ("income", "benefits", ["income"], "gateway"),
]
# Provider, client's subsystem or system, calls an hour.
SEEN = [("people", "tax", 40), ("people", "benefits", 9), ("tax", "income", 3), ("houses", "parking", 5)]


def edits() -> list[Edit]:
    """The register as one batch."""
    owners = {id_: owner for id_, owner, *_ in SYSTEMS}
    found = [Edit(table="organisations", values=body) for body in BODIES]
    for id_, owner, kk, ru, en in SYSTEMS:
        values: dict[str, Any] = {
            "id": id_, "kind": "digital_system", "name_kk": kk, "name_ru": ru, "name_en": en, "owner_bin": owner,
            "status": "operation", "subsystems": [subsystem(owner, id_)], "use_channel": "backbone",
        }  # fmt: skip
        if id_ == "people":
            values |= {"source_of_truth": True, "data_elements": ["iin", "address"]}
        if id_ == "benefits":
            values |= {"public_services": ["GS-7"]}
        found.append(Edit(table="objects", values=values))
        found.append(
            Edit(
                table="costs",
                values={"object": id_, "year": 2026, "kind": "support", "tenge": 90_000_000, "state": "paid"},
            )
        )
    for provider, consumer, elements, channel in INTEGRATIONS:
        values = {
            "id": f"{provider}-{consumer}", "provider_object": provider, "consumer_object": consumer,
            "service": f"{subsystem(owners[provider], provider)}/data", "channel": channel, "status": "active",
            "elements": elements,
        }  # fmt: skip
        found.append(Edit(table="integrations", values=values))
    return found


def hours(path: Path) -> Path:
    """A Parquet file of traffic of three months; one caller stands in no record."""
    import duckdb

    owners = {id_: owner for id_, owner, *_ in SYSTEMS}
    flows = [(subsystem(owners[p], p), subsystem(owners[c], c), calls) for p, c, calls in SEEN]
    flows.append((subsystem(MINISTRY, "people"), UNREGISTERED.partition(":")[2], 2))
    rows = [
        f"(TIMESTAMP '2026-{month:02}-{day:02} 08:00:00', '{client}', '{provider}/data', {calls + month}, 1, 1000)"
        for month in (7, 8, 9)
        for day in (3, 10, 24)
        for provider, client, calls in flows
        if month != 8 or client.endswith("tax")
    ]
    with duckdb.connect() as db:
        db.execute(
            f"COPY (SELECT * FROM (VALUES {', '.join(rows)}) AS t(hour, client, service, calls, failed, bytes)) "
            f"TO '{path}' (FORMAT parquet)"
        )
    return path
