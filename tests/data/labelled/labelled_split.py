"""One split as it is built: an innocent record for every written system, then what a plan changes and labels.

The innocent record is lawful and dull for all detectors, with the gaps real registers have (dates, stacks and
hosting not declared). A plan then makes cases by plain changes, so that every fact of a case stands in the plan.
"""

# ruff: noqa: PLR0917 -- rows of a plan read best by position
from __future__ import annotations

import hashlib
import random
from pathlib import Path
from typing import Any

from labelled_columns import COLUMNS, OPERATING, PAIRS
from labelled_texts import Written, read_bodies, read_pairs, read_systems
from labelled_traffic import FIRST_HOUR, Row, traffic_of

from qaztech.core.bin import reserved_bin

MONTHS = [f"2025-{m:02d}" for m in (11, 12)] + [f"2026-{m:02d}" for m in range(1, 11)]
STACKS = (
    "PostgreSQL 17;Java 21;nginx 1.28",
    "PostgreSQL 16;Python 3.12;Ubuntu 24.04",
    "Oracle Database 19c;Java 17;RHEL 9",
    "postgres 16;.NET 10;Windows Server 2022",
    "MS SQL Server 2022;.NET 10;Windows Server 2022",
    "PostgreSQL 17;Go 1.25;Kubernetes 1.34",
    "ClickHouse 25.8;Python 3.13",
    "JAVA 21 LTS;Postgresql 16.4;Astra Linux 1.8",
    "PHP 8.4;MariaDB 11.8;Debian 13",
    "",
)
RESULTS = (
    "module of applications in use;training of 40 users",
    "system delivered in full",
    "act of acceptance;source code deposited",
    "three modules delivered",
    "қызмет іске қосылды",
    "система внедрена, акт приёмки",
)
ELEMENTS = (
    "application.number", "application.date", "applicant.name", "decision.text", "decision.date", "district",
    "coordinates", "photo", "inspector.name", "act.number", "sum.tenge", "payment.date", "contract.number", "quantity",
    "unit", "period", "schedule", "note", "file.hash", "phone", "status", "reason", "organisation.name", "year",
)  # fmt: skip
SUBJECTS = (
    "Сопровождение системы",
    "Жүйені техникалық қолдау",
    "Support and maintenance",
    "Услуги по сопровождению ПО",
)


def _date(rng: random.Random, first_year: int, last_year: int) -> str:
    return f"{rng.randint(first_year, last_year)}-{rng.randint(1, 12):02d}-{rng.randint(1, 28):02d}"


def _article(rng: random.Random) -> str:
    return f"V{1100000000 + 13579 * rng.randint(1, 60)}:{rng.randint(1, 60)}"


def _elements(rng: random.Random, system: Written) -> str:
    """The written elements, or now and then some that any register may hold."""
    some = ";".join(rng.sample(ELEMENTS, rng.randint(2, 5))) if rng.random() < 0.4 else ""
    return system.options["e"].replace(",", ";") if "e" in system.options else some


class Split:
    """The tables, the traffic and the labels of one split."""

    def __init__(self, *, name: str, folder: Path, first_bin: int, first_object: int) -> None:
        self.name = name
        self.rng = random.Random(f"labelled/{name}")
        self.tables: dict[str, list[dict[str, Any]]] = {table: [] for table in COLUMNS}
        self.bodies: dict[str, dict[str, Any]] = {}
        self.objects: dict[str, dict[str, Any]] = {}
        self.traffic: list[Row] = []
        self.labels: list[dict[str, Any]] = []
        self._read_bodies(folder / "bodies.txt", first_bin)
        systems: list[Written] = []
        pairs = []
        for path in sorted(folder.glob("systems*.txt")):
            systems += read_systems(path)
        for path in sorted(folder.glob("pairs*.txt")):
            pairs += read_pairs(path)
        for pair in pairs:
            systems += pair.systems
        numbers = list(range(first_object, first_object + len(systems)))
        self.rng.shuffle(numbers)
        for system, number in zip(systems, numbers, strict=True):
            self._innocent(system, number)
        self._contracts_of_bodies()
        for position, pair in enumerate(pairs):
            keys = [system.key for system in pair.systems]
            self._share(keys, pair.shared, position)
            self.label(pair.detector, pair.kind, keys, pair.why)

    # The innocent record.

    def _read_bodies(self, path: Path, first_bin: int) -> None:
        for offset, row in enumerate(read_bodies(path)):
            key, class_, kind, parent, kato, area, kk, ru, en = row
            self.bodies[key] = {
                "bin": reserved_bin(first_bin + offset),
                "class": class_,
                "name_kk": kk,
                "name_ru": ru,
                "name_en": en,
                "kind": kind,
                "parent_bin": parent,
                "kato": kato,
                "area": area,
            }
        for body in self.bodies.values():
            body["parent_bin"] = self.bodies[body["parent_bin"]]["bin"] if body["parent_bin"] else ""
        self.tables["organisations"] = list(self.bodies.values())
        self.suppliers = [key for key, body in self.bodies.items() if body["kind"] == "supplier"]

    def _innocent(self, system: Written, number: int) -> None:
        rng, owner = self.rng, self.bodies[system.owner]
        if system.key in self.objects:
            raise ValueError(system.key)
        estimate = rng.randrange(40, 900) * 1_000_000
        since = _date(rng, 2013, 2023)
        record: dict[str, Any] = dict.fromkeys(COLUMNS["objects"].split(), "")
        record |= system.texts
        record |= {
            "id": f"ds-{number:06d}",
            "kind": system.kind,
            "owner_bin": owner["bin"],
            "holder_bin": rng.choice((owner["bin"], "")),
            "operator_bin": rng.choice((owner["bin"], "", owner["parent_bin"])),
            "area": owner["area"],
            "kato": owner["kato"],
            "functions": system.options.get("f", f"{owner['area'].upper()}-{rng.randint(1, 60):03d}"),
            "public_services": system.options.get(
                "s", f"PS-9{rng.randrange(100_000):05d}" if rng.random() < 0.3 else ""
            ),
            "legal_basis": _article(rng) if rng.random() < 0.6 else "",
            "data_elements": _elements(rng, system),
            "object_class": rng.choice(("1", "2", "2", "3", "3", "")),
            "critical": rng.choice(("no", "no", "no", "yes", "")),
            "created": f"{int(since[:4]) - 2}{since[4:]}" if rng.random() < 0.85 else "",
            "use_channel": "people",
            "hosting": rng.choice(("own", "own", "own", "commercial", "qaztech", "")),
            "data_location": owner["kato"],
            "stack": rng.choice(STACKS),
            "monolith": rng.choice(("no", "no", "")),
            "source_code_deposited": rng.choice(("yes", "no", "")),
            "declared_users": rng.choice((40, 120, 300, 850, 2200, 6400, "")),
            "initial_estimate": estimate if rng.random() < 0.85 else "",
            "acquisition": rng.choice(("create", "create", "develop", "purchase", "")),
            "result": rng.choice(RESULTS),
            "ai": rng.choice(("no", "no", "")),
            "actualised": f"2026-{rng.randint(2, 11):02d}-{rng.randint(1, 20):02d}",
        }
        if record["hosting"] == "qaztech" and rng.random() < 0.5:
            record |= {"disposition": "migrate", "disposition_due": "2026-09-30"}
        elif rng.random() < 0.12:
            record |= {"disposition": "rewrite", "disposition_due": "2027-12-31"}
        if "person." in record["data_elements"]:
            record["personal_data"] = "identity"
        self.objects[system.key] = record
        self.stage(system.key, "operation", since)
        programme = f"{rng.randint(1, 260):03d}"
        self.cost(system.key, "creation", int(since[:4]) - 1, estimate, programme=programme)
        if rng.random() < 0.7:
            support = estimate // rng.randint(8, 20) // 1000 * 1000
            for year in (2024, 2025, 2026):
                self.cost(system.key, "support", year, support + year % 7 * 10_000, programme=programme)
        if rng.random() < 0.75:
            self.team(system.key)
        self._innocent_use(system.key)

    def _innocent_use(self, key: str) -> None:
        draw = self.rng.random()
        if self.objects[key]["kind"] in {"infrastructure", "data_product"}:
            self.set(key, use_channel="offline" if draw < 0.7 else "people")
        elif draw < 0.62:
            self.sign_ins(key, [round(self.rng.uniform(0.7, 1.3) * self.rng.choice((60, 400, 1800)))] * 12)
        elif draw < 0.75:
            self.set(key, use_channel="mixed")
            self.sign_ins(key, [self.rng.choice((90, 700, 5200))] * 12)
        elif draw > 0.93:
            self.set(key, use_channel="offline")

    def _contracts_of_bodies(self) -> None:
        """At most two contracts a body, or many of like size with different suppliers: no innocent is concentrated."""
        turn = 0
        for body in self.bodies.values():
            owned = [
                key
                for key, record in self.objects.items()
                if record["owner_bin"] == body["bin"] and self._has(key, "roles")
            ]
            wanted = min(len(owned), 10) if len(owned) >= 7 else min(len(owned), 2)
            for key in owned[:wanted]:
                turn += 1
                tenge = self.rng.randrange(21_000_000, 27_000_000, 50_000)
                self.contract(key, self.suppliers[turn % (len(self.suppliers) - 8)], "2026-01-20", "2026-12-31", tenge)

    def _share(self, keys: list[str], shared: str, position: int) -> None:
        one, two = (self.objects[key] for key in keys)
        if "f" in shared:
            two["functions"] = one["functions"]
        if "s" in shared:
            one["public_services"] = two["public_services"] = f"PS-9{(position * 7919 + 31) % 100_000:05d}"
        if "e" in shared and not two["data_elements"]:
            two["data_elements"] = one["data_elements"]
        if "e" in shared:
            for record in (one, two):
                fields = [part.split(".")[-1] for part in record["data_elements"].split(";")]
                self.add("interfaces", object=record["id"], fields=";".join([*fields, "id", "updated_at"]))
        if "l" in shared:
            one["legal_basis"] = two["legal_basis"] = f"V{1100000000 + 13579 * (position % 60 + 1)}:{position % 40 + 1}"
        if "0" in shared:
            one["functions"] = ""

    # What a plan may say.

    def id(self, key: str) -> str:
        """The object id of a key."""
        return str(self.objects[key]["id"])

    def bin(self, key: str) -> str:
        """The BIN of a body's key."""
        return str(self.bodies[key]["bin"])

    def _has(self, key: str, table: str) -> bool:
        return any(row["object"] == self.id(key) for row in self.tables[table])

    def add(self, table: str, **row: Any) -> None:
        """One row; what is not given is empty."""
        self.tables[table].append(dict.fromkeys(COLUMNS[table].split(), "") | row)

    def drop(self, key: str, *tables: str, **where: Any) -> None:
        """Take away the object's rows in these tables (only those whose columns equal `where`)."""
        for table in tables:
            self.tables[table] = [
                row
                for row in self.tables[table]
                if row["object"] != self.id(key) or any(row[column] != value for column, value in where.items())
            ]

    def set(self, key: str, **fields: Any) -> None:
        """Change fields of the object."""
        unknown = set(fields) - set(self.objects[key])
        if unknown:
            raise ValueError(unknown)
        self.objects[key] |= fields

    def document(self, key: str, type_: str, date: str = "", valid_until: str = "") -> None:
        """One document; every third has the hash of its file."""
        number = f"{self.rng.randint(1, 900)}-{self.rng.choice(('НҚ', 'н', 'Ө', 'п'))}"
        digest = hashlib.sha256(f"{self.name}{key}{type_}{date}".encode()).hexdigest()
        sha256 = digest if int(digest[:2], 16) < 64 else ""
        self.add(
            "documents",
            object=self.id(key),
            type=type_,
            number=number,
            date=date,
            valid_until=valid_until,
            sha256=sha256,
        )

    def stage(self, key: str, status: str, since: str) -> None:
        """Put the object at a stage since a day, with the documents a lawful object has by then."""
        self.drop(key, "documents")
        self.set(key, status=status, status_since=since)
        year = int(since[:4]) if since else 2018
        if status == "planning":
            self.document(key, "concept", since)
            return
        self.document(key, "technical_assignment", f"{year - 2}-{self.rng.randint(1, 12):02d}-15")
        if status == "creation":
            return
        started = since if status == "trial" else f"{year - 1}-03-{self.rng.randint(10, 28)}"
        self.document(key, "trial_order", started)
        if status == "trial":
            return
        self.document(key, "trial_act", f"{year - 1}-09-{self.rng.randint(10, 28)}")
        if status == "security_tests":
            return
        self.document(key, "security_test", f"{year - 1}-11-{self.rng.randint(10, 28)}")
        self.document(key, "commissioning_act", since if status in OPERATING else f"{year - 1}-12-20")
        if status not in OPERATING:
            self.document(key, "cessation_notice", since)
            if status != "ceased":
                self.document(key, "archive_act", since)
            self.drop(key, "signals", "roles", "contracts")
            self.tables["costs"] = [
                row
                for row in self.tables["costs"]
                if row["object"] != self.id(key) or row["kind"] != "support" or int(row["year"]) < year
            ]

    def young(self, key: str, status: str, since: str, created: str, **fields: Any) -> None:
        """A project not yet commissioned: its past of the innocent record is taken away."""
        self.drop(key, "costs", "signals", "contracts")
        self.stage(key, status, since)
        self.set(key, created=created, **({"use_channel": "people"} | fields))

    def cost(self, key: str, kind: str, year: int, tenge: int, state: str = "paid", programme: str = "") -> None:
        """One line of costs."""
        self.add(
            "costs", object=self.id(key), kind=kind, year=year, tenge=tenge, state=state, programme=programme or "104"
        )

    def contract(
        self, key: str, supplier: str, signed: str, ends: str, tenge: int, warranty: str = "", subject: str = ""
    ) -> None:
        """One contract with a supplier."""
        number = len(self.tables["contracts"]) + 1
        self.add(
            "contracts",
            id=f"{self.name[0]}c-{number:05d}",
            object=self.id(key),
            supplier_bin=self.bin(supplier),
            subject=subject or self.rng.choice(SUBJECTS),
            signed=signed,
            ends=ends,
            warranty_until=warranty,
            tenge=tenge,
        )

    def role(self, key: str, role: str, since: str, until: str = "", successor: str = "", holder: str = "") -> str:
        """One role; the pseudonym of who holds it is returned."""
        holder = holder or f"p-{self.rng.randrange(16**6):06x}"
        self.add("roles", object=self.id(key), role=role, holder=holder, since=since, until=until, successor=successor)
        return holder

    def team(self, key: str) -> None:
        """Two to four people who are there."""
        roles = ["product_owner", "administrator"]
        if self.rng.random() < 0.4:
            roles.append("lead_developer")
        if self.rng.random() < 0.3:
            roles.append("security_officer")
        for role in roles:
            self.role(key, role, _date(self.rng, 2020, 2025))

    def sign_ins(self, key: str, counts: list[int], last: str = "2026-10") -> None:
        """Monthly sign-ins signed by the identity provider, ending with the month `last`; a little uneven."""
        self.drop(key, "signals")
        end = MONTHS.index(last) + 1
        for month, count in zip(MONTHS[end - len(counts) : end], counts, strict=True):
            uneven = round(count * self.rng.uniform(0.8, 1.2)) if count > 20 else count
            self.add("signals", object=self.id(key), month=month, sign_ins=uneven, signed_by=self.bin("idp"))

    def subsystem(self, key: str, suffix: str = "") -> str:
        """The backbone subsystem of the object, declared on first use."""
        record = self.objects[key]
        body = next(body for body in self.bodies.values() if body["bin"] == record["owner_bin"])
        own = f"KZ/{body['class']}/{body['bin']}/{key.replace('_', '-')}{suffix}"
        declared = [part for part in record["subsystems"].split(";") if part]
        if own not in declared:
            record["subsystems"] = ";".join([*declared, own])
        return own

    def edge(
        self,
        consumer: str,
        provider: str,
        service: str,
        manner: str,
        level: float,
        elements: str = "",
        *,
        channel: str = "gateway",
        status: str = "active",
        since: str = "2023-05-10",
        suffix: str = "",
        declared: int | None = None,
        client: str = "",
    ) -> str:
        """One declared integration with the traffic that belongs to it; the integration's id is returned."""
        for key in (client or consumer, provider):
            if self.objects[key]["use_channel"] in {"people", "offline"}:
                self.set(key, use_channel="mixed")
        target = f"{self.subsystem(provider)}/{service}"
        rows = traffic_of(
            f"{self.name}/{consumer}/{target}", self.subsystem(client or consumer, suffix), target, manner, level
        )
        self.traffic += rows
        monthly = round(sum(row[3] for row in rows) / 4 * self.rng.uniform(0.85, 1.15), -1)
        return self.integration(
            consumer, provider, target, channel, status, int(monthly) if declared is None else declared, elements, since
        )

    def integration(
        self,
        consumer: str,
        provider: str,
        service: str,
        channel: str,
        status: str,
        monthly: int | str,
        elements: str,
        since: str,
    ) -> str:
        """One declared integration without traffic."""
        number = f"{self.name[0]}i-{len(self.tables['integrations']) + 1:04d}"
        self.add(
            "integrations",
            id=number,
            consumer_object=self.id(consumer),
            provider_object=self.id(provider),
            service=service,
            channel=channel,
            status=status,
            declared_monthly_calls=monthly,
            elements=elements,
            since=since,
        )
        return number

    def on_backbone(self, *keys: str) -> None:
        """Their use passes through the backbone alone; no other signal of them exists."""
        for key in keys:
            self.subsystem(key)
            self.set(key, use_channel="backbone")
            self.drop(key, "signals")

    def label(self, detector: str, kind: str, keys: str | list[str], why: str, **detail: str) -> None:
        """What the writer says of an object, a pair or a supplier (`bin:` and its key)."""
        listed = [keys] if isinstance(keys, str) else keys
        if detector in PAIRS and len(listed) != 2:
            raise ValueError(listed)
        objects = [
            f"bin:{self.bin(key.removeprefix('bin:'))}" if key.startswith("bin:") else self.id(key) for key in listed
        ]
        if any(label["detector"] == detector and label["objects"] == objects for label in self.labels):
            raise ValueError(f"{detector} {keys} labelled twice")
        self.labels.append({"detector": detector, "objects": objects, "kind": kind, "why": why} | detail)

    def window_start(self) -> str:
        """The first day of the traffic."""
        return FIRST_HOUR.date().isoformat()
