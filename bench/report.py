"""Numbers as Markdown, put between the marks of `docs/performance.md`; the words around them are written by people.

A section stands between `<!-- measured NAME -->` and `<!-- end NAME -->`. Only what was measured is written there.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from bench import gateway_report
from bench.embedded import Up
from bench.exchange import Row
from bench.log_append import KILLED_AFTER
from bench.memory import Passage, Soaked
from bench.receipts import Verified
from bench.targets import Found, judged

_MIB = 1024 * 1024


def put(page: Path, section: str, text: str) -> None:
    """Replace what stands between the marks of `section`."""
    begin, end = f"<!-- measured {section} -->\n", f"<!-- end {section} -->"
    whole = page.read_text()
    head, found, rest = whole.partition(begin)
    _, closed, tail = rest.partition(end)
    if not found or not closed:
        raise ValueError(f"{page} has no marks for {section!r}")
    page.write_text(f"{head}{begin}\n{text.strip()}\n\n{end}{tail}")


def table(head: Sequence[str], lines: Iterable[Sequence[str]]) -> str:
    """A Markdown table; every column but the first is right-aligned."""
    rule = ["---", *["---:"] * (len(head) - 1)]
    return "\n".join("| " + " | ".join(line) + " |" for line in (head, rule, *lines))


def machine(found: Found) -> str:
    """The machine as a table."""
    lines = [f"| {name} | {value} |" for name, value in found.machine.items()]
    text = "\n".join(["| measured on | |", "|---|---|", *lines])
    return f"{text}\n\nThe whole run took {found.seconds / 60:.1f} minutes."


def _number(value: float | None, form: str = ",.0f") -> str:
    return "–" if value is None else format(value, form)


def _of(row: Row, pairs: Mapping[int, Row], value: str) -> str:
    other = pairs.get(row.connections)
    if other is None or other is row or not getattr(other, value):
        return "–"
    return f"{getattr(row, value) / getattr(other, value):.2f}"


def exchange(rows: Sequence[Row], void: Sequence[str], *, pair: str) -> str:
    """The main table, with the ratios to the pair, and before it why it is void if it is."""
    pairs = {row.connections: row for row in rows if row.side == pair}
    head = ["", "connections", "exchanges/s", "of the pair", "CPU µs, nodes", "CPU µs, all", "× the pair's"]
    head += ["p50 ms", "p99 ms", "peak RSS MiB", "fsyncs an exchange", "messages a signature"]
    lines = [
        [
            row.side + (" **void**" if row.faults else ""),
            str(row.connections),
            _number(row.rate),
            _of(row, pairs, "rate"),
            _number(row.node_cpu),
            _number(row.all_cpu),
            _of(row, pairs, "all_cpu"),
            _number(row.p50 / 1000, ".2f"),
            _number(row.p99 / 1000, ".2f"),
            _number(row.peak_rss / _MIB),
            _number(row.fsyncs, ".2f"),
            _number(row.messages_per_signature, ".1f"),
        ]
        for row in sorted(rows, key=lambda row: row.connections)
    ]
    before = "\n".join(f"- **Void:** {reason}." for reason in void)
    idle = max((row.idle_cpu for row in pairs.values()), default=0)
    other = max((row.elsewhere for row in rows), default=0)
    after = f"In the worst window, processes that took no part used {other:.0%} of a core."
    if len(pairs) < len(rows):
        after += f" While the pair was measured, our side, idle, used {idle:.1%} of a core."
    return "\n\n".join(part for part in (before, table(head, lines), after) if part)


def targets(found: Found, void: Sequence[str]) -> str:
    """The targets, with what was measured; of a void run nothing is met or missed."""
    lines = [[*line[:3], "void" if void and line[2] != "–" else line[3]] for line in judged(found)]
    return table(["target", "", "measured", ""], lines)


def bodies(found: Sequence[Passage], *, pair: str) -> str:
    """Large bodies each way."""
    rates = {passage.way: passage.rate for passage in found if passage.side == pair}
    lines = [
        [
            passage.side,
            f"{passage.length // _MIB} MiB {passage.way}",
            _number(passage.rate),
            "–" if passage.side == pair or passage.way not in rates else f"{passage.rate / rates[passage.way]:.2f}",
            f"{passage.growth / _MIB:+.1f}",
        ]
        for passage in found
    ]
    return table(["", "body", "MB/s", "of the pair", "RSS MiB"], lines)


def soaked(found: Sequence[Soaked]) -> str:
    """Memory before and after many exchanges."""
    lines = [
        [
            f"{each.side}, {node}",
            _number(each.exchanges),
            _number(each.failed),
            _number(each.before[node] / _MIB, ".1f"),
            _number(each.after[node] / _MIB, ".1f"),
        ]
        for each in found
        for node in each.after
    ]
    return table(["largest process of", "exchanges", "failed", "RSS MiB before", "after"], lines)


def log(found: Mapping[str, Any]) -> str:
    """The log alone: appends, and opening."""
    lines = [
        [
            f"{each['entries']:,}",
            str(each["in_flight"]),
            _number(each["cpu_us"], ".1f"),
            _number(each["per_second"]),
            _number(each["batch"], ".0f"),
        ]
        for each in sorted(found["appends"], key=lambda each: (each["in_flight"], each["entries"]))
    ]
    head = ["entries in the log", "appends in flight", "CPU µs an append", "appends/s", "entries a batch"]
    orderly, killed, built = found["open_seconds"], found["open_killed_seconds"], found["built_seconds"]
    after = (
        f"The log of {found['large']:,} entries opens in {orderly:.3f} s after an orderly stop, and in {killed:.2f} s "
        f"after the process was killed {KILLED_AFTER:,} appends later. Medians of {found['rounds']} rounds. Making the "
        f"log took {built:.0f} s; the process that measured held at most {found['peak_rss'] / _MIB:.0f} MiB."
    )
    return f"{table(head, lines)}\n\n{after}"


def receipts(found: Verified) -> str:
    """The verification of receipts, and their making."""
    lines = [
        [f"verified a second, warm ({found.receipts} receipts, {found.rounds} rounds)", _number(found.rate)],
        ["the first receipt of a verifier, ms", _number(found.first * 1000)],
        ["size of a receipt, KiB", _number(found.size / 1024, ".1f")],
        ["made by a node that has the witnessed checkpoints, ms", _number(found.made * 1000, ".1f")],
    ]
    return table(["receipts", "measured"], lines)


def embedded(found: Up) -> str:
    """The embedded instance."""
    lines = [
        [f"founded and ready, seconds ({found.rounds} rounds)", _number(found.seconds, ".1f")],
        ["ready once more after `qaztech down`, seconds", _number(found.again, ".1f")],
        [f"all its {found.processes} processes, MiB PSS", _number(found.pss / _MIB)],
    ]
    return table(["`qaztech up`", "measured"], lines)


def sections(found: Found, void: Sequence[str]) -> dict[str, str]:
    """Markdown for what was measured, by the names of the page's sections."""
    text = {"targets": targets(found, void), "machine": machine(found)}
    if found.rows:
        text["exchange"] = exchange(found.rows, void, pair=found.pair)
    if found.passages:
        text["bodies"] = bodies(found.passages, pair=found.pair)
    if found.soaked:
        text["memory"] = soaked(found.soaked)
    if found.append is not None:
        text["append"] = log(found.append)
    if found.verified is not None:
        text["verify"] = receipts(found.verified)
    if found.up is not None:
        text["embedded"] = embedded(found.up)
    if found.gateway is not None:
        text["gateway"] = gateway_report.section(found.gateway)
    return text
