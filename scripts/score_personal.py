"""How well personal data is found in labelled sentences: precision and recall by kind, language and difficulty.

Run as `python scripts/score_personal.py dev [--json] [--show]`. A split is `dev` or `test` (with the longer texts of
its own in `others.jsonl`), or a file of JSON lines, or one of marked sentences (`*.txt`). A span counts as found where
one of the same kind overlaps it; `exact` counts only equal places.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from build_pii_set import LANGUAGES, unmarked

from qaztech.ai.personal.finding import finder
from qaztech.ai.personal.spans import Span

FOLDER = Path(__file__).parents[1] / "tests/data/pii"
MEASURES = ("labelled", "found", "right", "hit", "exact")


def sentences(split: str) -> Iterator[dict[str, Any]]:
    """The labelled sentences of a split or a file."""
    if split.endswith(".txt"):
        yield from _marked(Path(split))
        return
    path = FOLDER / split / "sentences.jsonl"
    for line in (Path(split) if split.endswith(".jsonl") else path).read_text(encoding="utf-8").splitlines():
        yield json.loads(line)
    if not split.endswith(".jsonl"):
        for line in (FOLDER / "others.jsonl").read_text(encoding="utf-8").splitlines():
            if line.startswith(f'{{"id": "{split}-'):
                yield json.loads(line)


def _marked(path: Path) -> Iterator[dict[str, Any]]:

    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        if not line.strip() or line.startswith("#"):
            continue
        language, difficulty, raw = line.split(" ", 2)
        text, spans = unmarked(raw.replace("\\n", "\n"))
        yield {
            "id": f"{path.stem}-{number}", "language": LANGUAGES[language], "text": text,
            "difficulty": {"e": "easy", "h": "hard"}[difficulty],
            "spans": [{"start": start, "end": end, "kind": kind} for start, end, kind in spans],
        }  # fmt: skip


def score(split: str, *, show: bool) -> dict[str, Counter[str]]:
    """Counts by kind, language and difficulty: labelled, found, right (of those found), hit and exact (of labelled)."""
    counts: dict[str, Counter[str]] = {}
    look = finder()
    for sentence in sentences(split):
        text = sentence["text"]
        labelled = [Span(each["start"], each["end"], each["kind"]) for each in sentence["spans"]]
        found = look.find(text)
        for spans, others, measure in ((labelled, found, "labelled"), (found, labelled, "found")):
            for span in spans:
                same = [o for o in others if o.kind == span.kind and o.start < span.end and span.start < o.end]
                exact = any(other[:2] == span[:2] for other in same)
                names = ("all", sentence["difficulty"], sentence["language"], f"{sentence['language']} {span.kind}",
                         span.kind, f"{sentence['difficulty']} {span.kind}")  # fmt: skip
                for name in names:
                    row = counts.setdefault(name, Counter())
                    row[measure] += 1
                    if measure == "labelled":
                        row["hit"] += bool(same)
                        row["exact"] += exact
                    else:
                        row["right"] += bool(same)
                if show and not same:
                    word = "missed" if measure == "labelled" else "false "
                    shown = text.replace("\n", "⏎")
                    around = shown[max(0, span.start - 60) : span.end + 50]
                    print(f"{word} {span.kind:10} {shown[span.start : span.end]!r:40} {sentence['id']}: {around}")
    return counts


def ratios(row: Counter[str]) -> dict[str, float | int | None]:
    """Precision and recall of one row of counts; none where nothing was there to find."""
    return {
        "labelled": row["labelled"],
        "precision": round(row["right"] / row["found"], 4) if row["found"] else None,
        "recall": round(row["hit"] / row["labelled"], 4) if row["labelled"] else None,
        "exact": round(row["exact"] / row["labelled"], 4) if row["labelled"] else None,
    }


def main() -> int:
    """Score a split and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("split")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--show", action="store_true", help="list what was missed and what was falsely found")
    args = parser.parse_args()
    table = {name: ratios(row) for name, row in sorted(score(args.split, show=args.show).items())}
    if args.json:
        print(json.dumps(table, ensure_ascii=False, indent=1))
        return 0
    print(f"{'':18}{'labelled':>9}{'precision':>11}{'recall':>9}{'exact':>8}")
    for name, row in table.items():
        cells = ["" if row[each] is None else f"{row[each]}" for each in ("labelled", "precision", "recall", "exact")]
        print(f"{name:18}{cells[0]:>9}{cells[1]:>11}{cells[2]:>9}{cells[3]:>8}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
