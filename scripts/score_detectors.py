"""Score the detectors on a split of the labelled set: precision and recall of each, near misses that were hit.

Run as `python scripts/score_detectors.py tests/data/labelled/dev [--json] [--show]`. A finding is right if its objects
contain those of a planted label of its detector (pairs without order); every other one is false. `not_observable`
claims nothing and is left out. Whoever writes detectors runs it on `dev` only.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import date
from pathlib import Path
from typing import Any

from qaztech.hub.comparing.pairs import compare_best
from qaztech.hub.detectors.all import DETECTORS, run
from qaztech.hub.detectors.finding import Case, Finding
from qaztech.hub.flows import read_flows
from qaztech.hub.register.law import current_law
from qaztech.hub.register.loading import load_register
from qaztech.hub.similarity import Similarity

AS_OF = date(2026, 11, 23)
LEFT_OUT = frozenset({"not_observable"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """How one detector did: planted cases, those found, findings that are right and that are not, near misses hit."""

    detector: str
    deterministic: bool
    planted: int
    found: int
    right: int
    false: int
    near_misses_hit: int
    missed: tuple[str, ...]
    wrong: tuple[str, ...]

    @property
    def recall(self) -> float:
        """The share of planted cases that were found."""
        return self.found / self.planted if self.planted else 1.0

    @property
    def precision(self) -> float:
        """The share of findings that are right."""
        return self.right / (self.right + self.false) if self.right + self.false else 1.0


def read_case(split: Path, similar: Similarity | None = None, today: date = AS_OF) -> Case:
    """A split as a case."""
    traffic = read_flows([split / "traffic.parquet"])
    loaded = load_register(split, today)
    if loaded.plan.wrong:
        raise SystemExit(f"{len(loaded.plan.wrong)} rows cannot be read: {loaded.plan.errors[0]}")
    return Case(register=loaded.register, traffic=traffic, law=current_law(), today=today, similar=similar)


def score(findings: Sequence[Finding], labels: Sequence[dict[str, Any]]) -> list[Score]:
    """The score of each detector that has labels or findings."""
    deterministic = {detector.slug: detector.deterministic for detector in DETECTORS}
    slugs = dict.fromkeys([*deterministic, *sorted({label["detector"] for label in labels})])
    return [
        _score(
            slug,
            deterministic.get(slug, False),
            [finding for finding in findings if finding.detector == slug],
            [label for label in labels if label["detector"] == slug],
        )
        for slug in slugs
        if slug not in LEFT_OUT
    ]


def _score(slug: str, deterministic: bool, findings: list[Finding], labels: list[dict[str, Any]]) -> Score:
    planted = [label for label in labels if label["kind"] == "planted"]
    near = [label for label in labels if label["kind"] == "near_miss"]
    right = [finding for finding in findings if any(_fits(finding, label) for label in planted)]
    false = [finding for finding in findings if finding not in right]
    missed = [label for label in planted if not any(_fits(finding, label) for finding in findings)]
    return Score(
        detector=slug,
        deterministic=deterministic,
        planted=len(planted),
        found=len(planted) - len(missed),
        right=len(right),
        false=len(false),
        near_misses_hit=sum(any(_fits(finding, label) for finding in false) for label in near),
        missed=tuple(f"{'+'.join(label['objects'])}: {label['why']}" for label in missed),
        wrong=tuple("+".join(finding.objects) for finding in false),
    )


def _fits(finding: Finding, label: dict[str, Any]) -> bool:
    return set(label["objects"]) <= set(finding.objects)


def recall_at(similar: Similarity, labels: Iterable[dict[str, Any]], most: int = 5) -> float | None:
    """The share of planted duplicates of which one is among the likest few of the other; None without any."""
    pairs = [label["objects"] for label in labels if label["detector"] == "duplicate" and label["kind"] == "planted"]
    hit = sum(any(_among(similar, a, b, most) for a, b in ((one, other), (other, one))) for one, other in pairs)
    return hit / len(pairs) if pairs else None


def _among(similar: Similarity, one: str, other: str, most: int) -> bool:
    return any(other in {pair.one, pair.other} for pair in similar.of(one)[:most])


def main() -> int:
    """Score a split and print it."""
    parser = argparse.ArgumentParser(description="Score the detectors on a split of the labelled set.")
    parser.add_argument("split", type=Path, help="folder of the split")
    parser.add_argument("--json", action="store_true", help="print as JSON")
    parser.add_argument("--vectors", type=Path, help="file that keeps what texts mean, so that the next run is quick")
    parser.add_argument("--show", action="store_true", help="name what was missed and what is false")
    args = parser.parse_args()
    labels = json.loads((args.split / "labels.json").read_bytes())
    case = read_case(args.split)
    similar = compare_best(case.register, case.traffic, args.vectors)
    scores = score(run(replace(case, similar=similar)), labels)
    if args.json:
        told = [asdict(s) | {"recall": s.recall, "precision": s.precision} for s in scores]
        print(json.dumps({"detectors": told, "duplicates_recall_at_5": recall_at(similar, labels)}))
        return 0
    for s in scores:
        print(
            f"{s.detector:26} {'rule' if s.deterministic else '    '} recall {s.recall:.2f} ({s.found}/{s.planted})"
            f"  precision {s.precision:.2f} ({s.right}/{s.right + s.false})  near misses hit {s.near_misses_hit}"
        )
        for line in (*(f"missed {m}" for m in s.missed), *(f"false {w}" for w in s.wrong)) if args.show else ():
            print(f"    {line}")
    print(f"duplicates: recall@5 {recall_at(similar, labels) or 0:.2f}{', without meaning' if similar.missing else ''}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
