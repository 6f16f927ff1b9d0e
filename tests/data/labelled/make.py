"""Makes the labelled splits from the written texts and the plans; `--check` looks whether files and labels hold.

Run from anywhere: `python tests/data/labelled/make.py [dev|test ...] [--check]`. The same sources give the same bytes.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parents[2] / "src")]

import labelled_audit  # noqa: E402 -- found only after the folder is on the path
import labelled_finish  # noqa: E402
import plan_dev  # noqa: E402
import plan_dev_2  # noqa: E402
from labelled_split import Split  # noqa: E402

Step = Callable[[Split], None]
FIRST = {"dev": (50_000, 101), "test": (60_000, 70_201)}


def steps(name: str) -> list[Step]:
    """The parts of the split's plan, in order."""
    if name == "dev":
        return [
            plan_dev.exchanges,
            plan_dev.unused,
            plan_dev.life_cycle,
            plan_dev_2.links,
            plan_dev_2.suppliers,
            plan_dev_2.upkeep,
            plan_dev_2.platform,
        ]
    import plan_test
    import plan_test_2

    return [
        plan_test.exchanges,
        plan_test.unused,
        plan_test.life_cycle,
        plan_test_2.links,
        plan_test_2.suppliers,
        plan_test_2.upkeep,
        plan_test_2.platform,
    ]


def build(name: str) -> Split:
    """One split, complete, not yet written."""
    first_bin, first_object = FIRST[name]
    split = Split(name=name, folder=HERE / "source" / name, first_bin=first_bin, first_object=first_object)
    for step in steps(name):
        step(split)
    labelled_finish.agree(split)
    labelled_finish.add_innocents(split)
    return split


def main() -> int:
    """Write (or only check) the splits named; 1 where a check fails."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("splits", nargs="*", default=["dev", "test"])
    parser.add_argument("--check", action="store_true", help="write nothing; check what is there")
    options = parser.parse_args()
    wrong = []
    for name in options.splits:
        if not options.check:
            labelled_finish.write(build(name), HERE / name)
        wrong += [f"{name}: {line}" for line in labelled_audit.look(HERE / name)]
    print(*wrong, sep="\n")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
