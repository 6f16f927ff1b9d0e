"""How long a search takes at 100,000 services, and what the index costs: `python bench/catalogue.py [services]`.

The services are those of `tests/data`, many times over with words of their own, so that frequent words are as frequent
as they would be. Prints the time of the build, the memory, and the slowest and median query of the labelled ones.
"""

from __future__ import annotations

import json
import random
import resource
import statistics
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from qaztech.registry.search import Document, SearchIndex

DATA = Path(__file__).parent.parent / "tests" / "data"
LIMIT_MS = 100.0


def documents(count: int, seed: int = 7) -> Iterator[Document]:
    """So many services: each a labelled one with a place, a number and some rare words of its own."""
    found = json.loads((DATA / "catalogue_services.json").read_text(encoding="utf-8"))
    chance = random.Random(seed)
    rare = ["".join(chance.choices("абвгдежзиклмнопрст", k=chance.randint(4, 9))) for _ in range(60_000)]
    for number in range(count):
        service = found["services"][number % len(found["services"])]
        member = found["members"][service["member"]]
        own = " ".join(chance.choices(rare, k=3))
        names, purpose = ([service[part][one] for one in ("kk", "ru", "en")] for part in ("names", "purpose"))
        yield Document(
            id=str(number),
            names=(f"{names[0]} {own}", f"{names[1]} {own} {number}", f"{names[2]} {number}"),
            purpose=(f"{purpose[0]} {own}", purpose[1], purpose[2]),
            data=(tuple(service["data"]),),
            endpoints=tuple(service["endpoints"]),
            member=(member["kk"], member["ru"], member["en"]),
            facets={
                "class": member["class"],
                "personal": "yes" if service["personal"] else "no",
                "environment": service["environment"],
                "type": service["type"],
            },
        )


def main(count: int = 100_000) -> int:
    """Measure and print; 1 if a query took longer than it may."""
    start = time.perf_counter()
    index = SearchIndex(documents(count))
    built = time.perf_counter() - start
    queries = [one["query"] for one in json.loads((DATA / "catalogue_queries.json").read_text(encoding="utf-8"))]
    # What costs most: many words, each the beginning of many others; words that every service has; nothing at all.
    queries += ["рег при пре гос нал зем тра каз", "абв где жзи клм ноп рст вги дже", "слово " * 8]
    queries += ["", "пример", "үлгі demo пример", "справка о регистрации права на имущество и адрес лица в реестре"]
    took = {}
    for query in queries:
        start = time.perf_counter()
        index.search(query, filters={"class": "GOV"})
        index.search(query, offset=400)
        took[query] = (time.perf_counter() - start) / 2 * 1000
    slowest = max(took, key=lambda query: took[query])
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    print(f"{len(index):,} services indexed in {built:.1f} s, {memory} MiB in the whole process")
    print(f"{len(queries)} queries: median {statistics.median(took.values()):.1f} ms,", end=" ")
    print(f"slowest {took[slowest]:.1f} ms ({slowest!r}); allowed {LIMIT_MS:.0f} ms")
    return took[slowest] > LIMIT_MS


if __name__ == "__main__":
    sys.exit(main(*map(int, sys.argv[1:2])))
