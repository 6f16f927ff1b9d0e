"""What `bench.gateway` measured as Markdown, with the targets judged beside it; a section of `docs/performance.md`."""

from __future__ import annotations

from bench.gateway import CONNECTIONS, GatewayFound

_MIB = 1024 * 1024
_PROMPTS = {"iin": "with an IIN", "none": "without one"}
_OURS, _PEER, _BOTH = "our gateway", "LiteLLM", "our gateway and both nodes"
RSS_CALLS = 100_000
_PARTS = {"": "gateway", "ministry": "consumer's node", "registers": "provider's node"}


def _table(head: list[str], lines: list[list[str]]) -> str:
    rule = ["---", *["---:"] * (len(head) - 1)]
    return "\n".join("| " + " | ".join(line) + " |" for line in (head, rule, *lines))


def _judged(found: GatewayFound) -> list[list[str]]:
    ours, peer = found.row(_OURS, "iin"), found.row(_PEER, "iin")
    calls, _, after = found.rss.get(_OURS, (0, 0, 0))
    lines: list[tuple[str, str, str | None, bool]] = [
        ("CPU of a call, ms", "≤ 1.0", f"{ours.cpu:.2f}" if ours else None, bool(ours and ours.cpu <= 1.0)),
        (
            "CPU of LiteLLM's, × ours", "≥ 10", f"{peer.cpu / ours.cpu:.1f}" if ours and peer else None,
            bool(ours and peer and peer.cpu >= 10 * ours.cpu),
        ),
        (
            f"RSS after {RSS_CALLS:,} calls, MiB", "≤ 120", f"{after / _MIB:.0f}" if calls >= RSS_CALLS else None,
            after <= 120 * _MIB,
        ),
        (
            "first event of a stream, ms later than direct", "≤ 3",
            f"{found.first[_OURS]:.1f}" if _OURS in found.first else None, found.first.get(_OURS, 9) <= 3,
        ),
        (
            "1,000 calls at once on one budget in two processes", "exact",
            None if found.burst is None else "exact" if found.burst.is_exact else "not exact",
            found.burst is not None and found.burst.is_exact,
        ),
    ]  # fmt: skip
    return [
        [name, limit, value or "–", ("met" if is_met else "**missed**") if value else "not measured"]
        for name, limit, value, is_met in lines
    ]


def _calls(found: GatewayFound) -> str:
    ours = found.row(_OURS, "iin")
    lines = [
        [
            row.side + (f" (**void**: {row.failed} failed)" if row.failed else ""),
            _PROMPTS[row.prompt],
            f"{row.cpu:.2f}",
            "–" if ours is None or not row.side.startswith(_PEER) else f"{row.cpu / ours.cpu:.1f}",
            f"{row.rate:,.0f}",
            f"{row.p50:.1f}",
            f"{row.p95:.1f}",
        ]
        for row in found.rows
    ]
    head = ["", "prompt", "CPU ms a call", "× ours", "calls/s", "p50 ms", "p95 ms"]
    both = next((row for row in found.rows if row.side == _BOTH), None)
    after = f"{CONNECTIONS} connections; medians of {ours.rounds if ours else 0} rounds."
    if both is not None:
        parts = ", ".join(f"{_PARTS[name]} {value:.2f}" for name, value in both.parts.items())
        after += f" With both nodes a call is two exchanges (the call, and the telling of its usage): {parts} ms."
    return f"{_table(head, lines)}\n\n{after}"


def _rest(found: GatewayFound) -> str:
    lines = [
        [f"{name}: RSS after {calls:,} calls, MiB (before: {before / _MIB:.0f})", f"{after / _MIB:.0f}"]
        for name, (calls, before, after) in found.rss.items()
    ]
    if found.first:
        lines.append(["the model's server itself: first event of a stream, ms", f"{found.direct:.2f}"])
    lines += [[f"{name}: first event later than that, ms", f"{later:.2f}"] for name, later in found.first.items()]
    burst = found.burst
    if burst is not None:
        lines += [
            [f"{burst.calls:,} calls at once, one budget, two processes: answered, refused, neither",
             f"{burst.answered}, {burst.refused}, {burst.other}"],
            ["answered afterwards, one by one, until the budget refused", f"{burst.later}"],
            ["spent by the budget, and by the calls in the ledger, micro-tenge",
             f"{burst.settled:,}, {burst.costs:,}"],
            ["left of the budget; what one more call reserves, micro-tenge",
             f"{burst.allowance - burst.settled:,}; {burst.needed:,}"],
        ]  # fmt: skip
    return _table(["", "measured"], lines)


def section(found: GatewayFound) -> str:
    """All of it."""
    before, after = found.load_average
    load = f"Load average of the machine: {before:.1f} before, {after:.1f} after."
    peer = "" if found.peer else " LiteLLM was not measured: its environment could not be made."
    judged = _table(["target", "", "measured", ""], _judged(found))
    return f"{judged}\n\n{_calls(found)}\n\n{_rest(found)}\n\n{load}{peer}"
