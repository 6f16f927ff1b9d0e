"""`qaztech hub detect`: run the detectors over the centre's registry, or over tables and traffic that somebody has."""

from __future__ import annotations

import argparse
import json
import sys
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from qaztech.cli.options import add_action, add_json
from qaztech.core.errors import Malformed

if TYPE_CHECKING:
    from qaztech.cli.verbs import Verbs
    from qaztech.hub.detectors.finding import Case, Finding
    from qaztech.hub.observation import Traffic
    from qaztech.hub.register.snapshot import Register

# Wrong rows that are told one by one.
_MOST_TOLD = 20


def add_detect(actions: Verbs) -> None:
    """The action and its options."""
    parser = add_action(
        actions, "detect", "look through the registry of digital objects for what a person should see", _detect,
        more="A finding is no verdict. With --register it looks at somebody's tables and keeps nothing.",
    )  # fmt: skip
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--settings", type=Path, metavar="FILE", help="the centre's hub.toml")
    source.add_argument(
        "--register", type=Path, metavar="PATH", help="workbook or folder of tables, instead of a centre's"
    )
    parser.add_argument(
        "--traffic", type=Path, action="append", default=[], metavar="FILE",
        help="hours of traffic as Parquet, instead of the centre's; may be given again",
    )  # fmt: skip
    parser.add_argument("--today", type=_day, metavar="DATE", help="the day to judge by, as YYYY-MM-DD (today)")
    parser.add_argument(
        "--detector",
        action="append",
        metavar="SLUG",
        help="only this detector, such as legal_vacuum; may be given again",
    )
    add_json(parser)


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError as exc:
        raise argparse.ArgumentTypeError(f"not a day as YYYY-MM-DD: {text!r}") from exc


def _detect(args: argparse.Namespace) -> int:
    from qaztech.hub.detectors.all import chosen, run  # noqa: PLC0415  # each process imports only what it runs

    chosen(args.detector)
    case = _case(args)
    findings = run(case, args.detector, _told if sys.stderr.isatty() else None)
    if args.json:
        print(json.dumps([_facts(finding) for finding in findings], ensure_ascii=False))
    else:
        print("\n".join(_lines(findings, case)))
    return 0


def _case(args: argparse.Namespace) -> Case:
    from qaztech.core.time import SystemClock  # noqa: PLC0415
    from qaztech.hub.comparing.pairs import compare_best  # noqa: PLC0415
    from qaztech.hub.detectors.finding import Case  # noqa: PLC0415
    from qaztech.hub.register.law import current_law  # noqa: PLC0415
    from qaztech.hub.traffic import DAY_BEGINS  # noqa: PLC0415

    today = args.today or datetime.fromtimestamp((SystemClock().now() + DAY_BEGINS) / 1000, UTC).date()
    register, traffic, cache = _read(args, today)
    similar = compare_best(register, traffic, cache) if _compares(args) else None
    return Case(register=register, traffic=traffic, law=current_law(), today=today, similar=similar)


def _compares(args: argparse.Namespace) -> bool:
    """Whether a detector is asked for that rests on compared texts, which take time."""
    return args.detector is None or not {"duplicate", "resurrected"}.isdisjoint(args.detector)


def _loaded(path: Path, today: date) -> Register:
    """The register in somebody's tables; tells of the rows that could not be taken."""
    from qaztech.hub.register.loading import load_register  # noqa: PLC0415

    register, plan = load_register(path, today)
    for problem in plan.errors[:_MOST_TOLD]:
        where = f"{problem.sheet}, row {problem.row}, {problem.column}"
        print(f"left out: {where}: {problem.code}: {problem.expected}", file=sys.stderr)
    if plan.wrong:
        print(f"{len(plan.wrong)} rows were left out of {sum(plan.rows.values())}", file=sys.stderr)
    return register


def _read(args: argparse.Namespace, today: date) -> tuple[Register, Traffic, Path | None]:
    """The register, the traffic, and the file where the centre keeps what texts mean."""
    from qaztech.hub.comparing.pairs import VECTORS  # noqa: PLC0415
    from qaztech.hub.flows import read_flows  # noqa: PLC0415

    for path in args.traffic:
        if not path.is_file():
            raise Malformed("command.malformed", f"no such file: {path}")
    if args.register is not None:
        return _loaded(args.register, today), read_flows(args.traffic), None
    from qaztech.compose.hub import FLOWS, open_objects, open_store  # noqa: PLC0415

    objects, engine = open_objects(args.settings)
    try:
        register = objects.register()
    finally:
        engine.dispose()
    from qaztech.hub.flows import Flows  # noqa: PLC0415

    with open_store(args.settings) as store:
        flows = store.directory.parent / FLOWS
        traffic = read_flows(args.traffic) if args.traffic else Flows(flows, store).traffic()
    return register, traffic, flows.parent / VECTORS


def _told(slug: str, number: int, count: int) -> None:
    print(f"\r{number}/{count} {slug:30}", end="\n" if number == count else "", file=sys.stderr, flush=True)


def _facts(finding: Finding) -> dict[str, object]:
    from msgspec import to_builtins  # noqa: PLC0415

    told: dict[str, object] = to_builtins(finding)
    return told | {"key": finding.key, "facts": finding.facts}


def _lines(findings: Sequence[Finding], case: Case) -> list[str]:
    counts = Counter(finding.detector for finding in findings)
    objects = len(case.register.objects)
    lines = [f"{objects} digital objects, {case.traffic.days} days of traffic, as of {case.today}"]
    if case.similar is None:
        lines.append("texts were not compared: duplicates and resurrected projects are not looked for")
    elif case.similar.missing:
        lines.append(
            "texts were compared by words only, not by meaning, which misses what is told in other words or another "
            "language: install qaztech[embeddings]"
        )
    for slug, count in counts.items():
        lines += ["", f"{slug}: {count}{_at_stake([f for f in findings if f.detector == slug], case)}"]
        lines += [
            f"  {finding.confidence:.2f}  {_tenge(finding.money):>22}  {', '.join(finding.objects)}"
            for finding in findings
            if finding.detector == slug
        ]
    return lines if counts else [*lines, "nothing was found"]


def _at_stake(findings: Sequence[Finding], case: Case) -> str:
    """What findings put at stake, each line of money once; a year's apart from what is spent or asked once."""
    from qaztech.hub.money import lines_of, sums_of  # noqa: PLC0415

    sums = sums_of(line for finding in findings for line in lines_of(finding, case.register))
    year = f", {_tenge(sums.money)} a year at stake" if sums.money else ""
    return year + (f", {_tenge(sums.once)} at stake, not yearly" if sums.once else "")


def _tenge(money: int | None) -> str:
    return "" if money is None else f"{money:,} tenge".replace(",", " ")
