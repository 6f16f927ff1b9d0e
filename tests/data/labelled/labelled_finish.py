"""The last steps of a split: plain innocents, sums that must agree, and the files."""

from __future__ import annotations

import csv
import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
from labelled_columns import COLUMNS, DETECTORS, OPERATING, PAIRS
from labelled_split import Split

Record = dict[str, Any]
INNOCENTS = 8


def _operating(record: Record) -> bool:
    return record["status"] in OPERATING


# What makes an innocent worth naming for a detector: the thing that could have gone wrong is there and right.
WORTH: dict[str, tuple[Callable[[Record], bool], str]] = {
    "paid_but_unused": (_operating, "In use, and calls or sign-ins show it."),
    "commissioned_without_use": (_operating, "Commissioned long ago and in daily work."),
    "trial_too_long": (_operating, "In operation; its trial ended within the year."),
    "modification_over_limit": (_operating, "No modification was paid."),
    "legal_vacuum": (_operating, "Its act and its tests are there."),
    "stale_record": (_operating, "Confirmed this year."),
    "integration_gap": (lambda r: bool(r["register_data"]), "Its integration passes the gateway and is used."),
    "expiry_without_team": (_operating, "People are in charge, or nothing expires."),
    "obsolete_stack": (lambda r: bool(r["stack"]), "All its products are supported."),
    "slippage": (_operating, "No milestone was moved."),
    "orphan": (_operating, "Nobody left."),
    "zero_result": (_operating, "Its results are declared."),
    "after_moratorium": (
        lambda r: r["created"] < "2024" and r["hosting"] == "own",
        "Begun long before the moratorium.",
    ),
    "migration_infeasible": (_operating, "It has no plan of migration that could fail."),
    "ai_unclassified": (lambda r: r["ai"] == "no", "It is not AI."),
    "idle_compute": (_operating, "No compute is allocated to it."),
    "self_made_traffic": (_operating, "Called by systems of other owners through the day."),
}


def _labelled(s: Split, detector: str) -> set[str]:
    return {object_ for label in s.labels if label["detector"] == detector for object_ in label["objects"]}


def _in_use(s: Split) -> tuple[set[str], set[str]]:
    """Objects that calls or sign-ins show in use, and those that systems of other owners call often."""
    calls: Counter[tuple[str, str]] = Counter()
    for _, client, service, number, _, _ in s.traffic:
        calls[client, service.rpartition("/")[0]] += number
    owner = {sub: r for r in s.objects.values() for sub in r["subsystems"].split(";") if sub}
    used = {row["object"] for row in s.tables["signals"] if row["month"] == "2026-10" and row["sign_ins"] > 50}
    served = set()
    for (client, provider), number in calls.items():
        if number > 1000:
            used |= {owner[client]["id"], owner[provider]["id"]}
            if owner[client]["owner_bin"] != owner[provider]["owner_bin"]:
                served.add(owner[provider]["id"])
    return used, served


def add_innocents(s: Split) -> None:
    """Ordinary objects for every detector, and unrelated pairs for those that name pairs."""
    keys = sorted(s.objects)
    s.rng.shuffle(keys)
    used, served = _in_use(s)
    for detector, (worth, why) in WORTH.items():
        taken = _labelled(s, detector)
        fit = [key for key in keys if s.id(key) not in taken and worth(s.objects[key])]
        if detector in {"paid_but_unused", "commissioned_without_use"}:
            fit = [key for key in fit if s.id(key) in used]
        if detector == "self_made_traffic":
            fit = [key for key in fit if s.id(key) in served]
        for key in fit[:INNOCENTS]:
            s.label(detector, "innocent", key, why)
    taken = _labelled(s, "duplicate") | _labelled(s, "resurrected")
    single = [key for key in keys if s.id(key) not in taken and _operating(s.objects[key])]
    for one, two in zip(single[:24:2], single[1:24:2], strict=True):
        s.label("duplicate", "innocent", [one, two], "Two systems that have nothing to do with one another.")
    gone = [key for key in sorted(s.objects) if s.objects[key]["status"] == "written_off"]
    for old, new in zip(gone, single[30:], strict=False):
        s.label("resurrected", "innocent", [old, new], "A written-off system and another that does something else.")
    registers = sorted(key for key in s.objects if s.objects[key]["source_of_truth"] == "yes")
    for number, key in enumerate(single[40 : 40 + INNOCENTS]):
        pair = [key, registers[number % len(registers)]]
        if not s.objects[key]["register_data"] and key not in registers:
            s.label("register_copy", "innocent", pair, "Neither declares nor holds anything of this register.")
    taken = _labelled(s, "supplier_concentration")
    free = [key for key in s.suppliers if f"bin:{s.bin(key)}" not in taken]
    for key in free[:INNOCENTS]:
        s.label("supplier_concentration", "innocent", f"bin:{key}", "One of many suppliers with a small share.")


def _oddities(s: Split) -> None:
    """What clerks do to rows: a Latin i in a Kazakh word, capitals, a space too many, a date left out."""
    keys = sorted(s.objects)
    s.rng.shuffle(keys)
    for key in keys[:9]:
        s.set(key, name_kk=s.objects[key]["name_kk"].replace("і", "i"))
    for key in keys[9:16]:
        s.set(key, name_ru=s.objects[key]["name_ru"].upper())
    for key in keys[16:22]:
        s.set(key, purpose_ru=s.objects[key]["purpose_ru"].replace(" ", "  ", 2))
    for key in [key for key in keys if s.objects[key]["status"] == "operation"][40:55]:
        s.set(key, status_since="")


def agree(s: Split) -> None:
    """An initial estimate below what creation has cost would be a slip of its own: raise it."""
    paid: dict[str, int] = {}
    for row in s.tables["costs"]:
        if row["kind"] == "creation":
            paid[row["object"]] = paid.get(row["object"], 0) + row["tenge"]
    for record in s.objects.values():
        if record["initial_estimate"] != "" and record["initial_estimate"] < paid.get(record["id"], 0):
            record["initial_estimate"] = paid[record["id"]]
    _oddities(s)
    for record in s.objects.values():
        if record["data_elements"] and s.rng.random() < 0.3:
            names = [part.split(".")[-1] for part in record["data_elements"].split(";")]
            s.add("interfaces", object=record["id"], fields=";".join([*names, "id"]))
    schema = ("id", "status", "created_at", "region", "reason", "document_no", "amount", "operator")
    for row in s.tables["integrations"]:
        known = {(line["object"], line["service"]) for line in s.tables["interfaces"]}
        if row["service"] and (row["provider_object"], row["service"]) not in known:
            own = [part.split(".")[-1] for part in row["elements"].split(";") if part]
            fields = own + s.rng.sample(schema, 3)
            s.add("interfaces", object=row["provider_object"], service=row["service"], fields=";".join(fields))


def write(s: Split, folder: Path) -> None:
    """All files of the split; the same split gives the same bytes."""
    folder.mkdir(parents=True, exist_ok=True)
    s.tables["objects"] = list(s.objects.values())
    for table, columns in COLUMNS.items():
        names = columns.split()
        key = "id" if "id" in names else names[0]
        with (folder / f"{table}.csv").open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, names, lineterminator="\n")
            writer.writeheader()
            writer.writerows(sorted(s.tables[table], key=lambda row: str(row[key])))
    _write_traffic(s, folder)
    order = {detector: number for number, detector in enumerate(DETECTORS)}
    kinds = {"planted": 0, "near_miss": 1, "innocent": 2}
    s.labels.sort(key=lambda label: (order[label["detector"]], kinds[label["kind"]], label["objects"]))
    lines = ",\n".join(json.dumps(label, ensure_ascii=False) for label in s.labels)
    (folder / "labels.json").write_text(f"[\n{lines}\n]\n", encoding="utf-8")


def _write_traffic(s: Split, folder: Path) -> None:
    rows = sorted(s.traffic, key=lambda row: (row[2], row[1], row[0]))
    loose = folder / "traffic.csv"
    with loose.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(("hour", "client", "service", "calls", "failed", "bytes"))
        writer.writerows(rows)
    columns = (
        "{'hour':'TIMESTAMP','client':'VARCHAR','service':'VARCHAR',"
        "'calls':'INTEGER','failed':'INTEGER','bytes':'BIGINT'}"
    )
    database = duckdb.connect(config={"threads": 1})
    database.execute(
        f"COPY (SELECT * FROM read_csv('{loose}', header=true, columns={columns})) "
        f"TO '{folder / 'traffic.parquet'}' (FORMAT parquet, COMPRESSION zstd, COMPRESSION_LEVEL 19)"
    )
    database.close()
    loose.unlink()


def pairs_named_once(s: Split) -> list[str]:
    """Pairs labelled in both orders, or with two kinds."""
    seen: dict[tuple[str, frozenset[str]], str] = {}
    wrong = []
    for label in s.labels:
        if label["detector"] in PAIRS:
            key = (label["detector"], frozenset(label["objects"]))
            if key in seen:
                wrong.append(str(label["objects"]))
            seen[key] = label["kind"]
    return wrong
