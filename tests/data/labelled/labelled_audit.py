"""Checks of a written split: form, references, sizes, and labels that plain facts of the record ask for.

The plain facts are not detectors: they are the letter of the written rule, read from the files, so that a case which
another case makes by accident does not stay without a label.
"""

from __future__ import annotations

import csv
import json
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

import duckdb
from labelled_columns import COLUMNS, DETECTORS, OPERATING, PAIRS, STAGES

from qaztech.core.bin import is_bin

Row = dict[str, str]
LARGEST = 1_500_000
BEGUN = "2026-01-01"
YEAR_AGO = "2025-11-23"
REFERENCES = ("object", "consumer_object", "provider_object")
BINS = ("bin", "parent_bin", "owner_bin", "holder_bin", "operator_bin", "supplier_bin", "signed_by")


def read(folder: Path) -> dict[str, list[Row]]:
    """All tables of the split."""
    tables = {}
    for table in COLUMNS:
        with (folder / f"{table}.csv").open(encoding="utf-8", newline="") as file:
            tables[table] = list(csv.DictReader(file))
    return tables


def _form(tables: dict[str, list[Row]], labels: list[dict[str, Any]]) -> list[str]:
    wrong = []
    bins = {row["bin"] for row in tables["organisations"]}
    ids = {row["id"] for row in tables["objects"]}
    for table, rows in tables.items():
        for row in rows:
            wrong += [f"{table}: object {row[c]}" for c in REFERENCES if c in row and row[c] not in ids]
            for column in BINS:
                if row.get(column) and (row[column] not in bins or not is_bin(row[column])):
                    wrong.append(f"{table}.{column}: {row[column]}")
    for row in tables["objects"]:
        wrong += [] if row["status"] in STAGES else [f"status {row['status']}"]
        wrong += [f"register {p}" for p in row["register_data"].split(";") if p and p.split(":")[0] not in ids]
    known = ids | {f"bin:{number}" for number in bins}
    seen: set[tuple[str, frozenset[str]]] = set()
    for label in labels:
        key = (label["detector"], frozenset(label["objects"]))
        if key in seen or label["detector"] not in DETECTORS or not set(label["objects"]) <= known:
            wrong.append(f"label {label['detector']} {label['objects']}")
        if len(label["objects"]) != (2 if label["detector"] in PAIRS else 1):
            wrong.append(f"label {label['detector']} {label['objects']}: number of objects")
        seen.add(key)
    return wrong


def _facts(tables: dict[str, list[Row]], used: dict[str, int]) -> dict[str, set[str]]:
    objects = {row["id"]: row for row in tables["objects"]}
    found: dict[str, set[str]] = defaultdict(set)
    papers = defaultdict(set)
    dates: dict[tuple[str, str], str] = {}
    for row in tables["documents"]:
        papers[row["object"]].add(row["type"])
        dates[row["object"], row["type"]] = row["date"]
    spent: Counter[tuple[str, str]] = Counter()
    supported = set()
    for row in tables["costs"]:
        if row["state"] == "paid":
            spent[row["object"], row["kind"]] += int(row["tenge"])
            if row["kind"] == "support" and row["year"] in {"2025", "2026"}:
                supported.add(row["object"])
    signed: dict[str, list[int]] = defaultdict(list)
    for row in tables["signals"]:
        signed[row["object"]].append(int(row["sign_ins"]))
    classes = {row["bin"]: row["class"] for row in tables["organisations"]}
    cards = {row["object"]: row for row in tables["ai_cards"]}
    present = {
        (row["object"], row["role"]) for row in tables["roles"] if not row["until"] or row["until"] > "2026-11-23"
    }
    for id_, row in objects.items():
        living = row["status"] not in {"ceased", "archived", "written_off"}
        began = row["status_since"] or dates.get((id_, "trial_order"), "")
        if row["status"] == "trial" and began < YEAR_AGO and "trial_act" not in papers[id_]:
            found["trial_too_long"].add(id_)
        if row["status"] in OPERATING and not {"commissioning_act", "security_test"} <= papers[id_]:
            found["legal_vacuum"].add(id_)
        if row["initial_estimate"] and spent[id_, "modification"] * 5 > int(row["initial_estimate"]):
            found["modification_over_limit"].add(id_)
        if row["actualised"] < YEAR_AGO and living:
            found["stale_record"].add(id_)
        state = classes[row["owner_bin"]] in {"GOV", "QUASI"}
        free = row["exemption"] or "exemption" in papers[id_] or row["hosting"] == "qaztech"
        if row["created"] >= BEGUN and state and not free:
            found["after_moratorium"].add(id_)
        if not row["result"] and spent[id_, "creation"] > 50_000_000:
            found["zero_result"].add(id_)
        card = cards.get(id_)
        good = card and card["risk"] and card["reviewed"] >= YEAR_AGO and card["output_labelled"] == "yes"
        if row["ai"] == "yes" and not good:
            found["ai_unclassified"].add(id_)
        silent = id_ in signed and sum(signed[id_][-5:]) <= 3 and used[id_] <= 5
        unseen = row["use_channel"] == "backbone" and used[id_] <= 5
        if (silent or unseen) and row["status"] != "trial":
            act = dates.get((id_, "commissioning_act"), "")
            if id_ in supported:
                found["paid_but_unused"].add(id_)
            if "2025-01" < act < "2026-06":
                found["commissioned_without_use"].add(id_)
    for row in tables["roles"]:
        gone = row["until"] and row["until"] < "2026-11-23" and not row["successor"]
        living = objects[row["object"]]["status"] not in {"ceased", "archived", "written_off"}
        if gone and living and (row["object"], row["role"]) not in present:
            found["orphan"].add(row["object"])
    in_charge = {id_ for id_, _ in present}
    last: dict[str, str] = {}
    for row in tables["contracts"]:
        last[row["object"]] = max(last.get(row["object"], ""), row["ends"], row["warranty_until"])
    for row in tables["documents"]:
        if row["type"] == "licence":
            last[row["object"]] = max(last.get(row["object"], ""), row["valid_until"])
    for id_, day in last.items():
        if (
            day < "2027-03"
            and id_ not in in_charge
            and objects[id_]["status"] not in {"ceased", "archived", "written_off"}
        ):
            found["expiry_without_team"].add(id_)
    for row in tables["migration"]:
        if int(row["person_days_left"]) and not objects[row["object"]]["exemption"]:
            found["migration_infeasible"].add(row["object"])
    for row in tables["integrations"]:
        seen = row["channel"] == "gateway" and row["service"] and row["since"] < "2026-10"
        calls = used.get(row["id"], 0)
        empty = seen and (not calls or int(row["declared_monthly_calls"] or 0) > 20 * (calls / 4 + 1))
        if row["status"] == "active" and (row["channel"] in {"direct", "file"} or empty):
            found["integration_gap"].add(row["consumer_object"])
    hours: dict[str, list[int]] = defaultdict(lambda: [0, 0, 0])
    for row in tables["compute"]:
        for place, value in enumerate((int(row["gpu_hours_allocated"]), int(row["gpu_hours_used"]), 1)):
            hours[row["object"]][place] += value
    for id_, (allocated, taken, months) in hours.items():
        if months > 2 and allocated and taken < allocated * 0.1:
            found["idle_compute"].add(id_)
    return found


def _used(tables: dict[str, list[Row]], parquet: Path) -> tuple[dict[str, int], list[str]]:
    """Calls by object (as provider or client) and by integration; and subsystems of the traffic nobody declares."""
    rows = duckdb.connect().execute(f"SELECT client, service, sum(calls) FROM '{parquet}' GROUP BY ALL").fetchall()
    owner = {sub: row["id"] for row in tables["objects"] for sub in row["subsystems"].split(";") if sub}
    used: dict[str, int] = defaultdict(int)
    wrong = []
    for client, service, calls in rows:
        one, two = owner.get(client), owner.get(service.rpartition("/")[0])
        if one is None or two is None:
            wrong.append(f"traffic of {client} to {service}")
            continue
        used[one] += calls
        used[two] += calls
        declared = [r for r in tables["integrations"] if r["consumer_object"] == one and r["service"] == service]
        if not declared:
            wrong.append(f"undeclared traffic {client} {service}")
        for row in declared:
            used[row["id"]] += calls
    return used, wrong


def _shares(tables: dict[str, list[Row]], planted: set[str]) -> list[str]:
    """Bodies of three contracts or more where a supplier without a planted label has half of the money."""
    owner = {row["id"]: row["owner_bin"] for row in tables["objects"]}
    money: dict[str, Counter[str]] = defaultdict(Counter)
    number: Counter[str] = Counter()
    for row in tables["contracts"]:
        money[owner[row["object"]]][row["supplier_bin"]] += int(row["tenge"])
        number[owner[row["object"]]] += 1
    wrong = []
    for body, suppliers in money.items():
        first, most = suppliers.most_common(1)[0]
        if number[body] >= 3 and most * 2 > suppliers.total() and f"bin:{first}" not in planted:
            wrong.append(f"supplier_concentration: {first} at {body}")
    return wrong


def look(folder: Path) -> list[str]:
    """What is wrong with a written split; empty where nothing is."""
    tables = read(folder)
    labels = json.loads((folder / "labels.json").read_text(encoding="utf-8"))
    wrong = _form(tables, labels)
    used, lost = _used(tables, folder / "traffic.parquet")
    wrong += lost
    planted: dict[str, set[str]] = defaultdict(set)
    near: dict[str, set[str]] = defaultdict(set)
    counts: Counter[tuple[str, str]] = Counter()
    for label in labels:
        counts[label["detector"], label["kind"]] += 1
        if label["kind"] == "planted":
            planted[label["detector"]] |= set(label["objects"])
        elif label["kind"] == "near_miss":
            near[label["detector"]] |= set(label["objects"])
    facts = _facts(tables, used)
    wrong += _shares(tables, planted["supplier_concentration"])
    for detector, found in sorted(facts.items()):
        wrong += [f"{detector}: {id_} has no label" for id_ in sorted(found - planted[detector] - near[detector])]
        wrong += [
            f"{detector}: {id_} is labelled, the plain rule does not see why"
            for id_ in sorted(planted[detector] - found)
            if detector != "legal_vacuum"
        ]
    for detector in DETECTORS:
        for kind, least in (("planted", 6), ("near_miss", 4), ("innocent", 2)):
            pairs = detector == "duplicate" and kind != "innocent"
            if counts[detector, kind] < (25 if pairs else least):
                wrong.append(f"{detector}: {counts[detector, kind]} {kind}")
    size = sum(path.stat().st_size for path in folder.iterdir())
    wrong += [f"{size} bytes"] if size > LARGEST else []
    owners = {row["owner_bin"] for row in tables["objects"]}
    if len(tables["objects"]) < 300 or len(owners) < 40:
        wrong.append(f"{len(tables['objects'])} objects of {len(owners)} owners")
    return wrong
