"""The gateway beside LiteLLM's proxy: CPU of a call, throughput, memory, a stream's first event, one budget in two.

All are up at once before one server of a model and are called in turn; LiteLLM has no durable keys, limits and books,
and looks for no personal data: it does less, and is measured as it is. `bench.gateway_report` makes tables of it.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import resource
import sqlite3
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

from bench import gateway_sides, processes, prompts
from bench.ai_gateway_process import COMPLETION_PRICE, PROMPT_PRICE
from bench.gateway_sides import Gateway
from bench.instance import CONSUMER, PROVIDER
from bench.load import Load, drive
from bench.mock_model import COMPLETION, PROMPT
from bench.tools import Unusable
from qaztech.core.errors import Error
from qaztech.testing.instance import Instance
from qaztech.testing.processes import pid_of

CONNECTIONS = 32
_FIRST_WARM_UP, _WARM_UP = 5, 1  # seconds, before all windows and before each
_QUIET, _QUIET_LIMIT = 1.0, 20.0  # seconds without a call: what the client left in flight has come to its end
_STREAMS = 60  # of each side, a round
_MICRO = 1_000_000
_BURST, _BURST_TENGE = 1000, 10
_BURST_LIMIT = 60  # seconds


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """One side called with one kind of prompt for a while."""

    side: str
    prompt: str
    load: Load
    calls: int  # as the model's server counts them, what the client left in flight included
    cpu: float  # seconds, of the side, for these calls
    parts: dict[str, float] = field(default_factory=dict)  # seconds, where a side is several things


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """Medians of the windows of one side with one kind of prompt."""

    side: str
    prompt: str
    rounds: int
    cpu: float  # ms a call
    rate: float  # calls a second
    p50: float  # ms
    p95: float  # ms
    failed: int
    parts: dict[str, float]  # ms a call


@dataclass(frozen=True, slots=True, kw_only=True)
class Burst:
    """Calls that came all at once to two processes with one budget. Amounts in micro-tenge."""

    calls: int
    answered: int
    refused: int
    other: int  # neither: there must be none
    later: int  # answered afterwards, one by one, until the budget refused
    allowance: int
    settled: int
    costs: int  # the sum of the calls' costs in the ledger
    reserved: int  # what is still reserved at the end
    needed: int  # what one more call would have had to reserve

    @property
    def is_exact(self) -> bool:
        """Whether every micro-tenge is where it belongs, and nothing was refused that fits."""
        due = (self.answered + self.later) * (PROMPT * PROMPT_PRICE + COMPLETION * COMPLETION_PRICE)
        spent = self.settled == self.costs == due <= self.allowance and self.reserved == 0 and self.other == 0
        return spent and self.allowance - self.settled < self.needed


@dataclass(slots=True, kw_only=True)
class GatewayFound:
    """What was measured."""

    rows: Sequence[Row] = ()
    peer: str | None = None
    first: dict[str, float] = field(default_factory=dict)  # ms that a stream's first event is later than direct
    direct: float = 0.0  # ms, the first event of the model's server itself
    rss: dict[str, tuple[int, int, int]] = field(default_factory=dict)  # calls in all, bytes before and after
    burst: Burst | None = None
    load_average: tuple[float, float] = (0.0, 0.0)  # of a minute, before and after

    def row(self, side: str, prompt: str) -> Row | None:
        """One line of the table, by the beginning of its side's name; None too where a call of it failed."""
        found = next((row for row in self.rows if row.side.startswith(side) and row.prompt == prompt), None)
        return None if found is None or found.failed else found


def _calls_when_quiet(model: Gateway) -> int:
    """How many calls there have been, when no more come."""
    deadline = time.monotonic() + _QUIET_LIMIT
    count = -1
    while (now := gateway_sides.calls_of(model)) != count and time.monotonic() < deadline:
        count = now
        time.sleep(_QUIET)
    return count


def _window(side: Gateway, model: Gateway, prompt: str, body: Path, seconds: int, **parts: Sequence[int]) -> Window:
    target = side.target(body)
    drive(target, connections=CONNECTIONS, seconds=_WARM_UP)
    called = _calls_when_quiet(model)
    groups = {"": side.processes(), **parts}
    before = {name: processes.cpu(pids) for name, pids in groups.items()}
    load = drive(target, connections=CONNECTIONS, seconds=seconds)
    called = _calls_when_quiet(model) - called
    spent = {name: processes.cpu(pids) - before[name] for name, pids in groups.items()}
    if not load.exchanges:
        raise Unusable(f"{side.name} answered nothing in {seconds} seconds")
    if not 0 <= called - load.exchanges <= CONNECTIONS:
        raise Unusable(f"{side.name}: {load.exchanges} answers, {called} calls of the model's server")
    return Window(
        side=side.name, prompt=prompt, load=load, calls=called, cpu=sum(spent.values()), parts=spent if parts else {}
    )


def _rows(windows: Sequence[Window]) -> list[Row]:
    found = []
    for side, prompt in dict.fromkeys((each.side, each.prompt) for each in windows):
        of = [each for each in windows if (each.side, each.prompt) == (side, prompt)]
        found.append(
            Row(
                side=side, prompt=prompt, rounds=len(of),
                cpu=median(each.cpu / each.calls for each in of) * 1000,
                rate=median(each.load.exchanges / each.load.seconds for each in of),
                p50=median(each.load.p50 for each in of) / 1000, p95=median(each.load.p95 for each in of) / 1000,
                failed=sum(each.load.failed for each in of),
                parts={
                    name: median(each.parts[name] / each.calls for each in of) * 1000 for name in of[0].parts
                },
            )
        )  # fmt: skip
    return found


# The first event of a stream ------------------------------------------------------------------------------------------


async def _first_event(side: Gateway, text: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> float:
    """Seconds until the first event's line is there; the rest of the stream is read before the next is asked."""
    body = json.dumps(prompts.chat(text, stream=True), ensure_ascii=False).encode()
    head = "".join(f"{name}: {value}\r\n" for name, value in side.headers.items())
    request = f"POST /v1/chat/completions HTTP/1.1\r\nHost: bench\r\n{head}Content-Type: application/json\r\n"
    began = time.perf_counter()
    writer.write(f"{request}Content-Length: {len(body)}\r\n\r\n".encode() + body)
    got = b""
    seconds = 0.0
    while b"\r\n0\r\n\r\n" not in got and not got.startswith(b"0\r\n\r\n"):
        piece = await asyncio.wait_for(reader.read(65536), 30)
        if not piece:
            raise Unusable(f"{side.name} broke a stream off: {got[:300]!r}")
        got += piece
        if not seconds and b"data: " in got:
            seconds = time.perf_counter() - began
    if b"[DONE]" not in got:
        raise Unusable(f"{side.name} answered no stream: {got[:300]!r}")
    return seconds


async def _streams(sides: Sequence[Gateway], rounds: int) -> dict[str, list[float]]:
    found: dict[str, list[float]] = {side.name: [] for side in sides}
    asked = prompts.texts(with_iin=True)
    open_ = [await asyncio.open_connection("127.0.0.1", side.port) for side in sides]
    for number in range(_STREAMS * rounds):
        for side, (reader, writer) in zip(sides, open_, strict=True):
            found[side.name].append(await _first_event(side, asked[number % len(asked)], reader, writer))
    for _, writer in open_:
        writer.close()
    return {name: seconds[len(seconds) // 10 :] for name, seconds in found.items()}  # the first ones warm up


# One budget in two processes ------------------------------------------------------------------------------------------


async def _ask(side: Gateway, body: bytes) -> int:
    """One call on a connection of its own; its status, 0 for none."""
    try:
        reader, writer = await asyncio.open_connection("127.0.0.1", side.port)
        head = "".join(f"{name}: {value}\r\n" for name, value in side.headers.items())
        request = f"POST /v1/chat/completions HTTP/1.1\r\nHost: bench\r\n{head}Content-Type: application/json\r\n"
        writer.write(f"{request}Connection: close\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body)
        answer = await reader.read()
        writer.close()
        return int(answer.split(b" ", 2)[1])
    except (OSError, IndexError, ValueError):
        return 0


async def _burst(sides: Sequence[Gateway]) -> tuple[list[int], int]:
    body = json.dumps(prompts.chat(prompts.texts(with_iin=True)[0]), ensure_ascii=False).encode()
    statuses = await asyncio.gather(*(_ask(sides[number % len(sides)], body) for number in range(_BURST)))
    later = 0
    while await _ask(sides[later % len(sides)], body) == 200:
        later += 1
    return list(statuses), later


def _one_budget(run: Path, model: Gateway) -> Burst:
    folder = run / "budget"
    with contextlib.ExitStack() as stack:
        sides = [
            stack.enter_context(gateway_sides.ours(folder, model, str(_BURST_TENGE), number=number)) for number in "ab"
        ]
        statuses, later = asyncio.run(asyncio.wait_for(_burst(sides), _BURST_LIMIT))
    db = sqlite3.connect(folder / "gateway.db")
    ((settled, reserved),) = db.execute("SELECT settled, reserved FROM ai_periods").fetchall()
    costs, needed = db.execute("SELECT SUM(cost), MAX(reserved) FROM ai_calls").fetchone()
    db.close()
    answered, refused = statuses.count(200), statuses.count(429)
    return Burst(
        calls=_BURST, answered=answered, refused=refused, other=_BURST - answered - refused, later=later,
        allowance=_BURST_TENGE * _MICRO, settled=settled, costs=costs, reserved=reserved, needed=needed,
    )  # fmt: skip


# Over the backbone ----------------------------------------------------------------------------------------------------


def _over_the_backbone(
    run: Path, model: Gateway, body: Path, sample: Path, *, rounds: int, seconds: int
) -> list[Window]:
    """Our gateway before both nodes of a fresh country: each call, and the telling of its usage, are exchanges."""
    try:
        with Instance(run / "country", witnessing_seconds=30.0, refresh_seconds=20.0) as country:
            url = f"http://127.0.0.1:{model.port}"
            service = country.add_service(PROVIDER, "bench-model", url, clients=(CONSUMER,))
            node = country.node(CONSUMER)
            more = ("--edge", node["edge"], "--service", service, "--system", node["system"])
            name = "our gateway and both nodes"
            with gateway_sides.ours(run / "backbone", model, *more, name=name) as side:
                side.check(sample)
                pids = {
                    each: processes.tree([pid_of(country.home, f"node-{each}") or 0]) for each in (CONSUMER, PROVIDER)
                }
                return [_window(side, model, "iin", body, seconds, **pids) for _ in range(rounds)]
    except Error as error:
        raise Unusable(f"the instance: {error}") from error


# Everything -----------------------------------------------------------------------------------------------------------


def measure(run: Path, *, rounds: int, seconds: int, calls: int, progress: Callable[[str], None]) -> GatewayFound:
    """All of it, in six minutes or so."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(most, 16384) if most > 0 else 16384, most))
    found = GatewayFound()
    before = os.getloadavg()[0]
    bodies = {
        "iin": prompts.write(run / "iin.txt", with_iin=True),
        "none": prompts.write(run / "none.txt", with_iin=False),
    }
    with contextlib.ExitStack() as stack:
        model = stack.enter_context(gateway_sides.mock(run))
        side = stack.enter_context(gateway_sides.ours(run / "ours", model))
        bare = stack.enter_context(
            gateway_sides.ours(run / "bare", model, "--without-finder", name="our gateway, its finder off")
        )
        turns = [(side, "iin"), (side, "none"), (bare, "none")]
        sides = [side]
        if gateway_sides.has_peer():
            peer = stack.enter_context(gateway_sides.litellm(run / "litellm", model))
            found.peer = peer.name
            turns.insert(0, (peer, "iin"))
            sides.append(peer)
        sample = run / "one.txt"
        sample.write_text(bodies["iin"].read_text().splitlines()[0])
        for each in (*sides, bare):
            each.check(sample)
            drive(each.target(bodies["iin"]), connections=CONNECTIONS, seconds=_FIRST_WARM_UP)
        progress("the gateways are ready")
        start = {each.name: each.rss() for each in sides}
        windows: list[Window] = []
        for number in range(rounds):
            windows += [_window(each, model, prompt, bodies[prompt], seconds) for each, prompt in turns]
            told = ", ".join(f"{w.side} {w.cpu / w.calls * 1000:.2f}" for w in windows[-len(turns) :])
            progress(f"round {number + 1}, CPU ms a call: {told}")
        found.rows = _rows(windows)
        streams = asyncio.run(_streams([model, *sides], rounds))
        found.direct = median(streams[model.name]) * 1000
        found.first = {each.name: median(streams[each.name]) * 1000 - found.direct for each in sides}
        progress(f"the first event of a stream: {found.first}")
        had = {
            name: (sum(window.load.exchanges for window in windows if window.side == name), rss)
            for name, rss in start.items()
        }
        _soak(found, sides, bodies["iin"], had=had, calls=calls, progress=progress)
        found.burst = _one_budget(run, model)
        progress(f"one budget in two processes: {found.burst}")
        windows += _over_the_backbone(run, model, bodies["iin"], sample, rounds=min(rounds, 3), seconds=seconds)
        found.rows = _rows(windows)
    found.load_average = (before, os.getloadavg()[0])
    return found


def _soak(
    found: GatewayFound,
    sides: Sequence[Gateway],
    body: Path,
    *,
    had: dict[str, tuple[int, int]],
    calls: int,
    progress: Callable[[str], None],
) -> None:
    """Memory; ours after so many calls, the peer's after those it has had."""
    for each in sides:
        done, before = had[each.name]
        deadline = time.monotonic() + 240
        while each is sides[0] and done < calls and time.monotonic() < deadline:
            load = drive(each.target(body), connections=CONNECTIONS, seconds=10)
            done += load.exchanges
        found.rss[each.name] = (done, before, each.rss())
    progress(f"memory (calls, bytes before, after): {found.rss}")
