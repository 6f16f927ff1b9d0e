"""The main table: exchanges of 1 KiB through both sides, in turn, and what the medians say.

One window is one side at one number of connections in one round. Windows alternate between the sides so that
whatever else the machine does meets both. A window in which anything went wrong is void, and so is its row.
"""

from __future__ import annotations

import http.client
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from urllib.parse import urlsplit

from bench import processes
from bench.load import Load, Target, drive
from bench.pair import BODY, Service
from bench.side import Counters, Side
from bench.tools import Unusable

_WARM_UP = 1  # seconds, before every window
_ENTRIES = 4  # of one exchange, both logs together: request and response in each
PAIR_MAY_SLOW = 0.15  # the pair at the most connections against 32: beyond this it was not an honest pair


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """One side at one number of connections, once."""

    side: str
    connections: int
    load: Load
    node_cpu: float  # seconds: the nodes alone
    all_cpu: float  # seconds: the side, the service and the client
    idle_cpu: float  # seconds: the other side, which had nothing to do
    elsewhere: float  # seconds: whatever else the machine did, or the hypervisor took
    peak_rss: int  # bytes, of the largest process of a node
    called: int  # how often the service was called
    counted: Counters | None

    @property
    def faults(self) -> list[str]:
        """Why this window does not count; empty for a good one."""
        load, found = self.load, []
        if load.failed:
            found.append("errors: " + ", ".join(f"{kind} {n}" for kind, n in load.errors.items() if n))
        if not load.exchanges:
            return [*found, "no exchange"]
        if load.bytes / load.exchanges < len(BODY):
            found.append(f"answers of {load.bytes / load.exchanges:.0f} bytes")
        extra = self.called - load.exchanges
        if not 0 <= extra <= 2 * self.connections:  # what the client left in flight, before and at the end
            found.append(f"{load.exchanges} answers, {self.called} calls of the service")
        if self.counted and self.counted.entries < _ENTRIES * load.exchanges:
            found.append(f"{load.exchanges} answers, {self.counted.entries} entries in the logs")
        return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """The medians of all rounds of one side at one number of connections."""

    side: str
    connections: int
    rounds: int
    rate: float  # exchanges a second
    node_cpu: float  # µs for one exchange
    all_cpu: float  # µs for one exchange
    idle_cpu: float  # of one core, the other side
    elsewhere: float  # of one core, whatever else the machine did; the worst window
    p50: float  # µs
    p99: float  # µs
    peak_rss: float  # bytes
    fsyncs: float | None  # for one exchange, both nodes together
    messages_per_signature: float | None
    faults: tuple[str, ...]


def check_answers(target: Target, attempts: int = 3) -> None:
    """Fail unless exchanges made by hand, all on one connection, bring back exactly the service's answer."""
    parts = urlsplit(target.url)
    connection = http.client.HTTPConnection(parts.netloc, timeout=10)
    for _ in range(attempts):
        connection.request("POST", parts.path, body=BODY, headers=dict(target.headers))
        response = connection.getresponse()
        said = response.read()
        if response.status != http.HTTPStatus.OK or said != BODY:
            raise Unusable(f"{target.url} answers {response.status}: {said[:300]!r}")
        if response.version != 11 or response.will_close:
            raise Unusable(f"{target.url} does not keep HTTP/1.1 connections")
    connection.close()


def _largest(nodes: Mapping[str, list[int]]) -> int:
    return max(processes.peak_rss(pid) for pids in nodes.values() for pid in pids)


def measure(side: Side, others: Sequence[Side], service: Service, *, connections: int, seconds: int) -> Window:
    """One window, after a warm-up that is not measured."""
    target = side.exchange()
    drive(target, connections=connections, seconds=_WARM_UP)
    time.sleep(0.2)
    nodes = side.nodes()
    groups = {
        "nodes": [pid for pids in nodes.values() for pid in pids],
        "all": side.processes() + service.processes(),
        "idle": [pid for other in others for pid in other.processes()],
    }
    processes.forget_peak(groups["nodes"])
    counted, called = side.counters(), service.requests()
    before, busy = {name: processes.cpu(pids) for name, pids in groups.items()}, processes.machine_cpu()
    load = drive(target, connections=connections, seconds=seconds)
    spent = {name: processes.cpu(pids) - before[name] for name, pids in groups.items()}
    busy = processes.machine_cpu() - busy
    later = side.counters()
    return Window(
        side=side.name,
        connections=connections,
        load=load,
        node_cpu=spent["nodes"],
        all_cpu=spent["all"] + load.cpu,
        idle_cpu=spent["idle"],
        elsewhere=max(0.0, busy - spent["all"] - spent["idle"] - load.cpu),
        peak_rss=_largest(nodes),
        called=service.requests() - called - 1,  # asking is a request too
        counted=later.since(counted) if counted and later else None,
    )


def run(
    sides: Sequence[Side],
    service: Service,
    *,
    connections: Sequence[int],
    rounds: int,
    seconds: int,
    progress: Callable[[str], None],
) -> list[Window]:
    """All windows: rounds × connections × sides, the sides in turn."""
    for side in sides:
        check_answers(side.exchange())
    windows = []
    for number in range(1, rounds + 1):
        for count in connections:
            for side in sides:
                others = [other for other in sides if other is not side]
                window = measure(side, others, service, connections=count, seconds=seconds)
                windows.append(window)
                rate = window.load.exchanges / window.load.seconds
                notes = "; ".join(window.faults)
                progress(f"round {number}/{rounds}  {count:>4} connections  {side.name:<12} {rate:>8.0f}/s  {notes}")
    return windows


def _row(windows: Sequence[Window]) -> Row:
    good = [window for window in windows if window.load.exchanges] or list(windows)

    def middle(value: Callable[[Window], float]) -> float:
        return median(value(window) for window in good)

    def each(seconds: float, window: Window) -> float:
        return seconds * 1e6 / max(window.load.exchanges, 1)

    counted = [window.counted for window in good if window.counted]
    fsyncs = [count.fsyncs / count.exchanges for count in counted if count.exchanges]
    messages = [count.entries / count.signatures for count in counted if count.signatures]
    return Row(
        side=windows[0].side,
        connections=windows[0].connections,
        rounds=len(windows),
        rate=middle(lambda w: w.load.exchanges / w.load.seconds),
        node_cpu=middle(lambda w: each(w.node_cpu, w)),
        all_cpu=middle(lambda w: each(w.all_cpu, w)),
        idle_cpu=middle(lambda w: w.idle_cpu / w.load.seconds),
        elsewhere=max(w.elsewhere / w.load.seconds for w in good),
        p50=middle(lambda w: w.load.p50),
        p99=middle(lambda w: w.load.p99),
        peak_rss=max(w.peak_rss for w in good),
        fsyncs=median(fsyncs) if fsyncs else None,
        messages_per_signature=median(messages) if messages else None,
        faults=tuple(fault for window in windows for fault in window.faults),
    )


def rows(windows: Sequence[Window]) -> list[Row]:
    """One row for each side and number of connections, in the order they were first measured."""
    groups: dict[tuple[str, int], list[Window]] = {}
    for window in windows:
        groups.setdefault((window.side, window.connections), []).append(window)
    return [_row(group) for group in groups.values()]


def void(table: Sequence[Row], pair: str) -> list[str]:
    """Why the whole run does not count; empty for a good one."""
    found = [f"{row.side} at {row.connections}: {fault}" for row in table for fault in row.faults]
    rates = {row.connections: row.rate for row in table if row.side == pair}
    if 32 in rates and 128 in rates and rates[128] < (1 - PAIR_MAY_SLOW) * rates[32]:
        slower = 1 - rates[128] / rates[32]
        found.append(f"the pair is {slower:.0%} slower at 128 connections than at 32; more than {PAIR_MAY_SLOW:.0%}")
    return found
