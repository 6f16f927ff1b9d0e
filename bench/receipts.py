"""Receipts of the exchanges of a running instance, and how many of them one process verifies in a second.

A verifier that is warm has verified the receipts of an earlier checkpoint; it knows the configuration by then. Those
it is measured on it has never seen: twenty share the checkpoints of both logs, as the exchanges of an interval do.
"""

from __future__ import annotations

import http.client
import time
from collections.abc import Callable
from dataclasses import dataclass
from statistics import median
from urllib.parse import urlsplit

from bench.instance import CONSUMER, PROVIDER, WITNESSING, Nodes
from bench.pair import BODY
from bench.tools import Unusable
from qaztech.registry.anchor import parse_anchor
from qaztech.registry.verification import Verifier

_TOGETHER = 20  # exchanges for each checkpoint

_WITNESSED_WITHIN = 3 * WITNESSING


@dataclass(frozen=True, slots=True, kw_only=True)
class Verified:
    """The medians of all rounds."""

    receipts: int
    rounds: int
    rate: float  # receipts a second, warm
    first: float  # seconds for the first receipt of a new verifier
    size: float  # bytes of a receipt
    made: float  # seconds until a node has made one, its entries witnessed


def _call(ours: Nodes, count: int) -> list[str]:
    """So many exchanges; their message ids."""
    target = ours.exchange()
    parts = urlsplit(target.url)
    connection = http.client.HTTPConnection(parts.netloc, timeout=30)
    messages = []
    for _ in range(count):
        connection.request("POST", parts.path, body=BODY, headers=dict(target.headers))
        answer = connection.getresponse()
        answer.read()
        messages.append(answer.headers["x-road-request-id"])
    connection.close()
    return messages


def _receipt(ours: Nodes, message: str) -> bytes:
    """The receipt as the consumer's management API gives it, byte for byte."""
    url = urlsplit(ours.country.node(CONSUMER)["management"])
    deadline = time.monotonic() + _WITNESSED_WITHIN
    while True:
        connection = http.client.HTTPConnection(url.netloc, timeout=60)
        connection.request("GET", f"/receipts/{message}?wait=witnessed")
        answer = connection.getresponse()
        data = answer.read()
        connection.close()
        if answer.status == http.HTTPStatus.OK:
            return data
        if answer.status != http.HTTPStatus.SERVICE_UNAVAILABLE or time.monotonic() > deadline:
            raise Unusable(f"no receipt of {message}: {answer.status} {data[:300]!r}")
        time.sleep(0.5)  # the registry's own log is not witnessed yet for a configuration so new


def collect(ours: Nodes, count: int) -> tuple[list[bytes], list[float]]:
    """`count` witnessed receipts after the `_TOGETHER` of a first checkpoint, and the seconds each took to make."""
    receipts: list[bytes] = []
    seconds: list[float] = []
    while len(receipts) < count + _TOGETHER:
        messages = _call(ours, _TOGETHER)
        for node in (CONSUMER, PROVIDER):
            ours.country.manage(node, "/witness-now", "POST")
        for message in messages:
            began = time.perf_counter()
            receipts.append(_receipt(ours, message))
            seconds.append(time.perf_counter() - began)
    return receipts, seconds


def _once(anchor: bytes, receipts: list[bytes]) -> tuple[float, float]:
    """One round with a new verifier: seconds for its first receipt, and receipts a second once it is warm."""
    verifier = Verifier(parse_anchor(anchor))

    def verify(receipt: bytes) -> None:
        verdict = verifier.verify(receipt, require="witnessed")
        if not verdict.ok:
            raise Unusable(f"a receipt does not verify: {verdict.unmet} {verdict.bad()}")

    began = time.perf_counter()
    verify(receipts[0])
    first = time.perf_counter() - began
    for receipt in receipts[1:_TOGETHER]:
        verify(receipt)
    began = time.perf_counter()
    for receipt in receipts[_TOGETHER:]:
        verify(receipt)
    return first, (len(receipts) - _TOGETHER) / (time.perf_counter() - began)


def measure(ours: Nodes, *, count: int, rounds: int, progress: Callable[[str], None]) -> Verified:
    """Collect `count` receipts and verify each once in every round, in this process."""
    receipts, made = collect(ours, count)
    anchor = ours.country.anchor.read_bytes()
    found = [_once(anchor, receipts) for _ in range(rounds)]
    rate = median(rate for _, rate in found)
    progress(f"{count} receipts, each made in {median(made) * 1000:.0f} ms; {rate:.0f} verified a second")
    return Verified(
        receipts=count,
        rounds=rounds,
        rate=rate,
        first=median(first for first, _ in found),
        size=median(map(len, receipts)),
        made=median(made),
    )
