"""All detectors over a register the size of a country's: `python bench/detectors.py [objects] [--json]`.

5,000 objects, made of the labelled set's development split: each is one of its systems with all its rows and flows
under other ids, and with texts of which every third word comes from another text, so that none is met twice. Prints
processor seconds of each part with an empty cache of vectors and with a full one, and the peak of memory. The model
works in one thread; what another process does on the same core counts as ours.
"""

from __future__ import annotations

import argparse
import json
import random
import resource
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

from msgspec.structs import asdict
from msgspec.structs import replace as changed

from qaztech.hub.comparing import embedding
from qaztech.hub.comparing.pairs import compare
from qaztech.hub.detectors.all import DETECTORS
from qaztech.hub.detectors.finding import Case
from qaztech.hub.flows import read_flows
from qaztech.hub.observation import Traffic
from qaztech.hub.register.law import current_law
from qaztech.hub.register.loading import load_register
from qaztech.hub.register.rows import NAMES, DigitalObject, Row
from qaztech.hub.register.snapshot import Register
from qaztech.hub.similarity import Similarity

DEV = Path(__file__).parent.parent / "tests/data/labelled/dev"
TODAY = date(2026, 11, 23)
LIMIT = 60.0  # processor seconds of all detectors, with an empty cache
TEXTS = tuple(f"{part}_{language}" for part in ("name", "purpose") for language in ("kk", "ru", "en"))


def grow(base: Register, flows: Traffic, count: int) -> tuple[Register, Traffic]:
    """A register of so many objects, and its traffic."""
    chance = random.Random(5)
    said = {field: [value for one in base.objects.values() if (value := getattr(one, field))] for field in TEXTS}
    rows: list[Row] = list(base.organisations.values())
    moved = []
    originals = sorted(base.objects)
    for copy in range(-(-count // len(originals))):
        kept = originals[: count - copy * len(originals)]
        names = {id_: f"{id_}-{copy}" for id_ in originals}
        rows += [_renamed(row, names, copy, said, chance) for row in _of(base, set(kept))]
        moved += [
            replace(flow, client=f"{flow.client}-{copy}", service=_service(flow.service, copy)) for flow in flows.flows
        ]
    return Register(rows), Traffic(moved, flows.since, flows.until)


def _of(base: Register, ids: set[str]) -> Iterator[Row]:
    """The rows of these objects."""
    for kind in NAMES:
        for row in base.all(kind).values():
            own = row.id if isinstance(row, DigitalObject) else getattr(row, "object", None)
            if own in ids or getattr(row, "consumer_object", None) in ids:
                yield row


def _renamed(row: Row, names: dict[str, str], copy: int, said: dict[str, list[str]], chance: random.Random) -> Row:
    """A row under other ids; texts of an object are mixed."""
    given: dict[str, Any] = {}
    for field, value in asdict(row).items():
        if isinstance(value, str) and value in names:
            given[field] = names[value]
        elif field in TEXTS and value:
            given[field] = _mixed(value, said[field], chance)
    if isinstance(row, DigitalObject):
        given["subsystems"] = tuple(f"{one}-{copy}" for one in row.subsystems)
        entries = (entry.partition(":") for entry in row.register_data)
        given["register_data"] = tuple(f"{names.get(id_, id_)}:{element}" for id_, _, element in entries)
    elif hasattr(row, "consumer_object"):
        given |= {"id": f"{row.key}-{copy}", "service": _service(getattr(row, "service", ""), copy)}
    elif hasattr(row, "supplier_bin") and hasattr(row, "subject"):
        given["id"] = f"{row.key}-{copy}"
    return changed(row, **given)


def _service(service: str, copy: int) -> str:
    subsystem, slash, name = service.rpartition("/")
    return f"{subsystem}-{copy}{slash}{name}" if slash else service


def _mixed(text: str, others: Sequence[str], chance: random.Random) -> str:
    words = text.split()
    for place in range(len(words)):
        if chance.random() < 1 / 3:
            words[place] = chance.choice(chance.choice(others).split())
    return " ".join(words)


class Watched(embedding.Embedder):
    """An embedder that knows what it took."""

    seconds = 0.0

    def vectors(self, texts: Sequence[tuple[str, str]]) -> embedding.Vectors:
        """As the embedder does it, timed."""
        began = time.process_time()
        found = super().vectors(texts)
        self.seconds += time.process_time() - began
        return found


def compared(register: Register, traffic: Traffic, cache: Path) -> tuple[Similarity, dict[str, float]]:
    """The pairs that look alike, and what it took."""
    began = time.process_time()
    embedder = Watched(cache) if embedding.available() else None
    similar = compare(register, traffic, embedder)
    whole = time.process_time() - began
    meaning = embedder.seconds if embedder else 0.0
    return similar, {
        "embedding s": meaning,
        "pairs s": whole - meaning,
        "texts embedded": embedder.embedded if embedder else 0,
    }


def main() -> int:
    """Run it and print what was found."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("objects", type=int, nargs="?", default=5000)
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    register, traffic = grow(load_register(DEV, TODAY).register, read_flows([DEV / "traffic.parquet"]), args.objects)
    told: dict[str, Any] = {"objects": len(register.objects), "flows": len(traffic.flows)}
    with tempfile.TemporaryDirectory() as folder:
        cache = Path(folder) / "vectors.bin"
        similar, cold = compared(register, traffic, cache)
        _, warm = compared(register, traffic, cache)
    case = Case(register=register, traffic=traffic, law=current_law(), today=TODAY, similar=similar)
    detectors = {}
    for detector in DETECTORS:
        began = time.process_time()
        findings = len(list(detector.detect(case)))
        detectors[detector.slug] = {"s": round(time.process_time() - began, 3), "findings": findings}
    rules = sum(each["s"] for each in detectors.values())
    told |= {
        "cold": {name: round(value, 2) for name, value in cold.items()},
        "warm": {name: round(value, 2) for name, value in warm.items()},
        "detectors": detectors,
        "rules s": round(rules, 2),
        "all, cold s": round(cold["embedding s"] + cold["pairs s"] + rules, 1),
        "all, warm s": round(warm["embedding s"] + warm["pairs s"] + rules, 1),
        "pairs": len(similar.pairs),
        "missing": similar.missing,
        "peak MiB": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
    }
    if args.json:
        print(json.dumps(told))
    else:
        for name, value in told.items():
            print(f"{name:16} {value}")
    if told["all, cold s"] > LIMIT:
        print(f"over the limit of {LIMIT:.0f} s", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
