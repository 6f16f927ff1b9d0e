"""Fit the weights by which pairs are scored: `python scripts/fit_alike.py [--vectors FILE] [--write]`.

A logistic regression on the six measures of `comparing.pairs`, with a small penalty. Learnt from the development split
of the labelled set, from tests/data/alike (pairs and triples written apart from it), and from copies made of the
split's systems with words left out and put in. Prints how it does on what it was not fitted to: in ten parts, by
object, and with each collection left out. Needs `qaztech[embeddings]`.
"""

from __future__ import annotations

import argparse
import json
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
from msgspec.structs import replace

from qaztech.hub.comparing.embedding import Embedder
from qaztech.hub.comparing.pairs import WEIGHTS, Measured, measured
from qaztech.hub.comparing.relations import relation
from qaztech.hub.detectors.alike import duplicate
from qaztech.hub.detectors.finding import Case
from qaztech.hub.detectors.reading import in_life
from qaztech.hub.flows import read_flows
from qaztech.hub.observation import NOTHING_SEEN, Traffic
from qaztech.hub.register.law import current_law
from qaztech.hub.register.loading import load_register
from qaztech.hub.register.rows import DigitalObject
from qaztech.hub.register.snapshot import Register
from qaztech.hub.similarity import Pair, Similarity

DATA = Path(__file__).parent.parent / "tests/data"
DEV = DATA / "labelled/dev"
TODAY = date(2026, 11, 23)
PENALTY = 1.0
PARTS = 10
COPIES = 24
NAMES = ("margin", "lead", "length", "field", "copied", "shared", "one owner")
TEXTS = tuple(f"{part}_{language}" for part in ("name", "purpose") for language in ("kk", "ru", "en"))
Planted = set[tuple[str, str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Collection:
    """A register with its duplicates; learnt from are pairs that touch an id of `counted`, all where it is empty."""

    name: str
    register: Register
    traffic: Traffic
    planted: Planted
    weight: float
    counted: frozenset[str] = frozenset()


def collections() -> Iterator[Collection]:
    """What is learnt from."""
    dev = load_register(DEV, TODAY).register
    traffic = read_flows([DEV / "traffic.parquet"])
    labels = json.loads((DEV / "labels.json").read_bytes())
    labelled = {tuple(sorted(label["objects"])) for label in labels if label["detector"] == "duplicate"}
    planted = {
        tuple(sorted(label["objects"]))
        for label in labels
        if label["detector"] == "duplicate" and label["kind"] == "planted"
    }
    yield Collection(name="dev", register=dev, traffic=traffic, planted=planted, weight=1)
    bodies = [one for one in dev.objects.values() if in_life(one) and one.owner_bin]
    yield _pairs(dev, bodies)
    for seed in range(4):
        yield _triples(dev, bodies, seed)
    yield _copies(dev, {id_ for pair in labelled for id_ in pair})


def _blank(body: DigitalObject, id_: str, **texts: str) -> DigitalObject:
    """An object of a body with texts only."""
    empty: dict[str, Any] = dict.fromkeys(TEXTS, "")
    empty |= dict.fromkeys(("functions", "public_services", "data_elements", "legal_basis", "platform_products"), ())
    return replace(body, **(empty | {"id": id_, "source_of_truth": False} | texts))


def _pairs(dev: Register, bodies: Sequence[DigitalObject]) -> Collection:
    """For each system a duplicate and a near miss, under other bodies."""
    chance, rows, group, chosen = random.Random(5), list[DigitalObject](), -1, list[str]()
    owners = {body.owner_bin or "": body for body in bodies}
    planted: Planted = set()
    for line in (DATA / "alike/pairs.txt").read_text().splitlines():
        if not line or line.startswith("#"):
            continue
        kind, language, name, purpose = line.split("|")
        if kind == "a":
            group += 1
            chosen = chance.sample(sorted(owners), 3)
            planted.add((f"p{group:02}a", f"p{group:02}b"))
        body = owners[chosen["abc".index(kind)]]
        rows.append(_blank(body, f"p{group:02}{kind}", **{f"name_{language}": name, f"purpose_{language}": purpose}))
    held = Register([*dev.organisations.values(), *rows])
    return Collection(name="pairs", register=held, traffic=NOTHING_SEEN, planted=planted, weight=1)


def _triples(dev: Register, bodies: Sequence[DigitalObject], seed: int) -> Collection:
    """Of systems told in three languages two in five twice, each time in another language."""
    chance, rows = random.Random(seed), list[DigitalObject]()
    planted: Planted = set()
    for number, line in enumerate((DATA / "alike/triples.txt").read_text().splitlines()):
        told = line.split("|")
        taken = sorted(chance.sample(range(3), 2 if chance.random() < 0.4 else 1))
        ids = []
        for place in taken:
            language = ("ru", "kk", "en")[place]
            texts = {f"name_{language}": told[2 * place], f"purpose_{language}": told[2 * place + 1]}
            ids.append(f"t{number:02}{language}")
            rows.append(_blank(chance.choice(bodies), ids[-1], **texts))
        if len(ids) > 1:
            planted.add((min(ids), max(ids)))
    held = Register([*dev.organisations.values(), *rows])
    return Collection(name=f"triples {seed}", register=held, traffic=NOTHING_SEEN, planted=planted, weight=0.35)


def _copies(dev: Register, labelled: set[str]) -> Collection:
    """Systems of the split once more under another body, in one language, with words left out and put in."""
    chance = random.Random(7)
    alive = [one for one in dev.objects.values() if in_life(one) and one.id not in labelled and one.purpose_ru]
    said = [one.purpose_ru.split() for one in alive]
    rows, planted = list[DigitalObject](), set[tuple[str, str]]()
    for one in chance.sample(alive, COPIES):
        changed = chance.uniform(0.05, 0.3)
        words = [
            word if chance.random() > changed else chance.choice([chance.choice(chance.choice(said)), ""])
            for word in one.purpose_ru.split()
        ]
        body = chance.choice([other for other in alive if other.owner_bin != one.owner_bin])
        rows.append(_blank(body, f"copy-{one.id}", purpose_ru=" ".join(words)))
        planted.add((f"copy-{one.id}", one.id))
    held = Register([*(row for kind in (dev.organisations, dev.objects) for row in kind.values()), *rows])
    counted = frozenset(row.id for row in rows)
    return Collection(name="copies", register=held, traffic=NOTHING_SEEN, planted=planted, weight=0.5, counted=counted)


@dataclass(frozen=True, slots=True)
class Row:
    """A pair to learn from."""

    collection: Collection
    found: Measured

    @property
    def planted(self) -> bool:
        """Whether it is a duplicate."""
        return (self.found.one, self.found.other) in self.collection.planted

    @property
    def part(self) -> str:
        """What must not be on both sides of a division: a group of the collection."""
        one = self.found.one.removeprefix("copy-")
        return self.collection.name.split()[0] + (one if one.startswith("ds-") else one[:3])

    def measures(self) -> list[float]:
        """As NAMES says, with 1 at the end."""
        ends = [self.collection.register.objects[id_] for id_ in (self.found.one, self.found.other)]
        one_owner = float(ends[0].owner_bin == ends[1].owner_bin)
        return [*self.found.measures().values(), one_owner, 1.0]


def learnt_from(collection: Collection, embedder: Embedder) -> Iterator[Row]:
    """Pairs in life that nothing declared makes rightly two."""
    objects = collection.register.objects
    for found in measured(collection.register, collection.traffic, embedder):
        one, other = objects[found.one], objects[found.other]
        if collection.counted and not collection.counted & {one.id, other.id}:
            continue
        if in_life(one) and in_life(other) and relation(collection.register, one, other) is None:
            yield Row(collection, found)


def fit(rows: Sequence[Row]) -> Any:
    """Weights in the order of NAMES, then what stands where nothing is measured: Newton's method."""
    x = np.array([row.measures() for row in rows])
    y = np.array([row.planted for row in rows], dtype=float)
    counts = np.array([row.collection.weight for row in rows])
    spread = np.append(x[:, :-1].std(axis=0) + 1e-9, 1)
    penalty = np.diag([PENALTY] * (x.shape[1] - 1) + [1e-6])
    x, found = x / spread, np.zeros(x.shape[1])
    for _ in range(60):
        likely = 1 / (1 + np.exp(-x @ found))
        slope = x.T @ (counts * (likely - y)) + penalty @ found
        bend = (x * (counts * likely * (1 - likely))[:, None]).T @ x + penalty
        step = np.linalg.solve(bend, slope)
        found -= step
        if np.abs(step).max() < 1e-8:
            break
    return found / spread


def judged(collection: Collection, rows: Sequence[Row], scores: Sequence[float]) -> tuple[int, int]:
    """How many findings of the detector are right, and how many it has."""
    pairs = [
        Pair(one=row.found.one, other=row.found.other, score=score, reasons=())
        for row, score in zip(rows, scores, strict=True)
        if row.collection is collection
    ]
    case = Case(
        register=collection.register,
        traffic=collection.traffic,
        law=current_law(),
        today=TODAY,
        similar=Similarity(pairs),
    )
    found = [tuple(sorted(finding.objects)) for finding in duplicate(case)]
    if collection.counted:
        found = [pair for pair in found if collection.counted & set(pair)]
    return sum(pair in collection.planted for pair in found), len(found)


def main() -> int:
    """Fit, say how it does, and write what is asked."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--vectors", type=Path, help="file that keeps what texts mean, so that the next run is quick")
    parser.add_argument("--write", action="store_true", help="write weights.json")
    args = parser.parse_args()
    embedder = Embedder(args.vectors)
    made = list(collections())
    rows = [row for collection in made for row in learnt_from(collection, embedder)]
    weights = fit(rows)
    parts = {part: number % PARTS for number, part in enumerate(sorted({row.part for row in rows}))}
    outside = {
        "ten parts": _scored(rows, [str(parts[row.part]) for row in rows]),
        "collection left out": _scored(rows, [row.collection.name.split()[0] for row in rows]),
        "all": _chances(rows, weights),
    }
    for name, weight in zip((*NAMES, "nothing"), weights, strict=True):
        print(f"{name:10} {weight:8.2f}")
    for collection in made:
        for division, scores in outside.items():
            right, found = judged(collection, rows, scores)
            print(f"{collection.name:10} {division:20} {right} of {len(collection.planted)}, {found - right} false")
    if args.write:
        kept = {name: round(float(weight), 3) for name, weight in zip((*NAMES, "nothing"), weights, strict=True)}
        del kept["one owner"]
        WEIGHTS.write_text(json.dumps({"made by": "scripts/fit_alike.py", "weights": kept}, indent=1) + "\n")
    return 0


def _scored(rows: Sequence[Row], division: Sequence[str]) -> list[float]:
    """Chances of each part by what was learnt from the others."""
    scores = [0.0] * len(rows)
    for part in sorted(set(division)):
        inside = [number for number, of in enumerate(division) if of == part]
        learnt = fit([row for row, of in zip(rows, division, strict=True) if of != part])
        for number, score in zip(inside, _chances([rows[number] for number in inside], learnt), strict=True):
            scores[number] = score
    return scores


def _chances(rows: Sequence[Row], weights: Any) -> list[float]:
    """Without what one owner takes off: that is the detector's limit."""
    without = weights.copy()
    without[NAMES.index("one owner")] = 0
    return [float(1 / (1 + np.exp(-np.array(row.measures()) @ without))) for row in rows]


if __name__ == "__main__":
    raise SystemExit(main())
